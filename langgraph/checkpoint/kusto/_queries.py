"""Queries: requests to Kusto within a bound, retried; reads that wait for a slot share one.

Rules:
- At most `max_queries` requests at a time; the others wait, in order.
- A read that finds a slot free leaves at once, alone. Those that have to wait gather; whichever
  slot is free next takes as many of them as one request may ask (group commit, mirrored).
- Every waiter gets exactly one answer. What is wrong with a shared request and might be the doing
  of one of its readers (any error but a lost connection or 429) is no answer: each asks alone.
- Cancelling one reader changes nothing for the others. When nobody waits for a request any more,
  it is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from . import _kql
from ._retry import RetryPolicy, run
from ._shared_reads import Gathering, Question, Share, deal, shared_parameters
from ._stats import Stats
from ._transport import Table, Transport
from ._writer import copy_of
from .errors import ClusterUnreachableError, SaverClosedError, ThrottledError
from .options import SaverOptions

logger = logging.getLogger(__name__)

Outcome = list[Table] | Exception | None
"""What a reader gets of a shared request: its tables, an error, or nothing: it asks alone."""
Waiter = asyncio.Future[Outcome]


class _Request:
    """One request of reads that gathered; it has no shares until it has a slot."""

    def __init__(self) -> None:
        self.shares: list[Share[Waiter]] = []

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for its answer."""
        return any(not waiter.done() for share in self.shares for waiter in share.waiters)

    def answer_all(self, outcome: Outcome) -> None:
        """Answer everybody who has no answer yet."""
        for share in self.shares:
            _answer(share, outcome)


def _answer(share: Share[Waiter], outcome: Outcome) -> None:
    for waiter in share.waiters:
        if not waiter.done():  # cancelled, or answered before
            # One error raised by many would collect all their tracebacks. It is no exception of
            # the future: one whose reader was cancelled just now would be logged as never heard.
            waiter.set_result(copy_of(outcome) if isinstance(outcome, Exception) else outcome)


class Queries:
    """Sends queries and management commands of one saver. Lives on one event loop."""

    def __init__(self, transport: Transport, options: SaverOptions, stats: Stats) -> None:
        self._transport = transport
        self._stats = stats
        self._policy = RetryPolicy.of(options)
        self._slots = asyncio.Semaphore(options.max_queries)
        self._most = options.reads_per_query
        self._gathering: Gathering[Waiter] = Gathering(self._most)
        self._requests: dict[asyncio.Task[None], _Request] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Queries {self._gathering!r} shared={len(self._requests)}>"

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        """Run a query, retrying what is transient; `text` is one of `_kql`."""

        async def attempt() -> list[Table]:
            async with self._slots:
                self._stats.add("queries")
                return await self._transport.query(text, parameters)

        return await run(attempt, self._policy, what="query", count=self._stats.add)

    async def command(self, text: str) -> Table:
        """Run a management command, retrying what is transient; ours may all run twice."""

        async def attempt() -> Table:
            async with self._slots:
                return await self._transport.command(text)

        return await run(attempt, self._policy, what="management command", count=self._stats.add)

    async def read_latest(self, question: Question) -> list[Table]:
        """Answer `READ_LATEST`, alone when there is a free slot, else with others that wait."""
        saturated = self._slots.locked() or self._gathering
        if saturated and self._most > 1 and not self._closed:
            outcome = await self._share(question)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                return outcome
        return await self.query(_kql.READ_LATEST, question.parameters())

    async def _share(self, question: Question) -> Outcome:
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._gathering.add(question, waiter)
        self._start_requests()
        try:
            return await waiter
        finally:
            if waiter.cancelled():
                self._leave(waiter)

    def _leave(self, waiter: Waiter) -> None:
        """Somebody waits no longer; a request for nobody is not waited for either."""
        self._gathering.leave(waiter)
        for task, request in self._requests.items():
            if not (request.is_wanted if request.shares else self._gathering):
                task.cancel()

    def _start_requests(self) -> None:
        """See to it that enough requests wait for a slot to take all who gathered."""
        idle = sum(not request.shares for request in self._requests.values())
        while idle * self._most < len(self._gathering):
            request = _Request()
            task = asyncio.get_running_loop().create_task(self._serve(request))
            self._requests[task] = request
            task.add_done_callback(partial(self._served, request))
            idle += 1

    def _served(self, request: _Request, task: asyncio.Task[None]) -> None:
        """Whatever became of a request, nobody goes on waiting for it."""
        del self._requests[task]
        request.answer_all(SaverClosedError() if self._closed else None)
        if not self._closed:
            self._start_requests()

    async def _serve(self, request: _Request) -> None:
        """Wait for a slot, ask what has gathered by then, and answer everybody."""
        what = "query of several threads"
        try:
            tables = await run(
                partial(self._ask, request), self._policy, what=what, count=self._stats.add
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits gets it
            request.answer_all(error)
            return
        if len(request.shares) == 1:
            request.answer_all(tables)
        elif tables is not None:
            self._deal(request, tables)

    async def _ask(self, request: _Request) -> list[Table] | None:
        """One attempt; None: everybody has to ask alone."""
        async with self._slots:
            if not request.shares:
                request.shares = self._gathering.drain()
                self._start_requests()
            if not request.shares:
                return None
            self._stats.add("queries")
            questions = [share.question for share in request.shares]
            if len(questions) == 1:
                return await self._transport.query(_kql.READ_LATEST, questions[0].parameters())
            self._stats.add("shared_queries")
            try:
                return await self._transport.query(
                    _kql.READ_LATEST_SHARED, shared_parameters(questions)
                )
            except Exception as error:  # each asks alone, and hears its own
                if _of_the_way(error):
                    raise
                logger.info("asking %d threads one by one: %s", len(questions), error)
                return None

    def _deal(self, request: _Request, tables: list[Table]) -> None:
        try:
            found = deal(tables, [share.question for share in request.shares], Table)
        except (LookupError, TypeError, ValueError) as error:
            logger.info("asking %d threads one by one: %s", len(request.shares), error)
            return
        for share in request.shares:
            answer = found.get(share.question.thread_id)
            if answer is not None:
                self._stats.add("shared_reads", len(share.waiters))
            _answer(share, answer)

    async def aclose(self) -> None:
        """Stop at once: who still waits for a shared request gets `SaverClosedError`."""
        self._closed = True
        for waiter in self._gathering.clear():
            if not waiter.done():
                waiter.set_result(SaverClosedError())
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)


def _of_the_way(error: BaseException) -> bool:
    """Whether an error says nothing of what was asked: throttled, or no connection.

    Too slow is not among them: one thread among several may be why.
    """
    too_slow = isinstance(error.__cause__, (TimeoutError, asyncio.TimeoutError))  # one from 3.11 on
    unreachable = isinstance(error, ClusterUnreachableError) and not too_slow
    return unreachable or isinstance(error, ThrottledError)
