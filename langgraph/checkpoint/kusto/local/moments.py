"""Which moment a scan sees, where Kusto leaves it open.

Lives here: by seed, how far a scan may lag behind the newest commit, and for how long a table hides
what it took. Does not live here: applying it to rows (`tables`).

Rules:
- what was acknowledged before a query began, the query sees, unless visibility is delayed;
- what is committed and not acknowledged yet, one scan of a query may see and the next one not;
- no scan sees less than a finished `materialize()` of the same query did;
- a delayed table shows its commits in their order, and never hides one again; its views show them
  no later than it does.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

from .clock import TICKS_PER_SECOND, IngestionClock

# How many commits a scan may lag behind.
RECENT = 8
# Long enough that other requests come between, short enough for a test suite.
LONGEST_ACKNOWLEDGEMENT_SECONDS = 0.004
LONGEST_PAUSE_SECONDS = 0.002


class Moments:
    """What is acknowledged and what is only committed, over all tables of a file."""

    def __init__(
        self, clock: IngestionClock, now: Callable[[], int], seed: int, visibility: float
    ) -> None:
        self._clock = clock
        self._now = now
        self._seed = seed
        self._visibility = visibility
        self._random = random.Random(f"{seed}/acknowledgements")
        self._lock = threading.Lock()
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._pending: set[int] = set()
        self._acknowledged = clock.last

    @property
    def delayed(self) -> bool:
        """Whether tables hide what they took for a while."""
        return self._visibility > 0

    def stamp(self) -> int:
        """Return the ingestion time of a job whose rows are not acknowledged yet."""
        with self._lock:
            self._settle()
            tick = self._clock.next()
            self._pending.add(tick)
            self._recent.append(tick)
            return tick

    def acknowledge(self, written: Future[int], tick: Callable[[], int | None]) -> Future[int]:
        """Return a future that answers as the job does, sometimes a little later.

        Args:
            written: the job's own future.
            tick: tells what `stamp` gave the job; None when the job did not come so far.
        """
        answer: Future[int] = Future()
        with self._lock:
            late = self._random.random() < 0.3
            seconds = self._random.uniform(0.0, LONGEST_ACKNOWLEDGEMENT_SECONDS) if late else 0.0

        def finish() -> None:
            stamped = tick()
            if stamped is not None:
                self._answered(stamped)
            if not answer.set_running_or_notify_cancel():
                return
            error = written.exception()
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(written.result())

        def committed(_: Future[int]) -> None:
            if seconds:
                threading.Timer(seconds, finish).start()
            else:
                finish()

        written.add_done_callback(committed)
        return answer

    def begin(self, rng: random.Random) -> QueryMoments:
        """Return the moments of a query that begins now."""
        with self._lock:
            self._settle()
            floor = self._acknowledged
        return QueryMoments(self, floor, rng)

    def since(self, floor: int) -> list[int]:
        """Return the moments from `floor` up to the newest."""
        with self._lock:
            newest = max(self._clock.last, floor)
            return sorted({floor, newest, *(tick for tick in self._recent if tick > floor)})

    def shown_until(self, name: str) -> int | None:
        """Return up to which ingestion time a table or view shows rows; None is all."""
        if not self.delayed:
            return None
        # By its name a view answers from every record its source took, whatever is materialized
        # (materialized-view-overview.md, "Materialized views queries"): it is never behind its
        # source. That it may be ahead of it is no word of Kusto's: two scans share no moment.
        source = name.partition("/")[0]
        seconds = min(self._delay(each) for each in {source, name})
        return self._now() - int(seconds * TICKS_PER_SECOND)

    def _delay(self, name: str) -> float:
        chance = random.Random(f"{self._seed}/{name}")
        return chance.choice((0.0, 1.0, chance.random())) * self._visibility

    def _settle(self) -> None:
        """Count what a command wrote as acknowledged: it waits for its commit."""
        if self._clock.last not in self._pending:
            self._acknowledged = max(self._acknowledged, self._clock.last)

    def _answered(self, tick: int) -> None:
        with self._lock:
            self._pending.discard(tick)
            self._acknowledged = max(self._acknowledged, tick)


class QueryMoments:
    """The moments that the scans of one query see."""

    def __init__(self, moments: Moments, floor: int, rng: random.Random) -> None:
        self._moments = moments
        self._floor = floor
        self._random = rng
        self._fixing = 0
        self._fixed = floor
        # Kusto promises no common moment to the scans of a batch; often there is one all the same.
        self._common = rng.choice(moments.since(floor)) if rng.random() < 0.5 else None

    def until(self, name: str) -> int:
        """Return up to which ingestion time the next scan of a table or view sees rows."""
        moment = self._common
        if moment is None:
            if self._random.random() < 0.125:
                time.sleep(self._random.uniform(0.0, LONGEST_PAUSE_SECONDS))
            moment = self._random.choice(self._moments.since(self._floor))
        if self._fixing:
            self._fixed = max(self._fixed, moment)
        shown = self._moments.shown_until(name)
        return moment if shown is None else min(moment, shown)

    @contextmanager
    def fixing(self) -> Iterator[None]:
        """What is scanned inside, no later scan of the query sees less of."""
        self._fixing += 1
        try:
            yield
        finally:
            self._fixing -= 1
            if not self._fixing:
                self._floor = max(self._floor, self._fixed)


def stamped_by(moments: Moments) -> tuple[Callable[[], int], Callable[[], int | None]]:
    """Return what stamps one job, and what tells its stamp afterwards."""
    given: list[int] = []

    def stamp() -> int:
        given.append(moments.stamp())
        return given[-1]

    return stamp, partial(_last, given)


def _last(given: list[int]) -> int | None:
    return given[-1] if given else None
