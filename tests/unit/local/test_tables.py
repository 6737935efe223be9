"""Stored tables: scans by index, columns that come and go, what a reopened file holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local import tables
from langgraph.checkpoint.kusto.local.layout import indexes, statements
from langgraph.checkpoint.kusto.local.schema import Database, Table
from langgraph.checkpoint.kusto.local.tables import QueryCatalog, StoredTable


def scan(bench: Any, name: str, **arguments: Any) -> list[tuple[Any, ...]]:
    asked = {"equals": {}, "columns": None, "with_ingestion_time": False, **arguments}
    with bench.cluster.storage.reading() as reader:
        source = QueryCatalog(bench.cluster.catalog.database("db"), reader).table(name)
        assert source is not None
        return list(source.scan(**asked))


def plan(bench: Any, name: str, **equals: frozenset[str]) -> str:
    table = bench.cluster.catalog.database("db").tables[name]
    with closing(sqlite3.connect(bench.cluster.storage.path)) as reader:
        return "\n".join(StoredTable(table, reader).plan(equals))


@pytest.fixture
def threads(bench: Any) -> Any:
    bench.run(".create table T (thread:string, ns:string, id:string, n:long, d:dynamic)")
    bench.run(".alter column T.id policy encoding type='Identifier'")
    bench.run(".alter table T policy roworder (thread asc, ns asc, id asc)")
    bench.run(".alter table T policy streamingingestion enable")
    bench.ingest(
        "T", "\n".join(f'{{"thread":"t{i % 3}","ns":"","id":"i{i}","n":{i}}}' for i in range(9))
    )
    return bench


def test_equality_sets_are_applied(threads: Any) -> None:
    one = scan(threads, "T", equals={"thread": frozenset({"t1"})})
    assert [row[3] for row in one] == [1, 4, 7]
    both = {"thread": frozenset({"t1", "t2"}), "id": frozenset({"i2", "i4", "i6"})}
    assert sorted(row[3] for row in scan(threads, "T", equals=both)) == [2, 4]
    assert scan(threads, "T", equals={"thread": frozenset()}) == []


def test_columns_that_are_not_asked_for_are_empty(threads: Any) -> None:
    rows = scan(threads, "T", columns=frozenset({"id"}), equals={"id": frozenset({"i0"})})
    assert rows == [(None, None, "i0", None, None)]


def test_the_ingestion_time_comes_last(threads: Any) -> None:
    rows = scan(threads, "T", with_ingestion_time=True)
    assert len({row[-1] for row in rows}) == 1  # one request, one time
    assert rows[0][-1] > 638_000_000_000_000_000


def test_sets_beyond_the_statement_limit_are_read_in_parts(
    threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SET_LIMIT", 4)
    every = frozenset(f"i{i}" for i in range(100))
    assert sorted(row[3] for row in scan(threads, "T", equals={"id": every})) == list(range(9))


def test_the_row_order_and_the_identifiers_are_searched_by_index(threads: Any) -> None:
    names = indexes(threads.cluster.catalog.database("db").tables["T"])
    assert list(names.values()) == [("c1", "c2", "c3"), ("c3",)]
    by_thread = plan(threads, "T", thread=frozenset({"t1"}), ns=frozenset({""}))
    assert "USING INDEX t1_c1_c2_c3 (c1=? AND c2=?)" in by_thread
    assert "USING INDEX t1_c3 (c3=?)" in plan(threads, "T", id=frozenset({"i1", "i2", "i3"}))
    assert "SCAN" in plan(threads, "T", ns=frozenset({""}))


def test_ids_that_few_rows_have_are_searched_before_their_thread(
    threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"thread": frozenset({"t1"}), "id": frozenset({"i1", "i2"})}
    assert "USING INDEX t1_c3 (c3=?)" in plan(threads, "T", **asked)
    assert [row[3] for row in scan(threads, "T", equals=asked)] == [1]
    whole = {**asked, "ns": frozenset({""})}
    assert "USING INDEX t1_c1_c2_c3 (c1=? AND c2=? AND c3=?)" in plan(threads, "T", **whole)
    monkeypatch.setattr(tables, "FEW_ROWS", -3)  # one row is many
    assert "USING INDEX t1_c1_c2_c3 (c1=?)" in plan(threads, "T", **asked)
    assert [row[3] for row in scan(threads, "T", equals=asked)] == [1]


def test_a_view_of_the_newest_has_an_index_as_long_as_it_is_there(threads: Any) -> None:
    def names() -> set[str]:
        text = "SELECT name FROM sqlite_master WHERE type = 'index'"
        with threads.cluster.storage.reading() as reader:
            return {row[0] for row in reader.execute(text)}

    before = names()
    query = "T | summarize arg_max(id, n) by thread, ns"
    threads.run(f".create materialized-view V on table T {{ {query} }}")
    assert names() == before | {"t1_c1_c2_c3_ingested"}
    threads.run(".create materialized-view W on table T { T | summarize arg_max(n, id) by ns }")
    assert names() == before | {"t1_c1_c2_c3_ingested"}
    threads.run(".drop materialized-view V")
    assert names() == before


def test_indexes_follow_the_policies(threads: Any) -> None:
    threads.run(".delete table T policy roworder")
    assert list(indexes(threads.cluster.catalog.database("db").tables["T"]).values()) == [("c3",)]
    assert "SCAN" in plan(threads, "T", thread=frozenset({"t1"}))
    threads.run(".alter column T.thread policy encoding type='Identifier'")
    assert "USING INDEX t1_c1 (c1=?)" in plan(threads, "T", thread=frozenset({"t1"}))
    threads.run(".alter column T.thread policy encoding type='Null'")
    assert "SCAN" in plan(threads, "T", thread=frozenset({"t1"}))


def test_the_statements_between_two_versions() -> None:
    old = Database(1, "D").with_table(Table(1, "A", (), 1).with_new_columns([("a", "string")]))
    table = old.tables["A"].with_new_columns([("b", "long"), ("c", "string")])
    new = old.with_table(table).with_table(Table(2, "B", (), 1).with_new_columns([("x", "real")]))
    assert statements(None, old) == [
        "CREATE TABLE t1 (rid INTEGER PRIMARY KEY, ingested INTEGER NOT NULL, c1 DEFAULT '')"
    ]
    assert statements(old, new) == [
        "ALTER TABLE t1 ADD COLUMN c2",
        "ALTER TABLE t1 ADD COLUMN c3 DEFAULT ''",
        "CREATE TABLE t2 (rid INTEGER PRIMARY KEY, ingested INTEGER NOT NULL, c1)",
    ]
    assert statements(new, new.without_table("A")) == ["DROP TABLE t1"]


def test_a_new_string_column_reads_as_empty_text_in_old_rows(threads: Any) -> None:
    threads.run(".create-merge table T (note:string, m:long)")
    rows = scan(threads, "T", equals={"id": frozenset({"i0"})})
    assert rows == [("t0", "", "i0", 0, None, "", None)]


def test_a_dropped_column_is_not_found_again_under_its_name(threads: Any) -> None:
    threads.run(".drop column T.n")
    threads.run(".create-merge table T (n:string)")
    rows = scan(threads, "T", equals={"id": frozenset({"i5"})})
    assert rows == [("t2", "", "i5", None, "")]


def test_everything_is_there_after_reopening(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    first.run(".create table T (a:string, b:dynamic) with (folder='f', docstring='d')")
    first.run(".alter table T policy streamingingestion enable")
    first.run(
        '.create table T ingestion json mapping \'M\' \'[{"column":"a","Path":"$.z"}]\''.replace(
            '"Path":"$.z"', '"Properties":{"Path":"$.z"}'
        )
    )
    first.ingest("T", '{"z":"kept"}', mapping="M")
    stamp = first.cluster.catalog.database("Db").stamp
    first.cluster.close()
    again = make_bench()
    assert scan(again, "T") == [("kept", None)]
    table = again.cluster.catalog.database("DB").tables["T"]
    assert (table.folder, table.docstring, list(table.mappings)) == ("f", "d", ["json/M"])
    assert again.cluster.catalog.database("Db").stamp != stamp
    again.run(".create table U (a:string)")
    assert again.cluster.catalog.database("Db").tables["U"].id == 2


def test_ingestion_times_grow_across_a_restart(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    first.run(".create table T (a:string)")
    first.run(".alter table T policy streamingingestion enable")
    future = 640_000_000_000_000_000
    first.cluster.catalog.clock = type(first.cluster.catalog.clock)(future)
    first.ingest("T", '{"a":"x"}')
    first.cluster.close()
    again = make_bench()
    again.ingest("T", '{"a":"y"}')
    times = [row[-1] for row in scan(again, "T", with_ingestion_time=True)]
    assert times[0] == future + 1
    assert times[1] > times[0]


def test_a_query_that_stops_early_does_not_hold_back_the_next(threads: Any) -> None:
    threads.ingest("T", "\n".join(f'{{"thread":"more","id":"m{i}"}}' for i in range(2000)))
    kept = [threads.query("T | take 1") for _ in range(3)]
    threads.ingest("T", '{"thread":"last","id":"z"}')
    assert threads.query("T | where thread == 'last' | project id") == [("z",)]
    assert all(len(rows) == 1 for rows in kept)


def test_cursors_are_closed_with_their_catalog(threads: Any) -> None:
    with threads.cluster.storage.reading() as reader:
        with QueryCatalog(threads.cluster.catalog.database("db"), reader) as catalog:
            source = catalog.table("T")
            assert source is not None
            rows = iter(source.scan({}, frozenset({"id"}), False))
            next(rows)
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            next(rows)
