"""Aggregates: with and without groups, of nothing, of null and NaN; the names of their columns."""

import math

import pytest

SOURCE = (
    "datatable(k:string, n:long, r:real, ok:bool, d:dynamic)["
    "'a', 3, 1.0, true, dynamic({'x':1}),"
    "'a', 1, 2.0, false, dynamic({'x':2,'y':3}),"
    "'b', long(null), real(null), bool(null), dynamic(null),"
    "'b', 8, 4.5, true, dynamic([1])]"
)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("count()", 4),
        ("count(ok)", 2),
        ("countif(n > 2)", 2),
        ("dcount(k)", 2),
        ("dcountif(k, ok)", 2),
        ("count_distinct(k)", 2),
        ("count_distinctif(n, k == 'a')", 2),
        ("sum(n)", 12),
        ("sum(r)", 7.5),
        ("sumif(n, ok)", 11),
        ("avg(n)", 4.0),
        ("avgif(n, k == 'a')", 2.0),
        ("min(n)", 1),
        ("max(n)", 8),
        ("max(k)", "b"),
        ("minif(n, ok)", 3),
        ("maxif(n, not(ok))", 1),
        ("make_list(n)", [3, 1, 8]),
        ("make_list(n, 2)", [3, 1]),
        ("make_list_if(n, ok)", [3, 8]),
        ("make_list_with_nulls(n)", [3, 1, None, 8]),
        ("make_set(k)", ["a", "b"]),
        ("make_set_if(k, ok)", ["a", "b"]),
        ("make_set(dynamic([1, 2, 1]))", [1, 2]),
        ("make_bag(d)", {"x": 1, "y": 3}),
        ("make_bag_if(d, n == 1)", {"x": 2, "y": 3}),
        ("take_any(n)", 3),
        ("take_anyif(n, k == 'b')", 8),
        ("percentile(n, 50)", 3),
        ("percentile(n, 100)", 8),
        ("percentile(n, 0)", 1),
        ("percentiles_array(n, 10, 50, 90)", [1, 3, 8]),
        ("variance(n)", 13.0),
        ("stdev(n)", math.sqrt(13)),
        ("variancep(n)", 26 / 3),
        ("varianceif(n, k == 'a')", 2.0),
        ("binary_all_and(n)", 0),
        ("binary_all_or(n)", 11),
        ("binary_all_xor(n)", 10),
        ("max(n) - min(n)", 7),
        ("round(avg(r), 1)", 2.5),
        ("strcat('n', tostring(max(n)))", "n8"),
        ("max(n) * 2 + count()", 20),
        ("max(n + 1)", 9),
        ("sum(1)", 4),
        ("5", 5),
    ],
)
def test_aggregates(kql, aggregate, expected):
    assert kql.rows(f"{SOURCE} | summarize x = {aggregate}") == [(expected,)]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("count()", 0),
        ("dcount(n)", 0),
        ("sum(n)", 0),
        ("sum(r)", 0.0),
        ("max(n)", None),
        ("max(k)", ""),
        ("make_list(n)", []),
        ("make_set(n)", []),
        ("take_any(n)", None),
        ("percentile(n, 50)", None),
        ("stdev(n)", 0.0),
        ("binary_all_or(n)", None),
    ],
)
def test_aggregates_of_nothing(kql, aggregate, expected):
    assert kql.rows(f"{SOURCE} | where false | summarize x = {aggregate}") == [(expected,)]


def test_avg_of_nothing_is_nan(kql):
    [(found,)] = kql.rows(f"{SOURCE} | where false | summarize avg(n)")
    assert math.isnan(found)


def test_groups(kql):
    assert kql.rows(f"{SOURCE} | summarize count(), sum(n) by k") == [("a", 2, 4), ("b", 2, 8)]
    assert kql.rows(f"{SOURCE} | summarize by k") == [("a",), ("b",)]
    assert kql.rows(f"{SOURCE} | summarize total = sum(n) by big = n > 2, k") == [
        (True, "a", 3),
        (False, "a", 1),
        (None, "b", 0),
        (True, "b", 8),
    ]
    assert kql.rows(f"{SOURCE} | summarize count() by bin(n, 5)") == [(0, 2), (None, 1), (5, 1)]
    assert kql.rows(f"{SOURCE} | where false | summarize count() by k") == []


def test_nan_is_one_group(kql):
    [(key, count)] = kql.rows("datatable(r:real)[real(nan), real(nan)] | summarize count() by r")
    assert math.isnan(key)
    assert count == 2


def test_sums_that_leave_the_range_of_a_double(kql):
    assert kql.rows("datatable(r:real)[1e308, 1e308] | summarize sum(r), avg(r)") == [
        (math.inf, math.inf)
    ]
    [(found,)] = kql.rows("datatable(r:real)[real(+inf), real(-inf)] | summarize sum(r)")
    assert math.isnan(found)


