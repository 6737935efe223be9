"""Queries through the cluster: kept plans, dropped tables, times, what Kusto leaves open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError
from langgraph.checkpoint.kusto.local.kql import engine
from langgraph.checkpoint.kusto.local.request import QueryRequest
from langgraph.checkpoint.kusto.local.tables import StoredTable


def test_ingestion_time_is_the_time_of_the_request(bench: Any) -> None:
    bench.run(".create table T (a:string)")
    bench.run(".ingest inline into table T <|\nx\ny\nz")
    rows = bench.query("T | where ingestion_time() > ago(1h) | summarize dcount(ingestion_time())")
    assert rows == [(1,)]


def test_a_query_is_bound_once_until_the_schema_changes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[str] = []
    bind = engine.bind_program

    def counted(text: str, *rest: Any) -> Any:
        bound.append(text)
        return bind(text, *rest)

    monkeypatch.setattr(engine, "bind_program", counted)
    bench.run(".create table T (a:string)")
    for row in ("x", "y"):
        bench.run(f".ingest inline into table T <| {row}")
        assert (row,) in bench.query("T")
    assert bound == ["T"]
    bench.run(".create-merge table T (b:long)")
    assert bench.query("T | take 1 | project b") == [(None,)]
    assert bench.query("T | count") == bench.query("T | count") == [(2,)]
    assert sorted(bench.query("T")) == [("x", None), ("y", None)]
    assert bound == ["T", "T | take 1 | project b", "T | count", "T"]


def test_a_table_dropped_under_a_query_fails_the_query_and_nothing_else(
    make_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(seed=1)  # without a snapshot for the whole query
    bench.run(".create table T (a:string)")
    before = bench.cluster.catalog.database("Db")
    bench.run(".drop table T")
    request = QueryRequest("Db", "T", {}, {})
    with pytest.raises(ServiceError, match="no such table") as caught:
        bench.cluster._run(request, before)
    assert caught.value.inner.code == "E_TABLE_DROPPED"

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(StoredTable, "scan", broken)
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        bench.cluster._run(request, before)


def test_what_is_left_open_is_random_with_a_seed_and_only_then(
    make_bench: Callable[..., Any],
) -> None:
    def orders(name: str, seed: int | None) -> set[tuple[Any, ...]]:
        bench = make_bench(name, seed=seed)
        bench.run(".create table T (n:long)")
        bench.run(".ingest inline into table T <|\n" + "\n".join(map(str, range(20))))
        return {tuple(row[0] for row in bench.query("T")) for _ in range(5)}

    assert orders("none.db", None) == {tuple(range(20))}
    seeded = orders("one.db", 1)
    assert len(seeded) > 1
    assert seeded == orders("two.db", 1)
