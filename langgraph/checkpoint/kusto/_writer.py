"""Writer: rows submitted by many callers, sent in as few requests as possible (group commit).

Rules:
- A batch leaves as soon as a request slot is free; while requests are in flight the next batch
  grows. In `buffered` mode it waits for `batch_size` rows or `flush_interval`, unless somebody
  flushes.
- Every submission gets exactly one answer: acknowledged, an error of its own, or closed.
- Rows that Kusto refuses for good (400, 413) must not fail their neighbours: the batch is halved
  until the guilty submission stands alone. Other permanent errors concern everyone and are given to
  everyone, unsplit.
- 429 halves the number of requests in flight; each success lets it grow again, by one a round.
- A retry may land rows twice; their identity makes that harmless.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from ._batch import Accumulator, Batch, Piece, cut
from ._retry import RetryPolicy, run
from ._schema import TABLES
from ._stats import Stats
from ._threads import run_in_thread
from ._values import OFF_LOOP_BYTES, Line
from .errors import BackpressureError, RowsRejectedError, SaverClosedError, ThrottledError
from .options import SaverOptions

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseException)


class Send(Protocol):
    """Sends one ingest request."""

    def __call__(self, table: str, mapping: str, payload: bytes) -> Awaitable[None]: ...


class Ticket:
    """The answer one submission waits for."""

    def __init__(self, answer: asyncio.Future[None]) -> None:
        self._pieces = 0
        self.answer = answer

    def expect(self, pieces: int) -> None:
        """Say how many pieces have to be acknowledged."""
        self._pieces = pieces

    def acknowledge(self) -> None:
        """One piece was acknowledged."""
        self._pieces -= 1
        if self._pieces == 0 and not self.answer.done():
            self.answer.set_result(None)

    def fail(self, error: BaseException) -> None:
        """One piece failed, and with it the submission."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Intake:
    """Bytes accepted and not yet answered. Full means wait, then a named error.

    A submission larger than the bound is admitted when nothing else is in.
    """

    def __init__(self, bound_bytes: int, timeout: float) -> None:
        self._bound_bytes = bound_bytes
        self._timeout = timeout
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.size_bytes = 0

    def __repr__(self) -> str:
        return f"<Intake bytes={self.size_bytes}/{self._bound_bytes} waiting={len(self._waiters)}>"

    async def admit(self, size_bytes: int) -> None:
        """Wait for room; give it back with `release`.

        Raises:
            BackpressureError: There was no room for the whole timeout.
        """
        if self.has_room(size_bytes):
            self.size_bytes += size_bytes
            return
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (size_bytes, room)
        self._waiters.append(waiter)
        try:  # not `wait_for`, which before Python 3.12 can swallow a cancellation
            await asyncio.wait([room], timeout=self._timeout)
        except asyncio.CancelledError:
            if room.done():
                self.release(size_bytes)
            else:
                self._leave(waiter)
            raise
        if not room.done():
            full = f"{self.size_bytes} of {self._bound_bytes} bytes"
            self._leave(waiter)
            raise BackpressureError(
                f"no room for {size_bytes} bytes in {self._timeout:g} s: {full} are waiting to be"
                " acknowledged by Kusto; write less at a time, raise intake_bytes, or look at why"
                " ingestion is slow"
            )

    def release(self, size_bytes: int) -> None:
        """Give room back."""
        self.size_bytes -= size_bytes
        self._admit_waiters()

    def has_room(self, size_bytes: int) -> bool:
        """Whether it would be admitted without waiting."""
        return not self._waiters and self._fits(size_bytes)

    def _fits(self, size_bytes: int) -> bool:
        return self.size_bytes == 0 or self.size_bytes + size_bytes <= self._bound_bytes

    def _leave(self, waiter: tuple[int, asyncio.Future[None]]) -> None:
        self._waiters.remove(waiter)
        self._admit_waiters()  # it may have been the one too large to fit

    def _admit_waiters(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size_bytes, room = self._waiters.popleft()
            self.size_bytes += size_bytes
            room.set_result(None)


class Writer:
    """Accumulates rows by table and keeps ingest requests in flight. Lives on one event loop."""

    def __init__(self, send: Send, options: SaverOptions, stats: Stats) -> None:
        self._send_request = send
        self._options = options
        self._stats = stats
        self._policy = RetryPolicy.of(options)
        self._accumulators = {table.name: Accumulator[Ticket](table.name) for table in TABLES}
        self._mappings = {table.name: table.mapping for table in TABLES}
        self._requests: set[asyncio.Task[None]] = set()
        self._limit = float(options.max_in_flight)
        self._urgent = 0
        self._pump_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        rows = sum(item.row_count for item in self._accumulators.values())
        state = "closed" if self._closed else "open"
        return (
            f"<Writer {state} rows={rows} in_flight={len(self._requests)} limit={self._limit:.1f}>"
        )

    @property
    def in_flight(self) -> int:
        """Ingest requests sent and not yet answered."""
        return len(self._requests)

    @property
    def waiting_rows(self) -> int:
        """Rows submitted and not yet sent."""
        return sum(item.row_count for item in self._accumulators.values())

    def submit(
        self, table: str, rows: Sequence[Line], arrived: float | None = None
    ) -> asyncio.Future[None]:
        """Accept rows that belong together; the future tells when Kusto acknowledged them all.

        Cancelling the future does not take the rows back.

        Args:
            table: Where they go.
            rows: The rows, as JSON, or what becomes JSON when their request leaves.
            arrived: Loop time since which their caller waits, the present by default.

        Raises:
            SaverClosedError: The writer is closed.
        """
        if self._closed:
            raise SaverClosedError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        ticket = Ticket(answer)
        pieces = cut(ticket, rows, loop.time() if arrived is None else arrived)
        if not pieces:  # nothing to send is acknowledged at once
            answer.set_result(None)
        ticket.expect(len(pieces))
        self._accumulators[table].add(pieces)
        if not self._pump_scheduled:  # everyone who submits in this turn of the loop shares
            self._pump_scheduled = True
            loop.call_soon(self._pump)
        return answer

    def hurry(self) -> None:
        """Send without waiting for full batches, until `relax` is called as often."""
        self._urgent += 1
        self._pump()

    def relax(self) -> None:
        """End one `hurry`."""
        self._urgent -= 1

    async def aclose(self) -> None:
        """Stop at once: whoever still waits gets `SaverClosedError`. Drain before."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for accumulator in self._accumulators.values():
            for piece in accumulator.clear():
                piece.owner.fail(SaverClosedError())
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    def _pump(self) -> None:
        """Send every batch that is due while there are free slots."""
        self._pump_scheduled = False
        now = asyncio.get_running_loop().time()
        while len(self._requests) < int(self._limit):
            due = [item for item in self._accumulators.values() if item and self._due(item, now)]
            if not due:
                break
            batch = min(due, key=lambda item: item.oldest).drain()
            task = asyncio.get_running_loop().create_task(self._deliver(batch))
            self._requests.add(task)
            task.add_done_callback(partial(self._delivered, batch))
        self._set_timer(now)

    def _due(self, accumulator: Accumulator[Ticket], now: float) -> bool:
        if self._options.write_mode == "acknowledged" or self._urgent:
            return True
        waited = now - accumulator.oldest
        return (
            accumulator.row_count >= self._options.batch_size
            or waited >= self._options.flush_interval
        )

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [item.oldest for item in self._accumulators.values() if item]
        if waiting and self._options.write_mode == "buffered" and not self._closed:
            # The same difference as in `_due`, so that "not due" always means more than zero.
            due_in = self._options.flush_interval - (now - min(waiting))
            # When all slots are taken the next answer pumps; a timer of zero would spin.
            if due_in > 0:
                self._timer = asyncio.get_running_loop().call_later(due_in + 0.001, self._pump)

    def _delivered(self, batch: Batch[Ticket], task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if task.cancelled():  # here, because a task cancelled before its first step runs no code
            self._fail(batch.pieces, SaverClosedError())
        if not self._closed:
            self._pump()

    async def _deliver(self, batch: Batch[Ticket]) -> None:
        """Send a batch and answer everyone in it, whatever happens."""
        try:
            await self._send_with_retry(batch)
        except RowsRejectedError as error:
            await self._isolate(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits gets it
            if not getattr(error, "retriable", True):
                logger.error("%d rows for %s refused: %s", batch.row_count, batch.table, error)
            self._fail(batch.pieces, error)
        else:
            for piece in batch.pieces:
                piece.owner.acknowledge()

    async def _isolate(self, batch: Batch[Ticket], error: RowsRejectedError) -> None:
        if len(batch.pieces) == 1:
            logger.error("%d rows for %s refused: %s", batch.row_count, batch.table, error)
            self._fail(batch.pieces, error)
            return
        for half in batch.halves():
            await self._deliver(half)

    async def _send_with_retry(self, batch: Batch[Ticket]) -> None:
        if batch.late_bytes > OFF_LOOP_BYTES:
            payload = await run_in_thread(batch.payload)
        else:
            payload = batch.payload()
        await run(
            lambda: self._send_once(batch, payload),
            self._policy,
            what=f"ingestion of {batch.row_count} rows into {batch.table}",
            count=self._stats.add,
        )

    async def _send_once(self, batch: Batch[Ticket], payload: bytes) -> None:
        self._stats.add("ingest_requests")
        self._stats.add("ingest_rows", batch.row_count)
        self._stats.add("ingest_bytes", len(payload))
        try:
            await self._send_request(batch.table, self._mappings[batch.table], payload)
        except ThrottledError:
            self._limit = max(1.0, self._limit / 2)
            raise
        self._limit = min(float(self._options.max_in_flight), self._limit + 1 / self._limit)

    @staticmethod
    def _fail(pieces: Sequence[Piece[Ticket]], error: BaseException) -> None:
        for place, piece in enumerate(pieces):
            piece.owner.fail(error if place == 0 else copy_of(error))


def copy_of(error: E) -> E:
    """The same error for another waiter: one object would collect the tracebacks of all."""
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    again.__traceback__ = None
    return again
