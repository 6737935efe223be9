"""Query texts about single values that are right, and their results, computed by hand.

Here: null and the empty string, numbers, ticks of 100 ns, dynamic, text. A result is written as
the JSON that Kusto sends. No test stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Rows = list[list[Any]]


class Right(NamedTuple):
    """A query, the rows of each of its results, and the query parameters it is sent with."""

    name: str
    text: str
    results: list[Rows]
    parameters: dict[str, Any]
    in_order: bool = True


def rows(name: str, text: str, *expected: Sequence[Any]) -> Right:
    """A query of one result whose order of rows it fixes."""
    return Right(name, text, [[list(row) for row in expected]], {})


def a_set(name: str, text: str, *expected: Sequence[Any]) -> Right:
    """A query of one result whose order of rows it leaves open."""
    return Right(name, text, [[list(row) for row in expected]], {}, in_order=False)


NULLS = [
    a_set("null is equal to nothing", "Events | where n == long(null) | project id"),
    a_set("null is unequal to a value", "Events | where n != 1 | project id", *"bcde"),
    a_set("null is not less", "Events | where n < 4 | project id", *"abc"),
    a_set("not of null is not true", "Events | where not(n < 4) | project id", *"e"),
    a_set("null or true", "Events | where n > 0 or id == 'd' | project id", *"abcde"),
    a_set("null is not in a list", "Events | where n in (1, 5) | project id", *"ae"),
    a_set("null is outside a list", "Events | where n !in (1, 5) | project id", *"bcd"),
    a_set("isnull", "Events | where isnull(n) | project id", *"d"),
    a_set("a string is never null", "Events | where isnull(family) | project id"),
    a_set(
        "a missing string is empty", "Events | where family == '' | project id, family", ["e", ""]
    ),
    a_set("isempty", "Events | where isempty(family) or isempty(n) | project id", *"de"),
    rows("arithmetic with null", "print 1 + long(null), -long(null), 2 * real(null)", [None] * 3),
    rows("text of null", "print tostring(long(null)), strcat('a', int(null), 'b')", ["", "ab"]),
    rows("iff takes null for false", "print iff(bool(null), 'yes', 'no')", ["no"]),
    rows("coalesce", "print coalesce(long(null), 3), coalesce('', 'b')", [3, "b"]),
    rows(
        "aggregates pass null by",
        "Events | summarize count(), sum(n), avg(n), min(n), max(n), countif(isnull(n)), dcount(n)",
        [5, 11, 2.75, 1, 5, 1, 4],
    ),
    rows(
        "aggregates of nothing",
        "Events | where id == 'none' | summarize count(), sum(n), max(n), make_list(n), max(id)",
        [0, 0, None, [], ""],
    ),
    rows("groups of nothing", "Events | where id == 'none' | summarize count() by family"),
    rows("what cannot be converted", "print tolong('x'), todatetime('x'), toguid('x')", [None] * 3),
]

NUMBERS = [
    rows("division of integers", "print 7 / 2, -7 / 2, 7 % 3, 7 / 2.0", [3, -3, 1, 3.5]),
    rows("division by zero", "print 1 / 0, 1.0 / 0, -1.0 / 0", [None, "Infinity", "-Infinity"]),
    rows("not a number", "print 0.0 / 0, isnan(0.0 / 0), isnan(1.0)", ["NaN", True, False]),
    rows(
        "the greatest long",
        "print 9223372036854775807, tolong('-9223372036854775808')",
        [2**63 - 1, -(2**63)],
    ),
    rows(
        "a decimal keeps its digits",
        "Events | where id == 'a' | project m, m + 1",
        ["1.10", "2.10"],
    ),
    rows("toint cuts off", "print toint(1.9), toint(-1.9), tolong('12')", [1, -1, 12]),
    rows("bin of numbers", "print bin(7, 5), bin(-7, 5), bin(1.75, 0.5)", [5, -10, 1.5]),
    rows(
        "round and floor", "print round(2.345, 2), floor(-1.5, 1), ceiling(1.2)", [2.35, -2.0, 2.0]
    ),
    rows("min_of and max_of", "print min_of(3, 1, 2), max_of(1.5, 2)", [1, 2.0]),
]

TICKS = [
    rows(
        "all seven digits",
        "Events | where isnotnull(at) | order by at asc | project id, at",
        ["d", "2025-12-31T23:59:59.9999999Z"],
        ["a", "2026-01-01T00:00:00.0000001Z"],
        ["b", "2026-01-01T00:00:00.0000002Z"],
        ["e", "2026-01-02T12:30:00.0000000Z"],
    ),
    a_set(
        "one tick later",
        "Events | where at > datetime(2026-01-01T00:00:00.0000001Z) | project id",
        *"be",
    ),
    rows(
        "difference of one tick",
        "print datetime(2026-01-01T00:00:00.0000002Z) - datetime(2026-01-01T00:00:00.0000001Z)",
        ["00:00:00.0000001"],
    ),
    rows(
        "ticks of a second",
        "print tolong(1s), totimespan(1), 1tick * 3",
        [10_000_000, "00:00:00.0000001", "00:00:00.0000003"],
    ),
    rows("half a tick is none", "print 1tick / 2, 3ticks / 1tick", ["00:00:00", 3.0]),
    rows(
        "forms of a timespan",
        "print 1d + 2h + 3m + 4s + 500ms, -1s, time(1.00:00:00), 0s",
        ["1.02:03:04.5000000", "-00:00:01", "1.00:00:00", "00:00:00"],
    ),
    rows(
        "bin of a datetime",
        "Events | where isnotnull(at) | summarize count() by bin(at, 1d) | order by at asc",
        ["2025-12-31T00:00:00.0000000Z", 1],
        ["2026-01-01T00:00:00.0000000Z", 2],
        ["2026-01-02T00:00:00.0000000Z", 1],
    ),
    rows("bin of a timespan", "print bin(90s, 1m), bin(-90s, 1m)", ["00:01:00", "-00:02:00"]),
    rows(
        "text with ticks",
        "Events | where id == 'a' | project tostring(at), format_datetime(at, 'HH:mm:ss.fffffff')",
        ["2026-01-01T00:00:00.0000001Z", "00:00:00.0000001"],
    ),
    rows(
        "calendar",
        "let t = datetime(2026-01-31T10:00:00Z);"
        " print datetime_add('month', 1, t), startofmonth(t),"
        " datetime_diff('day', t, datetime(2026-01-01)), dayofweek(t)",
        ["2026-02-28T10:00:00.0000000Z", "2026-01-01T00:00:00.0000000Z", 30, "6.00:00:00"],
    ),
]

DYNAMICS = [
    rows(
        "a whole real is a long",
        "print dynamic({'a':118.0}), parse_json('[118.0, 1.5]')",
        [{"a": 118}, [118, 1.5]],
    ),
    rows(
        "types inside",
        "let f = (d:dynamic) { gettype(d) };"
        "print f(dynamic(1)), f(dynamic(1.5)), f(dynamic('x')), f(dynamic([])), f(dynamic({})),"
        " f(dynamic(null)), f(dynamic(true))",
        ["int", "double", "string", "array", "dictionary", "null", "bool"],
    ),
    rows(
        "a path through each row",
        "Events | order by id asc | project data.k",
        *([1], [2.5], [None], [None], [None]),
    ),
    rows(
        "a path converted",
        "Events | where id in ('a', 'b') | order by id asc"
        " | project tolong(data.k), todouble(data.k), tostring(data.s), tostring(data.list)",
        [1, 1.0, "one", "[1,2]"],
        [2, 2.5, "", "[]"],
    ),
    rows(
        "elements and lengths",
        "Events | where id == 'c' | project data[1], data[-1], data[7], array_length(data)",
        [20, 30, None, 3],
    ),
    a_set(
        "equal to a value inside",
        "Events | where data.s == 'one' or data[0] == 10 | project id",
        *"ac",
    ),
    a_set("null of dynamic", "Events | where isnull(data) | project id", *"e"),
    rows(
        "a string with a date stays text",
        "Events | where id == 'a' | project data.when",
        ["2026-01-02"],
    ),
    rows(
        "bags",
        "let b = bag_merge(dynamic({'a':1}), dynamic({'a':2,'b':3}));"
        "print b, array_sort_asc(bag_keys(b)), bag_has_key(b, 'c'), bag_pack('k', 1s)",
        [{"a": 1, "b": 3}, ["a", "b"], False, {"k": "00:00:01"}],
    ),
    rows(
        "arrays",
        "print array_concat(dynamic([1]), dynamic([2, 3])), array_slice(dynamic([1, 2, 3]), 1, 2),"
        " set_difference(dynamic([1, 2]), dynamic([2])), pack_array(1, 'a', long(null))",
        [[1, 2, 3], [2, 3], [1], [1, "a", None]],
    ),
]

TEXTS = [
    rows("split", "print split('a_b__c', '_'), split('a_b', '_', 1)", [["a", "b", "", "c"], ["b"]]),
    rows("strcmp", "print strcmp('a', 'b'), strcmp('b', 'B'), strcmp('a', 'a')", [-1, 1, 0]),
    rows(
        "terms and parts",
        "print 'ab-cd' has 'CD', 'abcd' has 'cd', 'abcd' contains 'BC', 'abcd' contains_cs 'BC',"
        " 'abcd' startswith 'AB', 'abcd' !endswith 'cd'",
        [True, False, True, False, True, False],
    ),
    rows(
        "equal in any case",
        "print 'A' == 'a', 'A' =~ 'a', 'A' in ('a'), 'A' in~ ('a')",
        [False, True, False, True],
    ),
    rows(
        "regular expressions",
        "print extract('x([0-9]+)', 1, 'ax17'), replace_regex('a1b22', '[0-9]+', '#'),"
        " 'abc' matches regex '^a.c$'",
        ["17", "a#b#", True],
    ),
    rows(
        "substring counts from zero",
        "print substring('abcdef', 1, 2), substring('abc', 1), indexof('abc', 'c')",
        ["bc", "bc", 2],
    ),
    rows("md5", "print hash_md5('a')", ["0cc175b9c0f1b6a831c399e269772661"]),
    rows(
        "base64",
        "print base64_encode_tostring('Kusto'), base64_decode_tostring('S3VzdG8=')",
        ["S3VzdG8=", "Kusto"],
    ),
    rows(
        "quotes and escapes",
        "print 'it\\'s', \"tab\\t\", @'c:\\x', h'secret'",
        ["it's", "tab\t", "c:\\x", "secret"],
    ),
    rows(
        "strings are ordered by code",
        "datatable(s:string)['b', 'B', 'a', ''] | order by s asc",
        [""],
        ["B"],
        ["a"],
        ["b"],
    ),
]

RIGHT_VALUES = [*NULLS, *NUMBERS, *TICKS, *DYNAMICS, *TEXTS]
