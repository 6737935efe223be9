"""From which age on a thing is stored again, by the retention policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from langgraph.checkpoint.kusto import _schema
from langgraph.checkpoint.kusto._clock import TICKS_PER_DAY, TICKS_PER_SECOND
from langgraph.checkpoint.kusto._retention import (
    ALWAYS,
    YOUNG_TICKS,
    Ages,
    Periods,
    Retention,
    periods_from,
)

HOUR = 3_600 * TICKS_PER_SECOND
DAY = TICKS_PER_DAY
FOREVER = 365_000


def periods(
    view: float, checkpoints: float, writes: float, blobs: float, tombstones: float = FOREVER
) -> Periods:
    """In days."""
    days = (checkpoints, writes, blobs, tombstones, view)
    return Periods(*(int(number * DAY) for number in days))


PROVISIONED = periods(90, 120, 150, 150)


def policy(period: str) -> str:
    return orjson.dumps({"SoftDeletePeriod": period, "Recoverability": "Disabled"}).decode()


# -------------------------------------------------------------------------------------------- ages


@pytest.mark.parametrize(
    ("found", "ages"),
    [
        (PROVISIONED, Ages(30 * DAY - HOUR, 30 * DAY - HOUR)),
        (periods(1, 31, 31, 61), Ages(30 * DAY - HOUR, 30 * DAY - HOUR)),
        (periods(90, 200, 200, 400), Ages(30 * DAY, 30 * DAY)),
        (periods(90, 120, 100, 125), Ages(5 * DAY - HOUR, 10 * DAY - HOUR)),
        (periods(90, 100, 120, 125), Ages(25 * DAY - HOUR, 10 * DAY - HOUR)),
        (periods(90, 90, 90, 120), Ages(30 * DAY - HOUR, 0)),
        (periods(90, 120, 120, 100), Ages(0, 30 * DAY - HOUR)),
        (periods(90, 91, 91, 91.01), Ages(0, 23 * HOUR)),
        (periods(FOREVER, FOREVER, FOREVER, FOREVER), Ages(30 * DAY, 30 * DAY)),
        (periods(90, FOREVER, FOREVER, FOREVER), Ages(30 * DAY, 30 * DAY)),
        (periods(36_000, 36_500, 36_499, 36_499), Ages(0, 30 * DAY)),
        (periods(36_499, 36_500, 36_500, 36_500), Ages(30 * DAY, 30 * DAY)),
    ],
)
def test_the_difference_less_an_hour_and_never_more_than_a_month(
    found: Periods, ages: Ages
) -> None:
    """What is kept for a century or more does not expire."""
    assert found.ages == ages


def change(name: str, days: int) -> str:
    return (
        f".alter-merge table {name} policy retention softdelete = {days}d recoverability = disabled"
    )


@pytest.mark.parametrize(
    ("found", "remedies"),
    [
        (PROVISIONED, {}),
        (periods(7, 8.05, 9.1, 9.1), {}),
        (
            periods(90, 90, 90, 120),
            {"Checkpoints": 120, "CheckpointWrites": 150, "CheckpointBlobs": 150},
        ),
        (periods(90, 90, 90, 150), {"Checkpoints": 120, "CheckpointWrites": 150}),
        (periods(6.5, 7, 40, 41), {"Checkpoints": 37}),
        (periods(90, 91, 91.1, 150), {"Checkpoints": 120, "CheckpointWrites": 150}),
        (periods(90, 120, 91, 150), {"CheckpointWrites": 150}),
        (periods(90, 120, 120, 150), {"CheckpointWrites": 150}),
        (periods(90, 120.5, 150, 121), {"CheckpointBlobs": 151}),
        (periods(90, 120, 150, 150, 36_499), {"CheckpointTombstones": 365_000}),
        (periods(90, 120, 150, 150, 36_500), {}),
    ],
)
def test_what_mends_periods_that_are_too_short(found: Periods, remedies: dict[str, int]) -> None:
    assert found.remedies() == [change(name, days) for name, days in remedies.items()]


def test_a_day_between_two_periods_is_enough_and_no_tick_less() -> None:
    """An hour of the difference is for the clocks."""
    view, gap = 7 * DAY, DAY + HOUR
    rows, beyond = view + gap, view + 2 * gap
    found = Periods(rows, beyond, beyond, FOREVER * DAY, view)

    assert found.remedies() == []
    shorter = replace(found, writes=beyond - 1), replace(found, blobs=beyond - 1)
    # Of 8 days and an hour, 9 are counted.
    assert [item.remedies() for item in shorter] == [
        [change("CheckpointWrites", 39)],
        [change("CheckpointBlobs", 39)],
    ]
    assert replace(found, checkpoints=rows - 1).remedies()[0] == change("Checkpoints", 37)


def test_what_provision_sets_is_long_enough() -> None:
    days = {table.name: table.retention_days for table in _schema.TABLES}
    found = periods_from(
        {name: policy(f"{number}.00:00:00") for name, number in days.items()}
        | {_schema.LATEST: policy(f"{_schema.RETENTION_DAYS}.00:00:00")}
    )
    assert found == PROVISIONED
    assert found.remedies() == []


# ----------------------------------------------------------------------------------------- reading

POLICIES: dict[str, object] = {
    "Checkpoints": policy("120.00:00:00"),
    "CheckpointWrites": policy("5.06:07:08"),
    "CheckpointBlobs": policy("12:00:00"),
    "CheckpointTombstones": "null",
    "LatestCheckpoints": policy("1.00:00:00.5000000"),
    "Another": "of no interest",
}


def test_periods_as_kusto_shows_them() -> None:
    """No policy at all is Kusto's default, a thousand years."""
    seconds = ((5 * 24 + 6) * 60 + 7) * 60 + 8
    assert periods_from(POLICIES) == Periods(
        120 * DAY, seconds * TICKS_PER_SECOND, DAY // 2, FOREVER * DAY, DAY
    )
    assert periods_from({**POLICIES, "CheckpointTombstones": ""}) == periods_from(POLICIES)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "not JSON",
        "[]",
        "5",
        "{}",
        policy(""),
        policy("90"),
        policy("90d"),
        policy("-1.00:00:00"),
        policy("90.00:00:00 and more"),
        '{"SoftDeletePeriod": 90}',
    ],
)
@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"Another"}))
def test_a_policy_of_another_form_is_not_known(name: str, wrong: Any) -> None:
    assert periods_from({**POLICIES, name: wrong}) is None
    if wrong is None:
        assert periods_from({key: item for key, item in POLICIES.items() if key != name}) is None


# --------------------------------------------------------------------------------------- Retention


def test_policies_are_read_at_most_hourly() -> None:
    retention = Retention()
    assert retention.ages(0) is None
    assert retention.learn(PROVISIONED, 1_000) == PROVISIONED.ages
    assert retention.ages(1_000) == PROVISIONED.ages
    assert retention.ages(1_000 + HOUR - 1) == PROVISIONED.ages
    assert retention.ages(1_000 + HOUR) is None
    assert retention.ages(999) is None, "the clock went back"


def test_while_they_are_not_known_whatever_is_not_young_is_stored_again() -> None:
    retention = Retention()
    assert retention.learn(None, 0) == ALWAYS
    assert retention.ages(1) == Ages(0, 0)


def test_those_known_before_count_on() -> None:
    retention = Retention()
    retention.learn(PROVISIONED, 0)
    assert retention.learn(None, 2 * HOUR) == PROVISIONED.ages
    assert retention.ages(3 * HOUR - 1) == PROVISIONED.ages
    assert retention.ages(3 * HOUR) is None
    shrunk = periods(1, 31, 31, 33)
    assert retention.learn(shrunk, 3 * HOUR) == shrunk.ages


def test_young_is_a_day() -> None:
    assert YOUNG_TICKS == DAY
