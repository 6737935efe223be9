"""Retention: how long Kusto keeps what, and from which age on a put stores a thing again (pure).

Kusto drops rows by the time of their ingestion. With R the period of the view, the time a thread
may rest:
- checkpoints are kept longer than R, so that a checkpoint of age R still has ancestors that were
  younger than the difference when it was put;
- blobs are kept longer than checkpoints, so that a row never refers to an expired blob;
- so are writes: an ancestor whose row is gone is missed, one whose writes are gone is not.
The differences decide, not R itself: any R will do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

import orjson

from ._clock import TICKS_PER_DAY, TICKS_PER_SECOND
from ._schema import (
    BLOBS,
    CHECKPOINTS,
    FOREVER_DAYS,
    LATEST,
    RENEWAL_DAYS,
    TOMBSTONES,
    WRITES,
    change_retention,
)

YOUNG_TICKS = TICKS_PER_DAY
"""What is younger is relied upon without asking for the policies."""

_FRESH_TICKS = 3_600 * TICKS_PER_SECOND  # policies are read at most hourly
_SLACK_TICKS = 3_600 * TICKS_PER_SECOND  # clocks, retries, a flush interval
_FOREVER_TICKS = FOREVER_DAYS // 10 * TICKS_PER_DAY  # a century: nothing expires
_PERIOD = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")


@dataclass(frozen=True)
class Ages:
    """In ticks: what is older is stored again rather than relied upon."""

    values: int
    ancestors: int


ALWAYS = Ages(0, 0)
"""While the policies are not known: whatever is not young is stored again."""


@dataclass(frozen=True)
class Periods:
    """How long Kusto keeps what, in ticks."""

    checkpoints: int
    writes: int
    blobs: int
    tombstones: int
    view: int

    @property
    def ages(self) -> Ages:
        """The ages that follow."""
        rows = min(self.checkpoints, self.writes)
        return Ages(_age(self.blobs, self.checkpoints), _age(rows, self.view))

    def remedies(self) -> list[str]:
        """Management commands that mend periods under which threads in use would lose parts."""
        found: list[str] = []
        wanted, rows = _days(self.view) + RENEWAL_DAYS, self.checkpoints
        if _age(self.checkpoints, self.view) < YOUNG_TICKS:
            found.append(change_retention(CHECKPOINTS, wanted))
            rows = wanted * TICKS_PER_DAY
        beyond = _days(rows) + RENEWAL_DAYS
        if _age(self.writes, rows) < YOUNG_TICKS:
            found.append(change_retention(WRITES, beyond))
        if _age(self.blobs, rows) < YOUNG_TICKS:
            found.append(change_retention(BLOBS, beyond))
        if self.tombstones < _FOREVER_TICKS:
            found.append(change_retention(TOMBSTONES, FOREVER_DAYS))
        return found


def _days(ticks: int) -> int:
    return -(-ticks // TICKS_PER_DAY)


def _age(longer: int, shorter: int) -> int:
    if longer >= _FOREVER_TICKS:
        return RENEWAL_DAYS * TICKS_PER_DAY
    return max(0, min(RENEWAL_DAYS * TICKS_PER_DAY, longer - shorter - _SLACK_TICKS))


_NAMES = {
    "checkpoints": CHECKPOINTS,
    "writes": WRITES,
    "blobs": BLOBS,
    "tombstones": TOMBSTONES,
    "view": LATEST,
}


def periods_from(policies: Mapping[str, object]) -> Periods | None:
    """Read the retention policies in effect, by the name of the table or view.

    None when one of them is missing or of another form than documented.
    """
    found = {field.name: _period(policies.get(_NAMES[field.name])) for field in fields(Periods)}
    known = {name: period for name, period in found.items() if period is not None}
    return Periods(**known) if len(known) == len(found) else None


def _period(policy: object) -> int | None:
    """Read one policy; an entity without any keeps its rows for ever (retention-policy)."""
    if policy is None:
        return None
    try:
        body = orjson.loads(str(policy) or "null")
    except orjson.JSONDecodeError:
        return None
    if body is None:
        return FOREVER_DAYS * TICKS_PER_DAY
    text = body.get("SoftDeletePeriod") if isinstance(body, dict) else None
    match = _PERIOD.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    in_seconds = hours * 3_600 + minutes * 60 + seconds
    return days * TICKS_PER_DAY + in_seconds * TICKS_PER_SECOND


class Retention:
    """What one process knows of the policies."""

    def __init__(self) -> None:
        self._periods: Periods | None = None
        self._read_at: int | None = None

    def ages(self, now: int) -> Ages | None:
        """The ages by policies read less than an hour ago; None when they have to be read."""
        if self._read_at is None or not 0 <= now - self._read_at < _FRESH_TICKS:
            return None
        return ALWAYS if self._periods is None else self._periods.ages

    def learn(self, periods: Periods | None, now: int) -> Ages:
        """Note policies that were read; when they could not be, those known before count on."""
        self._periods = periods or self._periods
        self._read_at = now
        return ALWAYS if self._periods is None else self._periods.ages
