"""Time of the local server, in Kusto's ticks.

Lives here: the tick arithmetic and the clock that stamps ingestion times. Does not live here:
parsing and formatting of datetimes, which belong to the KQL engine's `values`.
"""

from __future__ import annotations

import threading
import time

TICKS_PER_SECOND = 10_000_000
UNIX_EPOCH_TICKS = 621_355_968_000_000_000


def now_ticks() -> int:
    """Return the present moment in ticks of 100 ns since 0001-01-01T00:00:00Z."""
    return time.time_ns() // 100 + UNIX_EPOCH_TICKS


class IngestionClock:
    """Hands out ingestion times that never repeat and never go back.

    A materialized view without backfill is defined by "ingested after its creation", so two events
    must not share a tick, also across a restart with a clock that was set back.
    """

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return a tick later than every tick returned before."""
        with self._lock:
            self._last = max(now_ticks(), self._last + 1)
            return self._last
