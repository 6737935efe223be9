"""Functions, views and rows by command: what needs the KQL engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError

VIEW = ".create materialized-view V on table T { T | summarize arg_max(b, c) by a }"


@pytest.fixture
def table(bench: Any) -> Any:
    bench.run(".create table T (a:string, b:long, c:string)")
    bench.run(".ingest inline into table T <|\nx,1,one\nx,2,two\ny,5,five")
    return bench


def test_a_function_is_stored_shown_and_used(table: Any) -> None:
    row = table.run(
        ".create-or-alter function with (folder='f', docstring='d') "
        "Above(low:long, name:string='x') {\n  T | where a == name and b > low // } \n}"
    )[0]
    assert row == {
        "Name": "Above",
        "Parameters": "(low:long, name:string='x')",
        "Body": "{\n  T | where a == name and b > low // } \n}",
        "Folder": "f",
        "DocString": "d",
    }
    assert table.run(".show function Above") == [row]
    assert table.query("Above(1)") == [("x", 2, "two")]
    assert table.run(".drop function Above") == []
    table.run(".drop function Above ifexists")
    with pytest.raises(ServiceError, match="Entity ID 'Above' of kind 'Function' was not found"):
        table.run(".drop function Above")


def test_a_function_is_bound_when_it_is_stored(table: Any) -> None:
    with pytest.raises(ServiceError, match="SEM0100"):
        table.run(".create function F() { Missing | take 1 }")
    assert table.run(".show functions") == []
    table.run(".create function with (skipvalidation='true') F() { Missing | take 1 }")
    with pytest.raises(ServiceError):
        table.query("F()")


def test_creating_a_function_again(table: Any) -> None:
    table.run(".create function F() { 1 }")
    with pytest.raises(ServiceError, match="already exists"):
        table.run(".create function F() { 2 }")
    assert table.run(".create function ifnotexists F() { 2 }")[0]["Body"] == "{ 1 }"
    assert table.run(".alter function F() { 3 }")[0]["Body"] == "{ 3 }"
    assert table.run(".alter function F docstring 'text'")[0]["DocString"] == "text"
    assert table.query("print x = F()") == [(3,)]


def test_a_view_without_backfill_sees_only_later_rows(table: Any) -> None:
    row = table.run(VIEW)[0]
    assert (row["Name"], row["SourceTable"], row["IsHealthy"]) == ("V", "T", True)
    assert row["Query"] == "T | summarize arg_max(b, c) by a"
    assert table.query("V") == []
    table.run(".ingest inline into table T <|\nx,0,zero")
    assert table.query("V") == [("x", 0, "zero")]
    assert table.query("materialized_view('V') | count") == [(1,)]


def test_a_view_with_backfill_sees_every_row(table: Any) -> None:
    with pytest.raises(ServiceError, match="requires the command to be 'async'"):
        table.run(VIEW.replace("materialized-view", "materialized-view with (backfill=true)"))
    command = VIEW.replace("materialized-view", "async materialized-view with (backfill=true)")
    operation = table.run(command)[0]["OperationId"]
    shown = table.run(f".show operations {operation}")
    assert [(row["Operation"], row["State"]) for row in shown] == [
        ("MaterializedViewCreate", "Completed")
    ]
    assert sorted(table.query("V")) == [("x", 2, "two"), ("y", 5, "five")]


def test_a_view_survives_reopening(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    bench.run(".create table T (a:string, b:long, c:string)")
    bench.run(".ingest inline into table T <|\nx,9,old")
    bench.run(VIEW)
    bench.cluster.close()
    again = make_bench()
    again.run(".ingest inline into table T <|\nx,1,new")
    assert again.query("V") == [("x", 1, "new")]


def test_creating_a_view_again(table: Any) -> None:
    table.run(VIEW)
    with pytest.raises(ServiceError, match="already exists"):
        table.run(VIEW)
    other = VIEW.replace("arg_max(b, c)", "count()")
    again = other.replace(".create", ".create ifnotexists")
    assert table.run(again)[0]["Query"] == "T | summarize arg_max(b, c) by a"
    altered = table.run(other.replace(".create", ".create-or-alter"))[0]
    assert altered["Query"] == "T | summarize count() by a"
    assert table.run(".drop materialized-view V") == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (VIEW.replace("table T", "table U"), "'U' of kind 'Table' was not found"),
        (VIEW.replace(" | summarize arg_max(b, c) by a", ""), "materialized view is not valid"),
        (VIEW.replace("by a", "by z"), "SEM0100"),
        (VIEW.replace("view V", "view T"), "'T' of kind 'Table' already exists"),
        (VIEW.replace("on table T", "on materialized-view W"), "not supported"),
        (VIEW.replace("view V", "view with (color=1) V"), "'color' is not known"),
        (".show materialized-view W", "'W' of kind 'MaterializedView' was not found"),
        (".delete materialized-view V records <| V | where a == 'x'", "not supported"),
    ],
)
def test_wrong_views_are_refused(table: Any, command: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem):
        table.run(command)
    assert table.run(".show materialized-views") == []


def test_the_source_of_a_view_cannot_be_dropped(table: Any) -> None:
    table.run(VIEW)
    with pytest.raises(ServiceError, match="drop the view first"):
        table.run(".drop table T")


def test_a_new_column_disables_a_view_that_takes_all(table: Any) -> None:
    table.run(VIEW)
    table.run(VIEW.replace("view V", "view W").replace("arg_max(b, c)", "arg_max(b, *)"))
    table.run(
        VIEW.replace("view V", "view with (autoUpdateSchema=true) X").replace("(b, c)", "(b, *)")
    )
    table.run(".create-merge table T (d:string)")
    enabled = {row["Name"]: row["IsEnabled"] for row in table.run(".show materialized-views")}
    assert enabled == {"V": True, "W": False, "X": True}
    assert table.run(".enable materialized-view W")[0]["IsEnabled"] is True


def test_policies_and_details_of_a_view(table: Any) -> None:
    table.run(VIEW)
    table.run(".alter-merge materialized-view V policy retention softdelete = 90d")
    table.run(".alter materialized-view V policy caching hot = 30d")
    shown = table.run(".show materialized-view V policy retention")[0]
    assert shown["EntityType"] == "MaterializedView"
    assert json.loads(shown["Policy"])["SoftDeletePeriod"] == "90.00:00:00"
    table.run(".ingest inline into table T <|\nx,0,zero")
    details = table.run(".show materialized-view V details")[0]
    assert details["TotalRowCount"] == 1
    assert table.run(".show materialized-view V failures") == []
    assert table.run(".show materialized-view V cslschema")[0]["Schema"] == (
        "a:string,b:long,c:string"
    )
    schema = table.run(".show database schema as json")[0]["DatabaseSchema"]
    assert "V" in json.loads(schema)["Databases"]["Db"]["MaterializedViews"]


def test_altering_a_view(table: Any) -> None:
    table.run(VIEW)
    assert table.run(".alter materialized-view V docstring 'text'")[0]["DocString"] == "text"
    assert table.run(".alter materialized-view V folder 'f'")[0]["Folder"] == "f"
    assert table.run(".alter materialized-view V autoUpdateSchema true")[0]["AutoUpdateSchema"]
    assert table.run(".disable materialized-view V")[0]["IsHealthy"] is False
    table.run(".ingest inline into table T <|\nx,0,zero")
    assert table.query("V") == [("x", 0, "zero")]  # still fresh while disabled
    table.run(".delete materialized-view V policy caching")
    with pytest.raises(ServiceError, match=r"use '\.create-or-alter"):
        table.run(".alter materialized-view V on table T { T | summarize count() by a }")
    assert table.run(".drop materialized-view W ifexists")[0]["Name"] == "V"


def test_the_properties_of_a_view(table: Any) -> None:
    row = table.run(
        VIEW.replace(
            "view V",
            "view with (folder='f', docString='d', lookback=1d, lookback_column='b') V",
        )
    )[0]
    assert (row["Folder"], row["DocString"]) == ("f", "d")
    assert (row["Lookback"], row["LookbackColumn"]) == (864_000_000_000, "b")
    backfill = VIEW.replace(
        "materialized-view V",
        "async materialized-view with (backfill=true, effectiveDateTime=datetime(2999-01-01)) W",
    )
    table.run(backfill)
    assert table.query("W") == []
    for wrong in ("lookback='x'", "dimensionTables=dynamic(['S'])"):
        with pytest.raises(ServiceError, match=r"lookback is not a timespan|not supported"):
            table.run(VIEW.replace("view V", f"view with ({wrong}) X"))


def test_the_schema_as_json_describes_functions(table: Any) -> None:
    table.run(".create function F(t:(a:string), name:string, low:long=5) { t | take 1 }")
    text = table.run(".show database schema as json")[0]["DatabaseSchema"]
    function = json.loads(text)["Databases"]["Db"]["Functions"]["F"]
    assert function["InputParameters"] == [
        {"Name": "t"},
        {"Name": "name", "Type": "System.String", "CslType": "string"},
        {"Name": "low", "Type": "System.Int64", "CslType": "long"},
    ]


def test_set_and_append(table: Any) -> None:
    rows = table.run(".set U with (folder='f') <| T | where a == 'x' | project a, b")
    assert [row["RowCount"] for row in rows] == [2]
    assert table.run(".show table U cslschema")[0]["Schema"] == "a:string,b:long"
    with pytest.raises(ServiceError, match="already exists"):
        table.run(".set U <| T | project a, b")
    table.run(".append U <| T | where a == 'y' | project a, b")
    assert len(table.query("U")) == 3
    with pytest.raises(ServiceError, match="'W' of kind 'Table' was not found"):
        table.run(".append W <| T")
    with pytest.raises(ServiceError, match="does not match table schema"):
        table.run(".set-or-append U <| T")
    table.run(".set-or-replace U <| T | take 0 | project a, b")
    assert table.query("U") == []
    assert table.run(".set-or-append async W <| print x = dynamic([1])")[0]["OperationId"]
    assert table.query("W") == [([1],)]


def test_records_are_deleted(table: Any) -> None:
    what_if = table.run(".delete table T records with (whatif=true) <| T | where a == 'x'")
    assert [row["RecordsMatchPredicate"] for row in what_if] == [2]
    assert len(table.query("T")) == 3
    assert len(table.run(".delete table T records <| T | where a == 'x'")) == 1
    assert table.query("T") == [("y", 5, "five")]
    assert table.run(".delete table T records <| T | where a == 'x'") == []
    command = ".delete async table T records <| T | extend k = b | project k | where k == 5"
    assert table.run(command)[0]["OperationId"]
    assert table.query("T") == []
    with pytest.raises(ServiceError, match="must begin with the table"):
        table.run(".delete table T records <| U | where a == 'x'")


def test_the_result_of_a_show_command_can_be_queried(table: Any) -> None:
    assert table.run(".show tables | count") == [{"Count": 1}]
    assert table.run(".show table T schema as json | project TableName | take 1") == [
        {"TableName": "T"}
    ]
    with pytest.raises(ServiceError, match="SEM0100"):
        table.run(".show tables | where Nope == 1")
    with pytest.raises(ServiceError, match="Expected a query operator"):
        table.run(".show tables | ")
    with pytest.raises(ServiceError, match="Expected the end of the command"):
        table.run(".drop table T | count")


def test_ingestion_time_is_the_time_of_the_request(table: Any) -> None:
    rows = table.query("T | where ingestion_time() > ago(1h) | summarize dcount(ingestion_time())")
    assert rows == [(1,)]


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
