"""Visibility: what queued ingestion acknowledged, and whether Kusto shows it by now.

Rules:
- Queued ingestion acknowledges rows minutes before any query shows them, and keeps no order between
  tables. A checkpoint row that refers to a large value is sent when Kusto shows the value, so that
  no reader of another process meets the row alone.
- What Kusto does not show in time was refused there, or is late; whoever waits gets an error, and
  where nobody waits it is kept for the next call. Rows stay in the overlay: they may still come.
- Kusto is asked at intervals of a quarter of the time waited, for everything that waits at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from . import _kql
from ._clock import TICKS_PER_SECOND, format_ticks
from ._commits import Commits, RunQuery
from ._memory import Memory
from ._values import BlobRef
from .errors import KustoCheckpointError, SaverClosedError, ServiceUnavailableError

logger = logging.getLogger(__name__)

_ASKED_AT_ONCE = 2_000
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 10.0
_LATE_TOLD = 10_000

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
        self._late: dict[str, None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Visibility waiting={len(self._waiting)} late={len(self._late)}>"

    def follow(self, ref: BlobRef, acknowledged: Acknowledged) -> asyncio.Future[None]:
        """Give a future that is done when Kusto shows a stored copy, and fails as it fails."""
        shown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.add_done_callback(partial(self._begin, ref, shown))
        return shown

    def watch(self) -> None:
        """See to it that what was acknowledged now shows up in time."""
        self._start("watch", self._watch)

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
        asked = [item.ref for item in list(self._waiting.values())[:_ASKED_AT_ONCE]]
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
        for identity in overlay.acknowledged_before(moment, _LATE_TOLD):
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


def _pause(waited: float) -> float:
    return min(max(waited / 4, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


def _fail(answer: asyncio.Future[None], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
