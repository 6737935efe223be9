"""One request while it is answered, and the faults that strike it.

Lives here: what is known of a request, waiting, failing and cutting its answer as its faults say.
Does not live here: endpoints (`app`), and faults of the data (`cluster`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .faults import Fault
from .request import QueryRequest, RequestIds


@dataclass
class Exchange:
    """One request while it is answered."""

    endpoint: str
    request: web.Request
    ids: RequestIds
    body: bytes = b""
    wire_bytes: int = 0
    answer_bytes: int = 0
    database: str = ""
    table: str = ""
    parsed: QueryRequest | None = None
    rows: int = 0
    faults: tuple[Fault, ...] = ()

    @property
    def text(self) -> str:
        """The text of the query or command."""
        return self.parsed.text if self.parsed else ""

    def fault(self, action: str) -> Fault | None:
        """Return the first fault of a kind that this request meets."""
        return next((fault for fault in self.faults if fault.action == action), None)

    def hidden(self) -> dict[str, float]:
        """Return for how long which tables and views hide what they took."""
        seconds: dict[str, float] = {}
        for fault in self.faults:
            if fault.action == "hide" and fault.table is not None:
                seconds[fault.table] = max(seconds.get(fault.table, 0.0), fault.seconds)
        return seconds

    def written_of(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return what is written of the rows of a command."""
        prefix = self.fault("prefix")
        if prefix is not None:
            rows = rows[: prefix.prefix_of(len(rows))]
        return rows if self.fault("duplicate") is None else [*rows, *rows]

    async def meet(self, when: str) -> None:
        """Let the faults happen that come before the request is carried out, or after it.

        Raises:
            Reset: a fault wants the connection cut.
            ServiceError: a fault wants this answer.
        """
        for fault in self.faults:
            if fault.when != when:
                continue
            if fault.action == "latency":
                await asyncio.sleep(fault.delay())
            elif fault.action == "stall":
                await fault.stalled()
            elif fault.action == "reset":
                raise Reset
            elif fault.action == "status":
                raise fault.error(self.request.path)

    def check_prefix(self) -> None:
        """Answer as a `prefix` fault says when the first rows are written.

        Raises:
            Reset: without an answer.
            ServiceError: with an error.
        """
        prefix = self.fault("prefix")
        if prefix is None or prefix.answer == "ok":
            return
        if prefix.answer == "lost":
            raise Reset
        raise prefix.error(self.request.path)

    async def cut(self, fault: Fault, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
        """Send the beginning of an answer and cut the connection."""
        response = web.StreamResponse(headers=headers)
        response.content_length = len(body)
        await response.prepare(self.request)
        await response.write(body[: fault.cut_at(len(body))])
        self.abort()
        return response

    def abort(self) -> None:
        """Cut the connection."""
        if self.request.transport is not None:
            self.request.transport.abort()


class Reset(Exception):
    """A fault wants the connection cut."""
