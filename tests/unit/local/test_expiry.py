"""Retention: what a table loses by age, what its view keeps, and what the view loses itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.expiry import records_query
from langgraph.checkpoint.kusto.local.schema import View

LATEST = "T | summarize arg_max(n, v) by k"


def retain(bench: Any, entity: str, days: int) -> None:
    bench.run(f".alter-merge {entity} policy retention softdelete = {days}d")


@pytest.fixture
def make_view(make_bench: Callable[..., Any]) -> Callable[..., Any]:
    """Make a server with a table `T` and a view `V` of it."""

    def make(query: str = LATEST, **days: int) -> Any:
        bench = make_bench()
        bench.run(".create table T (k:string, n:long, v:string)")
        bench.run(".alter table T policy streamingingestion enable")
        bench.run(f".create materialized-view V on table T {{ {query} }}")
        for name, period in days.items():
            retain(bench, {"table": "table T", "view": "materialized-view V"}[name], period)
        return bench

    return make


def put(bench: Any, *rows: tuple[str, int]) -> None:
    body = "\n".join(f'{{"k":"{k}","n":{n},"v":"{k}{n}"}}' for k, n in rows)
    bench.ingest("T", body)


def shown(bench: Any, name: str) -> list[tuple[Any, ...]]:
    return [row[:2] for row in bench.query(f"{name} | project k, n, v | sort by k asc, n asc")]


def test_what_the_table_loses_the_view_keeps(make_view: Callable[..., Any]) -> None:
    bench = make_view(table=10)
    put(bench, ("a", 1), ("a", 3))
    bench.cluster.advance(6)
    put(bench, ("a", 2), ("b", 1))

    assert bench.cluster.advance(5) == 2
    assert shown(bench, "T") == [("a", 2), ("b", 1)]
    assert shown(bench, "V") == [("a", 3), ("b", 1)]  # not ("a", 2)
    assert bench.query("materialized_view('V') | where k == 'a' | project v") == [("a3",)]
    assert bench.cluster.advance(10) == 2
    assert (shown(bench, "T"), shown(bench, "V")) == ([], [("a", 3), ("b", 1)])
    # A row that comes later meets what the view still knows.
    put(bench, ("a", 2), ("b", 2))
    assert shown(bench, "V") == [("a", 3), ("b", 2)]


def test_a_record_of_the_view_goes_by_the_views_own_retention(
    make_view: Callable[..., Any],
) -> None:
    bench = make_view(table=100, view=10)
    put(bench, ("a", 5), ("b", 5))
    bench.cluster.advance(6)
    put(bench, ("a", 4), ("b", 6))  # only b's record changes

    assert bench.cluster.advance(5) == 0  # days 11
    assert shown(bench, "V") == [("b", 6)]
    assert shown(bench, "T") == [("a", 4), ("a", 5), ("b", 5), ("b", 6)]
    # What is gone does not come back from older rows, but a new row makes a new record.
    put(bench, ("a", 1))
    assert shown(bench, "V") == [("a", 1), ("b", 6)]
    bench.cluster.advance(6)
    assert shown(bench, "V") == [("a", 1)]
    bench.cluster.advance(5)
    assert shown(bench, "V") == []
    assert bench.query("T | count") == [(5,)]


def test_the_default_is_that_of_the_database_not_of_the_table(
    make_view: Callable[..., Any],
) -> None:
    bench = make_view(table=5)
    bench.run('.alter-merge database policy retention \'{"SoftDeletePeriod": "20.00:00:00"}\'')
    put(bench, ("a", 1))
    bench.cluster.advance(19)
    assert (shown(bench, "T"), shown(bench, "V")) == ([], [("a", 1)])
    bench.cluster.advance(2)
    assert shown(bench, "V") == []
    put(bench, ("a", 1))
    retain(bench, "materialized-view V", 30)
    bench.cluster.advance(29)
    assert (shown(bench, "T"), shown(bench, "V")) == ([], [("a", 1)])


@pytest.mark.parametrize(
    ("query", "days", "left"),
    [
        # Chosen rows make a record as old as they are,
        ("T | summarize arg_min(n, v) by k", 6, True),
        ("T | summarize arg_max(n, v) by k", 6, False),
        ("T | summarize arg_max(iff(n > 1, -n, n), v) by k", 6, True),
        ("T | summarize take_any(n, v) by k", 6, False),
        # what adds up is as old as its newest row,
        ("T | summarize n = sum(n) by k", 6, True),
        ("T | summarize arg_max(n, v), c = count() by k", 6, True),
        ("T | summarize n = count() by k", 12, False),
        # whatever stands before it.
        ("T | where n > 0 | summarize arg_max(n, v) by k;", 6, False),
        ("T | extend m = n | project k, n, v, m | summarize arg_max(m, n, v) by k", 6, False),
        ("T | project-keep k, n, v | project-away v | summarize arg_max(n, k) by v = k", 6, False),
    ],
)
def test_a_record_is_as_old_as_its_last_update(
    make_view: Callable[..., Any], query: str, days: int, left: bool
) -> None:
    bench = make_view(query, view=10)
    put(bench, ("a", 5))
    bench.cluster.advance(5)
    put(bench, ("a", 2))
    bench.cluster.advance(4)
    assert bench.query("V | count") == [(1,)]
    bench.cluster.advance(days - 4)
    assert bench.query("V | count") == [(1 if left else 0,)]


def test_rows_no_view_needs_any_more_are_removed(make_view: Callable[..., Any]) -> None:
    bench = make_view(table=10, view=30)
    bench.run(f".create materialized-view W on table T {{ {LATEST} }}")
    retain(bench, "materialized-view W", 20)

    def kept() -> tuple[int, int]:
        table = bench.cluster.catalog.database("Db").tables["T"]
        with bench.cluster.storage.reading() as reader:
            return tuple(  # type: ignore[return-value]
                reader.execute(f"SELECT count(*) FROM {store}").fetchone()[0]
                for store in (table.kept, table.gone)
            )

    put(bench, ("a", 1))
    bench.cluster.advance(11)
    put(bench, ("a", 2))
    assert (shown(bench, "T"), kept()) == ([("a", 2)], (1, 0))
    bench.cluster.advance(15)  # days 26: the record of both views is 15 days old
    assert (shown(bench, "T"), kept()) == ([], (2, 0))
    bench.cluster.advance(6)  # 32
    assert (shown(bench, "V"), shown(bench, "W"), kept()) == ([("a", 2)], [], (2, 2))
    bench.cluster.advance(10)  # 42
    assert (shown(bench, "V"), kept()) == ([], (0, 0))
    put(bench, ("a", 3))
    bench.cluster.advance(11)
    assert (shown(bench, "T"), shown(bench, "V"), kept()) == ([], [("a", 3)], (1, 0))
    for name in "VW":
        bench.run(f".drop materialized-view {name}")
    bench.cluster.advance(0)
    assert kept() == (0, 0)


def test_row_numbers_that_are_used_again_are_other_rows(make_view: Callable[..., Any]) -> None:
    bench = make_view(table=10, view=5)
    put(bench, ("a", 1), ("b", 1))
    bench.cluster.advance(6)
    assert (shown(bench, "T"), shown(bench, "V")) == ([("a", 1), ("b", 1)], [])
    bench.run(".clear table T data")
    put(bench, ("a", 2), ("b", 2))
    assert shown(bench, "V") == [("a", 2), ("b", 2)]


def test_a_new_view_takes_only_what_the_table_still_has(make_view: Callable[..., Any]) -> None:
    bench = make_view(table=10)
    backfill = ".create async materialized-view with (backfill=true)"
    put(bench, ("a", 9))
    bench.run(f"{backfill} U on table T {{ {LATEST} }}")
    bench.cluster.advance(11)
    put(bench, ("b", 1))
    bench.run(f"{backfill} W on table T {{ {LATEST} }}")
    bench.run(f".create materialized-view X on table T {{ {LATEST} }}")
    assert (shown(bench, "V"), shown(bench, "W")) == ([("a", 9), ("b", 1)], [("b", 1)])
    assert (shown(bench, "U"), shown(bench, "X")) == ([("a", 9), ("b", 1)], [])


def test_a_column_that_is_added_and_a_restart(
    make_view: Callable[..., Any], make_bench: Callable[..., Any]
) -> None:
    bench = make_view(table=10, view=30)
    put(bench, ("a", 1))
    bench.cluster.advance(11)
    bench.run(".create-merge table T (more:string)")
    put(bench, ("b", 1))
    bench.run(
        ".create-or-alter materialized-view V on table T { T | summarize arg_max(n, v, more) by k }"
    )
    query = "V | project k, n, more | sort by k asc"
    assert bench.query(query) == [("a", 1, ""), ("b", 1, "")]
    bench.cluster.advance(11)
    assert bench.query("T | count") == [(0,)]
    bench.cluster.close()

    again = make_bench()
    assert again.query(query) == [("a", 1, ""), ("b", 1, "")]
    # Every row was lost by age: the clock goes on where it was all the same.
    assert again.cluster.clock.now() > bench.cluster.catalog.clock.last
    again.run(".drop materialized-view V")
    again.run(".drop table T")
    with again.cluster.storage.reading() as reader:
        names = [row[0] for row in reader.execute("SELECT name FROM sqlite_master")]
    assert not [name for name in names if name.startswith("t1")]


def test_by_seed_a_view_keeps_what_its_table_lost(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(seed=3, visibility=0.01)
    bench.run(".create table T (k:string, n:long, v:string)")
    bench.run(".alter table T policy streamingingestion enable")
    bench.run(f".create materialized-view V on table T {{ {LATEST} }}")
    retain(bench, "table T", 10)
    put(bench, ("a", 1))
    bench.cluster.advance(11)
    assert (shown(bench, "T"), shown(bench, "V")) == ([], [("a", 1)])


def test_a_view_that_cannot_be_read_loses_nothing(
    make_view: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_view(table=10, view=5)
    put(bench, ("a", 1))
    bench.run(".drop column T.n")
    assert bench.cluster.advance(11) == 1
    assert "the view V loses nothing, it cannot be read" in caplog.text


def test_the_query_for_the_rows_of_records() -> None:
    let = View("V", "T", "let x = 1; let y = 2; T | summarize n = count()", 0, 0)

    assert records_query(let) == (
        "let x = 1; let y = 2;T | extend __updated__ = __ingested__"
        " | summarize __updated__ = max(__ingested__), __record__ = make_list(__record__)"
    )
    view = View(
        "V", "T", "T | where a > 1 | summarize arg_max(b, [',']) by k, m = bin(t, 1d)", 0, 0
    )

    assert records_query(view) == (
        "T | where a > 1 | extend __updated__ = __ingested__"
        " | summarize arg_max(b, __updated__), __record__ = make_list(__record__)"
        " by k, m = bin(t, 1d)"
    )
