"""Operators and sources that have no file of their own: columns, rows, order, `union`, `parse`."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError


def test_project_names(kql):
    assert kql.schema(
        "Events | project n, n + 1, strcat(id, 'x'), bin(n, 2), data.k, strlen(id), tostring(n)"
    ) == [
        "n:long",
        "Column1:long",
        "Column2:string",
        "n1:long",
        "data_k:dynamic",
        "strlen_id:long",
        "n2:string",
    ]


def test_project_may_swap_columns(kql):
    assert kql.rows("Events | project id = kind_name, kind_name = id | take 1") == [("x", "a")]


def test_extend_replaces_in_place_and_appends(kql):
    assert kql.schema("Events | project id, n | extend id = n, twice = n * 2") == [
        "id:long",
        "n:long",
        "twice:long",
    ]
    assert kql.rows("Events | project id, n | extend n = n + 1, old = n | take 1") == [("a", 2, 1)]
    assert kql.schema("Events | project n | extend bin(n, 2)") == ["n:long"]


def test_project_away_keep_rename_reorder(kql):
    assert kql.schema("Events | project-away data, s*, *t") == [
        "id:string",
        "kind_name:string",
        "n:long",
        "ok:bool",
    ]
    assert kql.schema("Events | project-keep n, k*") == ["kind_name:string", "n:long"]
    assert kql.schema("Owners | project-rename who = owner") == [
        "id:string",
        "who:string",
        "weight:int",
    ]
    assert kql.schema("Owners | project-reorder weight") == [
        "weight:int",
        "id:string",
        "owner:string",
    ]
    assert kql.schema("Owners | project-reorder owner, * desc") == [
        "owner:string",
        "weight:int",
        "id:string",
    ]


def test_distinct(kql):
    assert kql.rows("Events | distinct kind_name") == [("x",), ("y",)]
    assert kql.rows("Owners | project id, id2 = id | distinct *") == [
        ("a", "a"),
        ("c", "c"),
        ("z", "z"),
    ]
    assert kql.rows("Owners | distinct first_letter = substring(owner, 0, 1)") == [
        ("a",),
        ("c",),
        ("z",),
    ]


def test_take_limit_sample_count(kql):
    assert kql.column("Events | take 2") == ["a", "b"]
    assert kql.column("let rows = 3; Events | limit rows - 1") == ["a", "b"]
    assert kql.column("Events | take 0") == []
    assert len(kql.rows("Events | sample 3")) == 3
    assert len(kql.rows("Events | sample 30")) == 4
    assert kql.rows("Events | count") == [(4,)]
    assert kql.schema("Events | count as many") == ["many:long"]
    assert kql.rows("Owners | sample-distinct 2 of id") == [("a",), ("c",)]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("n", ["c", "b", "a", "d"]),  # descending, nulls last
        ("n asc", ["d", "a", "b", "c"]),  # ascending, nulls first
        ("n asc nulls last", ["a", "b", "c", "d"]),
        ("n desc nulls first", ["d", "c", "b", "a"]),
        ("kind_name desc, id asc", ["c", "d", "a", "b"]),
        ("kind_name asc, n asc nulls last", ["a", "b", "c", "d"]),
        ("score asc", ["c", "d", "a", "b"]),
        ("at", ["b", "a", "d", "c"]),
        ("strcat(kind_name, id)", ["d", "c", "b", "a"]),
    ],
)
def test_order_by(kql, keys, expected):
    assert kql.column(f"Events | order by {keys}") == expected
    assert kql.column(f"Events | sort by {keys} | project id") == expected


def test_strings_are_ordered_ordinally(kql):
    text = "datatable(s:string)['b', 'B', 'a', 'é', 'Z'] | order by s asc"
    assert kql.column(text) == ["B", "Z", "a", "b", "é"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("2 by n", ["c", "b"]),
        ("2 by n asc", ["d", "a"]),
        ("2 by n asc nulls last", ["a", "b"]),
        ("2 by n desc nulls first", ["d", "c"]),
        ("10 by id", ["d", "c", "b", "a"]),
        ("0 by id", []),
    ],
)
def test_top(kql, key, expected):
    assert kql.column(f"Events | top {key}") == expected


def test_print(kql):
    assert kql.schema("print 1, a = 'x', 2.5") == ["print_0:long", "a:string", "print_2:real"]


def test_range(kql):
    assert kql.column("range x from 1 to 10 step 4") == [1, 5, 9]
    assert kql.column("range x from 3 to 1 step -1") == [3, 2, 1]
    assert kql.column("range x from 0.0 to 1 step 0.5") == [0.0, 0.5, 1.0]
    assert kql.schema("range x from 1 to 2.5 step 1") == ["x:real"]
    assert kql.column(
        "range t from datetime(2026-01-01) to datetime(2026-01-02) step 12h | project tostring(t)"
    ) == [
        "2026-01-01T00:00:00.0000000Z",
        "2026-01-01T12:00:00.0000000Z",
        "2026-01-02T00:00:00.0000000Z",
    ]
    assert kql.column("range x from 5 to 1 step 1") == []


def test_datatable(kql):
    assert kql.rows(
        "datatable(a:long, b:string, c:dynamic)[1, 'x', dynamic([1]), 2, 'y', null_]".replace(
            "null_", "dynamic(null)"
        )
    ) == [(1, "x", [1]), (2, "y", None)]
    assert kql.rows("datatable(a:int, r:real)[5, 5, int(null), real(null),]") == [
        (5, 5.0),
        (None, None),
    ]
    assert kql.rows("datatable(a:long)[] | count") == [(0,)]


def test_getschema(kql):
    assert kql.rows("Owners | getschema") == [
        ("id", 0, "System.String", "string"),
        ("owner", 1, "System.String", "string"),
        ("weight", 2, "System.Int32", "int"),
    ]


def test_as_names_the_result_and_the_rows_before(kql):
    [first, second] = kql.tables("Events | where n > 1 | as Big; Big | count")
    assert first.name == "Big"
    assert [row[0] for row in first.rows] == ["b", "c"]
    assert (second.name, second.rows) == ("PrimaryResult", [(2,)])
    assert kql.rows(
        "Owners | where weight > 10 | as Heavy | join kind=inner Heavy on owner | count"
    ) == [(3,)]


def test_render_changes_nothing(kql):
    assert kql.rows("Events | count | render timechart with (title='a;b')") == [(4,)]


def test_union(kql):
    assert kql.rows(
        "union withsource = source (Events | project id), (Owners | project id, owner) | count"
    ) == [(8,)]
    assert kql.rows(
        "Owners | where id == 'a' | union (print id = 'q', extra = 1) | project id, owner, extra"
    ) == [("a", "ann", None), ("q", "", 1)]
    assert kql.rows(
        "union withsource=t Events, Owners | where id == 'a' | project t, n, owner"
    ) == [("Events", 1, ""), ("Owners", None, "ann")]
    assert kql.schema("union kind=inner (print a=1, b=2), (print b=3, c=4)") == ["b:long"]
    assert kql.schema("union (print a=1), (print a='x')") == ["a_long:long", "a_string:string"]
    assert kql.rows("union isfuzzy=true Owners, Nowhere | count") == [(4,)]


def test_partition(kql):
    assert kql.rows("Owners | partition by id (top 1 by weight)") == [
        ("a", "ann", 10),
        ("c", "cat", 25),
        ("z", "zoe", 30),
    ]
    assert kql.rows(
        "Owners | partition hint.strategy=native by id (summarize total = sum(weight))"
    ) == [(10,), (45,), (30,)]
    assert kql.rows("Owners | partition by id { print 1 } | count") == [(3,)]


def test_parse(kql):
    text = "print s = 'id=42; name=ann x; tail' | parse s with 'id=' id:long '; name=' name ';' *"
    assert kql.rows(text) == [("id=42; name=ann x; tail", 42, "ann x")]
    assert kql.rows("print s = 'nothing' | parse s with 'id=' id:long ' ' rest") == [
        ("nothing", None, "")
    ]
    assert kql.rows("print s = 'nothing' | parse-where s with 'id=' id:long") == []
    assert kql.rows("print s = 'a=x,b=2' | parse kind=relaxed s with 'a=' a:long ',b=' b:long") == [
        ("a=x,b=2", None, 2)
    ]
    assert kql.rows(
        "print s = 'when 02/17/2016 08:40:00.' | parse s with * 'when ' t:date '.'"
        " | project tostring(t)"
    ) == [("2016-02-17T08:40:00.0000000Z",)]


def test_ingestion_time(kql):
    assert kql.schema("Events | project ingestion_time()") == ["$IngestionTime:datetime"]
    [(first,), (second,)] = kql.rows("Events | take 2 | project ingestion_time()")
    assert second - first == 1
    assert kql.column("Events | where ingestion_time() > now() | project id") == ["b", "c", "d"]
    assert kql.schema("Owners | where ingestion_time() > ago(1d)") == [
        "id:string",
        "owner:string",
        "weight:int",
    ]
    # Behind a summarize a row has no ingestion time of its own.
    assert kql.rows("Events | summarize count() by id | project ingestion_time() | take 1") == [
        (None,)
    ]


def test_a_table_by_name_in_text(kql):
    assert kql.rows("table('Owners') | count") == [(4,)]
    assert kql.rows("database('TestDb').Owners | count") == [(4,)]
    assert kql.rows("database('testdb').Owners | count") == [(4,)]
    with pytest.raises(KqlError, match="Elsewhere"):
        kql.rows("database('Elsewhere').Owners")
