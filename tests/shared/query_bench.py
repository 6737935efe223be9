"""Queries in front of a Kusto in the process, which holds and answers requests as it is told.

No test stands here.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._queries import Queries
from langgraph.checkpoint.kusto._shared_reads import Question
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto.options import SaverOptions

PLAIN = Question("t", "", "", "", 0, "", "9999-12-31", 1_000, 100)
MARKS = ("thread_id", "checkpoint_ns", "wanted_id", "fits", "head_rows", "write_rows")
PLACED = ("thread_id", "checkpoint_ns", "checkpoint_id", "asked")


def ask(thread_id: str, **changes: Any) -> Question:
    """A question about a thread."""
    return replace(PLAIN, thread_id=thread_id, **changes)


def answer_to(*threads: str, shared: bool) -> list[Table]:
    """One checkpoint of each thread, without parts; its row says how it was asked for."""
    how = "together" if shared else "alone"
    return [
        Table(MARKS, [[name, "", f"id of {name}", True, 1, 0] for name in threads]),
        Table(PLACED, [[name, "", f"id of {name}", how] for name in threads]),
        *[Table(PLACED, [])] * 3,
    ]


class FakeKusto:
    """A query endpoint in the process: holds requests while asked to, answers as told."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        """The threads that each request asked about; `?` is another query."""
        self.at_once = self.most_at_once = self.cancelled = 0
        self._held: list[asyncio.Future[None]] | None = None
        self.spoil: Callable[[list[str], list[Table]], list[Table]] = lambda threads, tables: tables

    async def query(self, text: Any, parameters: Mapping[str, Any]) -> list[Table]:
        threads = _threads(text, parameters)
        self.requests.append(threads)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._answer()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        shared = text == _kql.READ_LATEST_SHARED
        return self.spoil(threads, answer_to(*threads, shared=shared))

    async def command(self, text: str) -> Table:
        await self.query(text, {})
        return Table((), [])

    async def _answer(self) -> None:
        if self._held is None:
            await asyncio.sleep(0)
            return
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(held)
        await held

    def hold(self) -> None:
        """Answer no request from now on."""
        self._held = [] if self._held is None else self._held

    def release(self) -> None:
        """Answer all that were held, and those to come."""
        held, self._held = self._held or [], None
        for request in held:
            if not request.done():
                request.set_result(None)

    async def release_one(self) -> None:
        """Answer the one that is held longest, and see what comes of it."""
        assert self._held
        self._held.pop(0).set_result(None)
        await settle()

    def fail(self, *errors: BaseException | None) -> None:
        """Answer the next requests about several threads with these, and all others well."""
        queue = list(errors)

        def spoil(threads: list[str], tables: list[Table]) -> list[Table]:
            error = queue.pop(0) if queue and len(threads) > 1 else None
            if error is not None:
                raise error
            return tables

        self.spoil = spoil


def _threads(text: Any, parameters: Mapping[str, Any]) -> list[str]:
    if text == _kql.READ_LATEST:
        return [parameters["p_thread"]]
    if text != _kql.READ_LATEST_SHARED:
        return ["?"]
    items = parameters["p_questions"].split(";")
    return [base64.b64decode(item.split("|")[0][1:]).decode() for item in items]


class Bench:
    """Queries in front of a `FakeKusto`, and what they counted."""

    def __init__(self, **options: Any) -> None:
        self.kusto = FakeKusto()
        self.stats = Stats()
        transport: Any = self.kusto
        self.queries = Queries(transport, SaverOptions(**options), self.stats)

    def read(self, thread_id: str, **changes: Any) -> asyncio.Task[list[Table]]:
        """Begin to read a thread."""
        return asyncio.ensure_future(self.queries.read_latest(ask(thread_id, **changes)))

    async def held(self, *threads: str) -> list[asyncio.Task[list[Table]]]:
        """Begin to read threads while requests are not answered."""
        self.kusto.hold()
        reads = [self.read(thread_id) for thread_id in threads]
        await settle()
        return reads

    def counted(self) -> dict[str, int]:
        """What is not zero."""
        return {name: count for name, count in self.stats.snapshot().items() if count}

    def rests(self) -> bool:
        """Whether nothing is held, nobody waits and no request is open."""
        queries = self.queries
        return not (queries._gathering or queries._requests or self.kusto.at_once) and (
            not queries._slots.locked()
        )


def how(tables: list[Table], thread_id: str) -> str:
    """How a read was answered, which has to be about its own thread."""
    (row,) = tables[1].rows
    assert row[:3] == [thread_id, "", f"id of {thread_id}"]
    return str(row[3])


async def settle() -> None:
    """Let the loop run what is ready, and what that makes ready."""
    for _ in range(30):
        await asyncio.sleep(0)
