"""Text and values of datetimes, timespans and dynamics, there and back; no engine."""

import math

import pytest

from langgraph.checkpoint.kusto.local.kql import values


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.1234567Z"),
        ("2026-01-02", "2026-01-02T00:00:00.0000000Z"),
        ("2026-01-02 03:04", "2026-01-02T03:04:00.0000000Z"),
        ("2026-01-02T03:04:05.5+02:00", "2026-01-02T01:04:05.5000000Z"),
        ("2026-01-02T03:04:05-0130", "2026-01-02T04:34:05.0000000Z"),
        ("02/17/2016 08:40:01", "2016-02-17T08:40:01.0000000Z"),
        ("Sat, 08 Nov 2014 15:05:02 GMT", "2014-11-08T15:05:02.0000000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.0000000Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_datetimes(text, canonical):
    ticks = values.parse_datetime(text)
    assert values.format_datetime(ticks) == canonical
    assert values.parse_datetime(canonical) == ticks


@pytest.mark.parametrize(
    "text", ["", "x", "2026-13-01", "2026-02-30", "2026-01-01T24:00", "0001-01-01T00:00+01:00"]
)
def test_no_datetimes(text):
    assert values.parse_datetime(text) is None


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (0, "00:00:00"),
        (1, "00:00:00.0000001"),
        (-36_000_000_000, "-01:00:00"),
        (864_000_000_000, "1.00:00:00"),
        (937_845_000_000, "1.02:03:04.5000000"),
    ],
)
def test_timespans(ticks, text):
    assert values.format_timespan(ticks) == text
    assert values.parse_timespan(text) == ticks


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (118.0, 118),
        (1.5, 1.5),
        (True, True),
        (2**63, float(2**63)),
        (2**63 - 1, 2**63 - 1),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ({"b": 1, "a": [2.0]}, {"a": [2], "b": 1}),
    ],
)
def test_dynamic_forms(value, expected):
    found = values.normalise_dynamic(value)
    assert found == expected
    assert type(found) is type(expected)


def test_dynamic_keys_come_back_in_order():
    assert values.format_dynamic(values.parse_json('{"z":1, "a" : {"c":1,"b":2}}')) == (
        '{"a":{"b":2,"c":1},"z":1}'
    )


def test_what_is_not_json_is_a_dynamic_string():
    assert values.parse_dynamic("{broken") == "{broken"
    assert values.parse_dynamic("  ") is None
    with pytest.raises(ValueError, match="NaN"):
        values.parse_json("[NaN]")


def test_numbers_outside_their_range_are_none():
    assert values.parse_long("9223372036854775807") == 2**63 - 1
    assert values.parse_long("9223372036854775808") is None
    assert values.parse_int("2147483648") is None
    assert values.parse_real("1,5") is None
    assert values.wrap_long(2**63) == -(2**63)
