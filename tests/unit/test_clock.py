"""Ticks and the hybrid logical clock."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base.id import uuid6

from langgraph.checkpoint.kusto._clock import (
    MAX_AHEAD_TICKS,
    TICKS_PER_DAY,
    TICKS_PER_SECOND,
    HybridClock,
    format_ticks,
    parse_ticks,
    ticks_from_unix_ns,
    ticks_of_id,
)

LAST_TICK = 3_155_378_975_999_999_999  # 9999-12-31T23:59:59.9999999Z, the end of Kusto's datetime
NOW = 639_000_000_000_000_000


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (0, "0001-01-01T00:00:00.0000000Z"),
        (1, "0001-01-01T00:00:00.0000001Z"),
        (621_355_968_000_000_000, "1970-01-01T00:00:00.0000000Z"),
        (621_355_968_000_000_000 - 1, "1969-12-31T23:59:59.9999999Z"),
        (LAST_TICK, "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_known_moments(ticks: int, text: str) -> None:
    assert format_ticks(ticks) == text
    assert parse_ticks(text) == ticks


def test_an_id_of_langgraph_tells_when_it_was_made() -> None:
    before = ticks_from_unix_ns(time.time_ns())
    made = ticks_of_id(str(uuid6()))
    assert made is not None
    assert before - 1 <= made  # the id is never of a tick that another one of the process has
    assert made <= ticks_from_unix_ns(time.time_ns()) + TICKS_PER_SECOND
    assert ticks_of_id("1f0c5b5a-2c00-6abc-8123-0123456789ab") == parse_ticks(
        "2025-11-20T02:07:15.8732476Z"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1f0c5b5a-2c00-4abc-8123-0123456789ab",  # of another version
        "1f0c5b5a-2c00-6abc-7123-0123456789ab",  # of another variant
        "1F0C5B5A-2C00-6ABC-8123-0123456789AB",
        " 1f0c5b5a-2c00-6abc-8123-0123456789ab",
        "1f0c5b5a-2c00-6abc-8123-0123456789ab\n",
        "1f0c5b5a2c006abc81230123456789ab",
    ],
)
def test_other_ids_do_not_tell(text: str) -> None:
    assert ticks_of_id(text) is None


def test_a_day_and_a_second() -> None:
    assert TICKS_PER_SECOND == 10_000_000
    assert format_ticks(TICKS_PER_DAY) == "0001-01-02T00:00:00.0000000Z"


@given(st.integers(0, LAST_TICK))
def test_text_round_trip(ticks: int) -> None:
    text = format_ticks(ticks)

    assert len(text) == 28
    assert parse_ticks(text) == ticks


@given(st.integers(0, LAST_TICK), st.integers(0, LAST_TICK))
def test_text_order_is_time_order(one: int, other: int) -> None:
    assert (format_ticks(one) < format_ticks(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2026-11-20T15:25:35Z", 0),
        ("2026-11-20T15:25:35.1Z", 1_000_000),
        ("2026-11-20T15:25:35.0000001Z", 1),
        ("2026-11-20T15:25:35.1234567", 1_234_567),
    ],
)
def test_short_forms_of_results(text: str, fraction: int) -> None:
    whole = parse_ticks("2026-11-20T15:25:35.0000000Z")
    assert parse_ticks(text) == whole + fraction


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_unix_time(moment: datetime) -> None:
    since = moment.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    nanoseconds = (since // timedelta(microseconds=1)) * 1_000 + 999

    text = format_ticks(ticks_from_unix_ns(nanoseconds))
    assert text == moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06}9Z"


# ------------------------------------------------------------------------------------ HybridClock


def test_undisturbed_it_is_the_present() -> None:
    clock = HybridClock()
    assert [clock.issue(NOW), clock.issue(NOW + 5), clock.issue(NOW + 9)] == [NOW, NOW + 5, NOW + 9]


def test_a_clock_that_stands_or_goes_back_still_moves_on() -> None:
    clock = HybridClock()
    assert [clock.issue(NOW), clock.issue(NOW), clock.issue(NOW - 1_000)] == [NOW, NOW + 1, NOW + 2]


def test_what_was_read_comes_before_what_is_written() -> None:
    clock = HybridClock()
    assert clock.observe(NOW + 50, NOW) is True
    assert clock.issue(NOW) == NOW + 51
    assert repr(clock) == f"<HybridClock largest={NOW + 51}>"


def test_an_older_time_changes_nothing() -> None:
    clock = HybridClock()
    clock.issue(NOW)
    assert clock.observe(NOW - 50, NOW) is True
    assert clock.issue(NOW) == NOW + 1


def test_one_broken_clock_does_not_break_ours() -> None:
    clock = HybridClock()
    assert clock.observe(NOW + MAX_AHEAD_TICKS, NOW) is True
    assert clock.observe(NOW + MAX_AHEAD_TICKS + 1, NOW) is False
    assert clock.observe(LAST_TICK, NOW) is False
    assert clock.issue(NOW) == NOW + MAX_AHEAD_TICKS + 1


events = st.lists(
    st.tuples(
        st.sampled_from(["issue", "observe"]),
        st.integers(NOW - 1_000, NOW + 1_000),
        st.integers(NOW - 1_000, NOW + 1_000) | st.integers(0, LAST_TICK),
    ),
    max_size=50,
)


@given(events)
def test_issued_times_rise_above_all_that_was_seen(history: list[tuple[str, int, int]]) -> None:
    clock = HybridClock()
    seen = 0
    for kind, now, ticks in history:
        if kind == "observe":
            if clock.observe(ticks, now):
                seen = max(seen, ticks)
            else:
                assert ticks > now + MAX_AHEAD_TICKS
        else:
            issued = clock.issue(now)
            assert issued == max(now, seen + 1)
            seen = issued