def test_long_sums_wrap_and_int_sums_widen(kql):
    assert kql.rows("datatable(n:long)[9223372036854775807, 1] | summarize sum(n)") == [(-(2**63),)]
    assert kql.schema("datatable(n:int)[1] | summarize sum(n), max(n), avg(n)") == [
        "sum_n:long",
        "max_n:int",
        "avg_n:real",
    ]


def test_moments_and_spans(kql):
    text = "datatable(t:timespan)[1h, 3h] | summarize sum(t), avg(t), percentile(t, 50), min(t)"
    assert kql.rows(f"{text} | project tostring(sum_t), tostring(avg_t), tostring(min_t)") == [
        ("04:00:00", "02:00:00", "01:00:00")
    ]


def test_automatic_names(kql):
    assert kql.schema(
        f"{SOURCE} | summarize count(), countif(ok), sum(n), max(n), max(n), max(n + 1), dcount(k),"
        " make_list(k), make_set(k), make_bag(d), avg(r), percentile(n, 99.9), round(max(r), 1),"
        " max(n) - 1, stdev(n), take_any(k), take_anyif(n, ok), count_distinct(k)"
    ) == [
        "count_:long",
        "countif_ok:long",
        "sum_n:long",
        "max_n:long",
        "max_n1:long",
        "max_:long",
        "dcount_k:long",
        "list_k:dynamic",
        "set_k:dynamic",
        "bag_d:dynamic",
        "avg_r:real",
        "percentile_n_99_9:long",
        "max_r:real",
        "Column1:long",
        "stdev_n:real",
        "k:string",
        "n:long",
        "count_distinct_k:long",
    ]
    assert kql.schema(f"{SOURCE} | summarize percentiles(n, 5, 50) by bin(n, 2), tolower(k)") == [
        "n:long",
        "Column1:string",
        "percentile_n_5:long",
        "percentile_n_50:long",
    ]


@pytest.mark.parametrize(
    ("aggregate", "schema", "row"),
    [
        ("arg_max(n, k)", ["n:long", "k:string"], (8, "b")),
        ("arg_min(n, k)", ["n:long", "k:string"], (1, "a")),
        (
            "arg_max(n, *)",
            ["n:long", "k:string", "r:real", "ok:bool", "d:dynamic"],
            (8, "b", 4.5, True, [1]),
        ),
        ("arg_max(n)", ["n:long"], (8,)),
        ("arg_max(n, 'x')", ["n:long", "max_n_arg1:string"], (8, "x")),
        ("take_any(n + 1)", ["any_arg0:long"], (4,)),
        ("any(k, n)", ["any_k:string", "any_n:long"], ("a", 3)),
        ("arg_max(n + 1, k, n)", ["max_:long", "k:string", "n:long"], (9, "b", 8)),
        ("x = arg_max(n, k)", ["x:long", "k:string"], (8, "b")),
        ("(x, y) = arg_min(n, k)", ["x:long", "y:string"], (1, "a")),
        (
            "arg_max(n, who = k, twice = n * 2)",
            ["n:long", "who:string", "twice:long"],
            (8, "b", 16),
        ),
        (
            "arg_max(n, k), arg_min(n, k)",
            ["n:long", "k:string", "n1:long", "k1:string"],
            (8, "b", 1, "a"),
        ),
        ("percentiles(n, 0, 100)", ["percentile_n_0:long", "percentile_n_100:long"], (1, 8)),
        ("take_any(k, n)", ["k:string", "n:long"], ("a", 3)),
    ],
)
def test_aggregates_with_several_columns(kql, aggregate, schema, row):
    text = f"{SOURCE} | summarize {aggregate}"
    assert kql.schema(text) == schema
    assert kql.rows(text) == [row]


def test_arg_max_takes_a_row_of_nulls_only_without_others(kql):
    # The example of Kusto's documentation.
    fruits = (
        "datatable(fruit:string, color:string, version:int)['Apple', 'Red', 1,"
        "'Apple', 'Green', int(null), 'Banana', 'Yellow', int(null), 'Banana', 'Green', int(null),"
        "'Pear', 'Brown', 1, 'Pear', 'Green', 2]"
    )
    assert kql.rows(f"{fruits} | summarize arg_max(version, *) by fruit") == [
        ("Apple", 1, "Red"),
        ("Banana", None, "Yellow"),
        ("Pear", 2, "Green"),
    ]


def test_arg_max_of_strings_is_ordinal(kql):
    assert kql.rows(
        "datatable(id:string, n:long)['B', 1, 'a', 2, '', 3] | summarize arg_max(id, n)"
    ) == [("a", 2)]


def test_arg_max_of_no_rows_by_key_is_no_row(kql):
    assert kql.rows(f"{SOURCE} | where false | summarize arg_max(n, *) by k") == []
    assert kql.rows(f"{SOURCE} | where false | summarize arg_max(n, k)") == [(None, "")]
