"""Visibility: what queued ingestion acknowledged, and whether Kusto shows it by now.

Rules:
- Queued ingestion acknowledges rows minutes before any query shows them, and keeps no order between
  tables. A checkpoint row that refers to a large value is sent when Kusto shows the value, so that
  no reader of another process meets the row alone.
- What Kusto does not show in time was refused there, or is late; whoever waits gets an error, and
  where nobody waits it is kept for the next call. Rows stay in the overlay: they may still come.
- The time counts from the acknowledgement, not from when a row was made: it may have waited for its
  large values in between.
- Rows that were sent once more, for the sake of their age, are shown already. They have landed when
  Kusto shows them with a new time of ingestion; if they have not in time, ages are asked for anew.
- Kusto is asked at intervals of a quarter of the time waited, for everything that waits at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from . import _kql
from ._clock import TICKS_PER_SECOND, format_ticks
from ._commits import Commits, RunQuery
from ._memory import Memory
from ._sent_again import SentAgain, questions, shown
from ._transport import understood
from ._values import BlobRef
from .errors import KustoCheckpointError, SaverClosedError, ServiceUnavailableError

logger = logging.getLogger(__name__)

_ASKED_AT_ONCE = 2_000  # ids of our own, 33 letters and digits each
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 10.0
# Clocks may differ by less; rows that are sent once more are a day old at least.
_CLOCKS_DIFFER_TICKS = 3_600 * TICKS_PER_SECOND

Acknowledged = asyncio.Future[None]


@dataclass(frozen=True)
class _Waiting:
    """A stored copy that Kusto does not show yet."""

    ref: BlobRef
    shown: asyncio.Future[None]
    since: float


class Visibility:
    """Follows rows from acknowledged to shown. Lives on one event loop.

    Args:
        query: Runs a query.
        commits: Asks which rows of the overlay are shown.
        memory: Keeps failures that nobody waits for.
        timeout: Seconds Kusto has to show a row.
        now: The present, in ticks.
    """

    def __init__(
        self,
        query: RunQuery,
        commits: Commits,
        memory: Memory,
        timeout: float,
        now: Callable[[], int],
    ) -> None:
        self._query = query
        self._commits = commits
        self._memory = memory
        self._timeout = timeout
        self._now = now
        self._waiting: dict[str, _Waiting] = {}
        self._again: dict[SentAgain, int] = {}
        self._late: dict[str, None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def __repr__(self) -> str:
        waiting, again = len(self._waiting), len(self._again)
        return f"<Visibility waiting={waiting} again={again} late={len(self._late)}>"

    def follow(self, ref: BlobRef, acknowledged: Acknowledged) -> asyncio.Future[None]:
        """Give a future that is done when Kusto shows a stored copy, and fails as it fails."""
        shown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.add_done_callback(partial(self._begin, ref, shown))
        return shown

    def watch(self) -> None:
        """See to it that what was acknowledged now shows up in time."""
        self._start("watch", self._watch)

    def watch_again(self, sent: Sequence[SentAgain]) -> None:
        """See to it that rows which were sent once more land in time."""
        self._again.update(dict.fromkeys(sent, self._now()))
        self._start("again", self._watch_again)

    def abandon(self) -> None:
        """Give up: the event loop is gone. What was not seen to land is asked for anew."""
        if self._again:
            self._memory.forget_lineages()

    async def aclose(self) -> None:
        """Stop; who still waits gets `SaverClosedError`."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for waiting in self._waiting.values():
            _fail(waiting.shown, SaverClosedError())
        self._waiting.clear()

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        running = self._tasks.get(name)
        if not self._closed and (running is None or running.done()):
            self._tasks[name] = asyncio.ensure_future(work())

    # -- large values, which somebody waits for ----------------------------------------------------

    def _begin(self, ref: BlobRef, shown: asyncio.Future[None], acknowledged: Acknowledged) -> None:
        if acknowledged.cancelled() or self._closed:
            _fail(shown, SaverClosedError())
        elif (error := acknowledged.exception()) is not None:
            _fail(shown, error)
        else:
            since = asyncio.get_running_loop().time()
            self._waiting[ref.blob_id] = _Waiting(ref, shown, since)
            self._start("poll", self._poll)

    async def _poll(self) -> None:
        """Ask until nothing waits."""
        try:
            while self._waiting:
                await self._ask_quietly()
                now = asyncio.get_running_loop().time()
                self._give_up(now)
                youngest = max((item.since for item in self._waiting.values()), default=now)
                await asyncio.sleep(_pause(now - youngest))
        except Exception as error:  # whatever it is, whoever waits gets it
            for waiting in self._waiting.values():
                _fail(waiting.shown, error)
            self._waiting.clear()
            raise

    async def _ask_quietly(self) -> None:
        try:
            await self._ask()
        except KustoCheckpointError as error:  # asked again; whoever waits has a deadline
            logger.warning("could not ask which large values are shown: %s", error)

    async def _ask(self) -> None:
        refs = [item.ref for item in self._waiting.values()]
        for start in range(0, len(refs), _ASKED_AT_ONCE):
            await self._ask_for(refs[start : start + _ASKED_AT_ONCE])

    async def _ask_for(self, asked: Sequence[BlobRef]) -> None:
        tables = await self._query(
            _kql.CONFIRM,
            {
                "p_since": f"datetime({format_ticks(min(ref.written_at for ref in asked))})",
                "p_checkpoints": "",
                "p_blobs": ",".join(ref.blob_id for ref in asked),
                "p_writes": "",
                "p_tombstones": "",
            },
        )
        for blob_id, rows in tables[1].rows:
            waiting = self._waiting.get(blob_id)
            if waiting is not None and rows == waiting.ref.chunks:
                del self._waiting[blob_id]
                if not waiting.shown.done():
                    waiting.shown.set_result(None)

    def _give_up(self, now: float) -> None:
        for blob_id, waiting in list(self._waiting.items()):
            if now - waiting.since > self._timeout:
                del self._waiting[blob_id]
                _fail(
                    waiting.shown,
                    ServiceUnavailableError(
                        f"Kusto took a large value into its queue {self._timeout:g} s ago and does"
                        " not show it, so the checkpoint was not sent; look at `.show ingestion"
                        " failures` and the batching policy, or raise queued_timeout"
                    ),
                )

    # -- everything else, which nobody waits for ---------------------------------------------------

    async def _watch(self) -> None:
        """Ask at intervals while something is not shown; keep what is late as a failure."""
        overlay, began = self._memory.overlay, asyncio.get_running_loop().time()
        while overlay.has_acknowledged:
            waited = asyncio.get_running_loop().time() - began
            await asyncio.sleep(min(_pause(waited), self._timeout))
            try:
                await self._commits.confirm()
            except KustoCheckpointError as error:  # asked again
                logger.warning("could not ask which rows are shown: %s", error)
                continue
            self._tell_late()

    def _tell_late(self) -> None:
        overlay = self._memory.overlay
        moment = self._now() - int(self._timeout * TICKS_PER_SECOND)
        for identity in overlay.acknowledged_before(moment):
            if identity in self._late:
                continue
            self._late[identity] = None
            what = f"{identity} of thread {overlay.thread_of(identity)!r}"
            logger.error("Kusto took %s into its queue and does not show it", what)
            self._memory.add_failure(
                f"{what}: queued more than {self._timeout:g} s ago and not shown by Kusto; see"
                " `.show ingestion failures`"
            )
        for identity in [known for known in self._late if not overlay.row_count_of(known)]:
            del self._late[identity]

    # -- rows that were sent once more -------------------------------------------------------------

    async def _watch_again(self) -> None:
        """Ask at intervals until all have landed; keep what is late as a failure."""
        began = asyncio.get_running_loop().time()
        while self._again:
            waited = asyncio.get_running_loop().time() - began
            await asyncio.sleep(min(_pause(waited), self._timeout))
            try:
                for group in questions(list(self._again), _ASKED_AT_ONCE):
                    for item in await self._landed(group):
                        self._again.pop(item, None)
            except KustoCheckpointError as error:  # asked again
                logger.warning("could not ask which rows have landed again: %s", error)
                continue
            self._tell_late_again()

    async def _landed(self, group: Sequence[SentAgain]) -> list[SentAgain]:
        since = min(self._again[item] for item in group) - _CLOCKS_DIFFER_TICKS
        tables = await self._query(
            _kql.CONFIRM_AGAIN[group[0].table],
            {
                "p_ids": ",".join(item.identity for item in group),
                "p_low": group[0].low,
                "p_high": group[0].high,
                "p_since": f"datetime({format_ticks(since)})",
            },
        )
        with understood():
            return shown(group, {row[0]: row[1] for row in tables[0].rows})

    def _tell_late_again(self) -> None:
        moment = self._now() - int(self._timeout * TICKS_PER_SECOND)
        late = [item for item, at in self._again.items() if at < moment]
        rows: Counter[str] = Counter()
        for item in late:
            del self._again[item]
            rows[item.thread_id] += item.rows
        for thread_id, count in rows.items():
            logger.error("Kusto took %d rows of thread %r once more, in vain", count, thread_id)
            self._memory.add_failure(
                f"{count} rows of thread {thread_id!r} that retention would take too soon: queued"
                f" once more, more than {self._timeout:g} s ago, and not shown by Kusto; see `.show"
                " ingestion failures`; the next put of the thread sends them again"
            )
        if late:
            self._memory.forget_lineages()


def _pause(waited: float) -> float:
    return min(max(waited / 4, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


def _fail(answer: asyncio.Future[None], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
