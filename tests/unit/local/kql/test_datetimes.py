"""Functions of datetimes and timespans: parts, differences; `now()` is one for a whole query."""

import pytest

WHEN = "datetime(2026-11-20 13:04:05.6789012)"  # a Friday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"startofday({WHEN})", "2026-11-20T00:00:00.0000000Z"),
        (f"startofday({WHEN}, -1)", "2026-11-19T00:00:00.0000000Z"),
        (f"startofweek({WHEN})", "2026-11-15T00:00:00.0000000Z"),
        ("startofweek(datetime(2026-11-15))", "2026-11-15T00:00:00.0000000Z"),
        (f"startofweek({WHEN}, 1)", "2026-11-22T00:00:00.0000000Z"),
        (f"startofmonth({WHEN})", "2026-11-01T00:00:00.0000000Z"),
        (f"startofmonth({WHEN}, 2)", "2027-01-01T00:00:00.0000000Z"),
        (f"startofyear({WHEN})", "2026-01-01T00:00:00.0000000Z"),
        (f"endofday({WHEN})", "2026-11-20T23:59:59.9999999Z"),
        (f"endofweek({WHEN})", "2026-11-21T23:59:59.9999999Z"),
        (f"endofmonth({WHEN}, -1)", "2026-10-31T23:59:59.9999999Z"),
        (f"endofyear({WHEN})", "2026-12-31T23:59:59.9999999Z"),
        ("endofyear(datetime(9999-05-05))", "9999-12-31T23:59:59.9999999Z"),
        ("datetime_add('year', -1, datetime(2024-02-29))", "2023-02-28T00:00:00.0000000Z"),
        ("datetime_add('month', 1, datetime(2026-01-31))", "2026-02-28T00:00:00.0000000Z"),
        ("datetime_add('quarter', 1, datetime(2026-01-31))", "2026-04-30T00:00:00.0000000Z"),
        ("datetime_add('week', 1, datetime(2026-01-31))", "2026-02-07T00:00:00.0000000Z"),
        ("datetime_add('day', 1, datetime(2026-01-31))", "2026-02-01T00:00:00.0000000Z"),
        ("datetime_add('microsecond', 1, datetime(2026-01-31))", "2026-01-31T00:00:00.0000010Z"),
        ("make_datetime(2026, 1, 2)", "2026-01-02T00:00:00.0000000Z"),
        ("make_datetime(2026, 1, 2, 3, 4, 5.5)", "2026-01-02T03:04:05.5000000Z"),
        ("make_datetime(2026, 13, 2)", ""),
        ("make_datetime('2026-01-02')", "2026-01-02T00:00:00.0000000Z"),
        ("unixtime_seconds_todatetime(1546300800)", "2019-01-01T00:00:00.0000000Z"),
        ("unixtime_milliseconds_todatetime(1546300800000)", "2019-01-01T00:00:00.0000000Z"),
        ("unixtime_microseconds_todatetime(1546300800000000)", "2019-01-01T00:00:00.0000000Z"),
        ("unixtime_nanoseconds_todatetime(1546300800000000100)", "2019-01-01T00:00:00.0000001Z"),
        ("unixtime_seconds_todatetime(1.5)", "1970-01-01T00:00:01.5000000Z"),
        ("make_timespan(1, 12)", "01:12:00"),
        ("make_timespan(1, 12, 30)", "01:12:30"),
        ("make_timespan(1, 12, 30, 55)", "1.12:30:55"),
        (f"dayofweek({WHEN})", "5.00:00:00"),
        ("dayofweek(datetime(2026-11-15))", "00:00:00"),
        (f"format_datetime({WHEN}, 'yyyy-MM-dd HH:mm:ss.fffffff')", "2026-11-20 13:04:05.6789012"),
        (f"format_datetime({WHEN}, 'yy/M/d h:m:s tt')", "26/11/20 1:4:5 PM"),
        (f"format_datetime({WHEN}, 'fff FF')", "678 67"),
        ("format_datetime(datetime(2026-01-02), 'd.FFF')", "2."),
        ("format_timespan(time(29.09:00:05.12345), 'dd.hh:mm:ss:FF')", "29.09:00:05:12"),
        (
            "format_timespan(time(29.09:00:05.12345), 'ddd.h:mm:ss [fffffff]')",
            "029.9:00:05 [1234500]",
        ),
        ("now()", "2026-11-20T12:00:00.0000000Z"),
        ("now(-1d)", "2026-11-19T12:00:00.0000000Z"),
        ("ago(1h)", "2026-11-20T11:00:00.0000000Z"),
    ],
)
def test_moments_and_spans(kql, expression, expected):
    assert kql.value(f"tostring({expression})") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"datetime_part('year', {WHEN})", 2026),
        (f"datetime_part('quarter', {WHEN})", 4),
        (f"datetime_part('week_of_year', {WHEN})", 47),
        (f"datetime_part('dayOfYear', {WHEN})", 324),
        (f"datetime_part('millisecond', {WHEN})", 678),
        (f"datetime_part('microsecond', {WHEN})", 678_901),
        (f"datetime_part('nanosecond', {WHEN})", 678_901_200),
        (f"getyear({WHEN})", 2026),
        (f"getmonth({WHEN})", 11),
        (f"monthofyear({WHEN})", 11),
        (f"dayofmonth({WHEN})", 20),
        (f"dayofyear({WHEN})", 324),
        (f"hourofday({WHEN})", 13),
        (f"week_of_year({WHEN})", 47),
        ("datetime_diff('year', datetime(2017-01-01), datetime(2000-12-31))", 17),
        ("datetime_diff('quarter', datetime(2017-07-01), datetime(2017-03-30))", 2),
        ("datetime_diff('month', datetime(2017-01-01), datetime(2015-12-30))", 13),
        ("datetime_diff('week', datetime(2017-10-29), datetime(2017-09-30 23:59))", 5),
        ("datetime_diff('day', datetime(2017-10-29), datetime(2017-09-30 23:59))", 29),
        ("datetime_diff('hour', datetime(2017-10-31 01:00), datetime(2017-10-30 23:59))", 2),
        (
            "datetime_diff('minute', datetime(2017-10-30 23:05:01), datetime(2017-10-30 23:00:59))",
            5,
        ),
        (
            "datetime_diff('second', datetime(2017-10-30 23:00:10.1),"
            " datetime(2017-10-30 23:00:00.9))",
            10,
        ),
        (
            "datetime_diff('nanosecond', datetime(2017-10-30),"
            " datetime(2017-10-30 00:00:00.0000007))",
            -700,
        ),
        ("datetime_diff('day', datetime(null), datetime(2017-09-30))", None),
    ],
)
def test_parts_and_differences(kql, expression, expected):
    assert kql.value(expression) == expected


def test_the_moment_is_the_same_throughout_a_query(kql):
    shown = kql.column("range x from 1 to 3 step 1 | project tostring(now())")
    assert shown == ["2026-11-20T12:00:00.0000000Z"] * 3
