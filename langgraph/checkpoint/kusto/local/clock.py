"""Time of the local server, in Kusto's ticks.

Lives here: the tick arithmetic, the clock that tests can set forward, and the clock that stamps
ingestion times. Does not live here: parsing and formatting of datetimes, which belong to the KQL
engine's `values`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND
UNIX_EPOCH_TICKS = 621_355_968_000_000_000


def now_ticks() -> int:
    """Return the present moment in ticks of 100 ns since 0001-01-01T00:00:00Z."""
    return time.time_ns() // 100 + UNIX_EPOCH_TICKS


class ServerClock:
    """The present moment as one server sees it: real time, set forward by tests."""

    def __init__(self) -> None:
        self._ahead = 0

    def now(self) -> int:
        """Return the server's present moment in ticks."""
        return now_ticks() + self._ahead

    def advance(self, days: float) -> None:
        """Set the clock forward.

        Raises:
            ValueError: it would go back.
        """
        if not days >= 0:
            raise ValueError(f"the clock goes forward only, not by {days} days")
        self._ahead += int(days * TICKS_PER_DAY)

    def not_before(self, moment: int) -> None:
        """Set the clock forward to a moment it has shown already, before a restart."""
        self._ahead = max(self._ahead, moment - now_ticks())


class IngestionClock:
    """Hands out ingestion times that never repeat and never go back.

    A materialized view without backfill is defined by "ingested after its creation", so two events
    must not share a tick, also across a restart with a clock that was set back.
    """

    def __init__(self, last: int = 0, now: Callable[[], int] = now_ticks) -> None:
        self._last = last
        self._now = now
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The latest tick that was handed out, by this clock or before it."""
        return self._last

    def next(self) -> int:
        """Return a tick later than every tick returned before."""
        with self._lock:
            self._last = max(self._now(), self._last + 1)
            return self._last
