"""Time as Kusto counts it, and the hybrid logical clock (pure: the present is an argument).

A tick is 100 ns, counted from the year 1, as in Kusto's `datetime`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

_EPOCH_TICKS = 621_355_968_000_000_000  # 1970-01-01 in ticks
_GREGORIAN_TICKS = 499_163_040_000_000_000  # 1582-10-15, from which UUIDs count (RFC 9562, 5.1)
_UUID6 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-6([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_YEAR_ONE = datetime(1, 1, 1)
TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND

MAX_AHEAD_TICKS = TICKS_PER_DAY
"""A time further ahead than this is a broken clock, which must not push ours to the year 9999."""


def ticks_from_unix_ns(nanoseconds: int) -> int:
    """Turn `time.time_ns()` into ticks."""
    return _EPOCH_TICKS + nanoseconds // 100


def format_ticks(ticks: int) -> str:
    """Write ticks as Kusto does, with seven decimals: text order is time order."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND)
    return f"{_format_second(seconds)}.{rest:07}Z"


@lru_cache(maxsize=64)  # all rows of a second, and there are many
def _format_second(seconds: int) -> str:
    moment = _YEAR_ONE + timedelta(seconds=seconds)
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"


def parse_ticks(text: str) -> int:
    """Read a Kusto `datetime` in its result form, exact to the tick."""
    body = text.removesuffix("Z")
    whole, _, fraction = body.partition(".")
    return _parse_second(whole) * TICKS_PER_SECOND + int(fraction.ljust(7, "0")[:7])


@lru_cache(maxsize=256)
def _parse_second(text: str) -> int:
    since = datetime.fromisoformat(text) - _YEAR_ONE
    return since.days * 86_400 + since.seconds


def ticks_of_id(text: str) -> int | None:
    """Read when an id was made; None when it does not tell.

    LangGraph's ids are UUIDs of version 6, whose time stands in them from the greatest bits on
    (RFC 9562, 5.6), in ticks.
    """
    match = _UUID6.fullmatch(text)
    return None if match is None else _GREGORIAN_TICKS + int("".join(match.groups()), 16)


class HybridClock:
    """Issue times that respect what this process has issued or read, whatever the clocks say.

    Rules: a time issued is later than every time issued or observed before; without disturbance it
    is the present. Times more than a day ahead are not followed.
    """

    def __init__(self) -> None:
        self._largest = 0

    def __repr__(self) -> str:
        return f"<HybridClock largest={self._largest}>"

    def issue(self, now: int) -> int:
        """Return the next time, at least `now`."""
        self._largest = max(now, self._largest + 1)
        return self._largest

    def observe(self, ticks: int, now: int) -> bool:
        """Follow a time that was read; tell whether it was believable."""
        if ticks > now + MAX_AHEAD_TICKS:
            return False
        self._largest = max(self._largest, ticks)
        return True
