"""Commits: from rows accepted to rows acknowledged, and nothing lost in between.

Rules:
- Admission first: bytes not yet acknowledged and rows not yet visible are both bounded; full means
  wait, then `BackpressureError`.
- Each commit is one task. Cancelling the caller does not stop it, so that a put is whole or absent
  and never of two shapes; it is undone (forgotten locally) only when it failed.
- What fails with nobody waiting is kept and raised on the next call, on `flush` and on close.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from . import _kql
from ._clock import format_ticks
from ._memory import Memory
from ._overlay import Unconfirmed
from ._transport import Table
from ._writer import Intake, Writer, copy_of
from .errors import BackpressureError, SaverClosedError
from .options import SaverOptions

if TYPE_CHECKING:
    from typing_extensions import LiteralString

logger = logging.getLogger(__name__)

_CONFIRM_FROM_ROWS = 1_000  # reads look through a thread's rows in the overlay
_CONFIRM_LIMIT = 2_000
_CONFIRM_PAUSE_SECONDS = 0.2


class RunQuery(Protocol):
    """Runs one of the texts of `_kql`."""

    async def __call__(
        self, text: LiteralString, parameters: Mapping[str, str | int]
    ) -> list[Table]: ...


@dataclass(frozen=True)
class _Commit:
    """What a task of the core writes, and how to forget it."""

    what: str
    undo: Callable[[], None]
    listener: Callable[[asyncio.Task[None]], None]
    """Keeps a failure that nobody waits for."""


class Commits:
    """The commits of one core, on its event loop."""

    def __init__(
        self, writer: Writer, memory: Memory, options: SaverOptions, query: RunQuery
    ) -> None:
        self._writer = writer
        self._memory = memory
        self._options = options
        self._query = query
        self._intake = Intake(options.intake_bytes, options.intake_timeout)
        self._running: dict[asyncio.Task[None], _Commit] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[int] | None = None
        self._confirming = asyncio.Lock()
        self._closing = False

    def __repr__(self) -> str:
        return f"<Commits running={len(self._running)} {self._intake!r}>"

    async def run(
        self,
        send: Callable[[], Awaitable[None]],
        undo: Callable[[], None],
        size_bytes: int,
        what: str,
    ) -> None:
        """Run `send` as a task of the core, and wait for it in `acknowledged` mode.

        Cancelling the caller leaves the task alone: the rows may still be written, and a failure is
        then kept for the next call.
        """

        async def commit() -> None:
            try:
                await send()
            except BaseException:
                undo()
                raise
            finally:
                self._intake.release(size_bytes)

        task = asyncio.get_running_loop().create_task(commit())
        listener = partial(self._keep_failure, what)
        self._running[task] = _Commit(what, undo, listener)
        task.add_done_callback(self._forget)
        if self._options.write_mode == "buffered":
            task.add_done_callback(listener)
            return
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._closing and task.cancelled():
                raise SaverClosedError from None
            if task not in self._given_up:  # else closing has noted it
                task.add_done_callback(listener)
            raise

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)

    def _keep_failure(self, what: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # `asyncio.run` cancels every task before it closes the loop
            self._note_lost_with_the_loop(what)
        elif (error := task.exception()) is not None:
            self._note_lost(what, str(error))

    def _note_lost(self, what: str, why: str) -> None:
        logger.error("%s was not written: %s", what, why)
        self._memory.add_failure(f"{what}: {why}")

    def _note_lost_with_the_loop(self, what: str) -> None:
        logger.error("%s was not written: the event loop ended", what)
        self._memory.add_failure(what, loop_lost=True)

    def raise_failures(self) -> None:
        """Raise what failed in the background since the last call."""
        error = self._memory.take_failures()
        if error is not None:
            raise error

    def release(self, size_bytes: int) -> None:
        """Give back the room of something admitted that was not committed after all."""
        self._intake.release(size_bytes)

    @contextmanager
    def undoing(self, size_bytes: int, undo: Callable[[], None]) -> Iterator[None]:
        """What happens between admission and `run`: if it fails, room and memory are as before."""
        try:
            yield
        except BaseException:
            self.release(size_bytes)
            undo()
            raise

    async def admit(self, size_bytes: int) -> None:
        """Wait for room in the intake and the overlay, `intake_timeout` in all.

        Raises:
            BackpressureError: There was none for so long.
            ServiceError: Kusto did not say which rows of the full overlay it shows.
            SaverClosedError: The saver was closed meanwhile; no drain waits for what comes now.
        """
        if self._intake.has_room(size_bytes) and not self._overlay_is_full(size_bytes):
            await self._take_room(size_bytes)
        else:
            # Rows that wait for a full batch or for `flush_interval` would keep the room till then.
            self._writer.hurry()
            try:
                await self._take_room(size_bytes)
            finally:
                self._writer.relax()
        overlay, bound = self._memory.overlay, self._options.overlay_bytes
        full = overlay.size_bytes > bound // 2 or len(overlay) > _CONFIRM_FROM_ROWS
        if full and not self._confirming.locked():
            self._ask()

    async def _take_room(self, size_bytes: int) -> None:
        deadline = asyncio.get_running_loop().time() + self._options.intake_timeout
        await self._intake.admit(size_bytes)
        try:
            await self._make_room(size_bytes, deadline)
            if self._closing:
                raise SaverClosedError
        except BaseException:
            self._intake.release(size_bytes)
            raise

    def _overlay_is_full(self, size_bytes: int) -> bool:
        held = self._memory.overlay.size_bytes
        return bool(held) and held + size_bytes > self._options.overlay_bytes

    async def _make_room(self, size_bytes: int, deadline: float) -> None:
        """Ask Kusto what it shows by now until the overlay has room."""
        overlay, loop = self._memory.overlay, asyncio.get_running_loop()
        while self._overlay_is_full(size_bytes) and not self._closing:
            if loop.time() >= deadline:
                raise BackpressureError(
                    f"{overlay.size_bytes} bytes are acknowledged but not visible in Kusto after"
                    f" {self._options.intake_timeout:g} s; raise overlay_bytes, or look at why"
                    " ingested rows do not show"
                )
            asked = self._ask()
            # Others may wait for the same answer, and it serves whoever comes after this gave up.
            await asyncio.wait([asked], timeout=deadline - loop.time())
            if asked.done() and not _dropped(asked):
                await asyncio.sleep(min(_CONFIRM_PAUSE_SECONDS, max(0.0, deadline - loop.time())))

    def _ask(self) -> asyncio.Task[int]:
        """Confirm for whoever needs room: all share one task, which nobody's leaving ends."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self.confirm())
            self._asking.add_done_callback(_log_failure)
        return self._asking

    async def confirm(self, expired_before: int = 0) -> int:
        """Ask which acknowledged rows are visible, and drop those; give their number.

        Dropped, too: what was acknowledged before `expired_before` and Kusto does not have. It had
        it, and retention or a purge has taken it.
        """
        overlay = self._memory.overlay
        async with self._confirming:
            # All of them, also when the oldest never show: queued rows may be refused for good.
            groups = overlay.unconfirmed(_CONFIRM_LIMIT)
            expired = overlay.acknowledged_before(expired_before)
            dropped = 0
            for asked in groups:
                gone = {*await self._shown(asked), *asked.among(expired)}
                overlay.remove(gone)
                dropped += len(gone)
            return dropped

    async def _shown(self, asked: Unconfirmed) -> list[str]:
        """What of it is visible with all its rows."""
        checkpoints, *counted = await self._query(
            _kql.CONFIRM,
            {
                "p_since": f"datetime({format_ticks(asked.oldest)})",  # not a string: a literal
                "p_checkpoints": ",".join(asked.checkpoints),
                "p_blobs": ",".join(asked.blobs),
                "p_writes": ",".join(asked.writes),
                "p_tombstones": ",".join(asked.tombstones),
            },
        )
        overlay = self._memory.overlay
        shown = [row[0] for row in checkpoints.rows]
        for table in counted:
            shown += [row[0] for row in table.rows if row[1] == overlay.row_count_of(row[0])]
        return shown

    async def flush(self) -> None:
        """Wait until everything accepted so far is answered.

        Raises:
            WriteFailedError: Something accepted earlier was not written.
        """
        self._writer.hurry()
        try:
            if self._running:
                await asyncio.wait(list(self._running))
        finally:
            self._writer.relax()
        self.raise_failures()

    async def drain(self) -> None:
        """Wait within `close_timeout`, note what was not written, then stop the writer."""
        self._closing = True
        self._writer.hurry()
        if self._running:
            await asyncio.wait(list(self._running), timeout=self._options.close_timeout)
        left = dict(self._running)
        self._given_up.update(left)
        for task, commit in left.items():
            task.remove_done_callback(commit.listener)
            self._note_lost(
                commit.what, f"not acknowledged within {self._options.close_timeout:g} s"
            )
        await self._writer.aclose()
        ended: list[asyncio.Task[Any]] = [*left]
        if self._asking is not None:
            ended.append(self._asking)
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def abandon(self) -> None:
        """Give up a core whose event loop is gone; called from outside of it."""
        for commit in list(self._running.values()):
            commit.undo()
            if self._options.write_mode == "buffered":
                self._note_lost_with_the_loop(commit.what)
            else:
                logger.warning(
                    "the event loop ended during %s; its outcome is unknown", commit.what
                )
        self._running.clear()


def _dropped(asked: asyncio.Task[int]) -> int:
    """How many rows an answer let go of; raises what the question failed with."""
    if asked.cancelled():  # the saver is being closed
        return 0
    error = asked.exception()
    if error is not None:
        raise copy_of(error)
    return asked.result()


def _log_failure(asked: asyncio.Task[int]) -> None:
    """Tell of a question that failed; a put that waits for the answer raises it, too."""
    if not asked.cancelled() and (error := asked.exception()) is not None:
        logger.warning("could not ask which rows are visible: %s", error)
