"""A transport in front of the real one: what Kusto acknowledged is not visible until released.

Kusto promises that acknowledged rows become visible, not when, and not in one order over tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint

from .places import Place


class DelayingTransport:
    """Acknowledges rows of some tables at once and sends them when they are released."""

    def __init__(self, place: Place, *hidden: str) -> None:
        self._inner = SdkTransport(parse_endpoint(place.uri, place.database))
        self._hidden = set(hidden)
        self._held: list[tuple[str, str, bytes]] = []
        self._refusal: Exception | None = None
        self._answers: asyncio.Event | None = None
        self._answered = asyncio.Event()

    async def open(self) -> None:
        await self._inner.open()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        answer = await self._inner.query(text, parameters)
        if self._answers is not None:
            self._answered.set()
            await self._answers.wait()
        return answer

    async def command(self, text: str) -> Table:
        return await self._inner.command(text)

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        if self._refusal is not None:
            raise self._refusal
        if table in self._hidden:
            self._held.append((table, mapping, payload))
            await asyncio.sleep(0)
        else:
            await self._inner.ingest(table, mapping, payload)

    def hide(self, *tables: str) -> None:
        """Hold back the rows of these tables from now on."""
        self._hidden = set(tables)

    def refuse(self, error: Exception) -> None:
        """Answer every ingest with an error from now on."""
        self._refusal = error

    @asynccontextmanager
    async def held_answer(self) -> AsyncIterator[None]:
        """Hold back the answers to all queries inside."""
        self._answers, self._answered = asyncio.Event(), asyncio.Event()
        try:
            yield
        finally:
            self._answers.set()
            self._answers = None

    async def answer_is_held(self) -> None:
        """Wait until Kusto has answered a query."""
        await self._answered.wait()

    async def release(self, *tables: str, only: int | None = None) -> int:
        """Make held rows visible: of some tables or all, all requests or the first ones."""
        chosen = [item for item in self._held if not tables or item[0] in tables][:only]
        for item in chosen:
            self._held.remove(item)
            await self._inner.ingest(*item)
        return len(chosen)
