"""Commands about materialized views: backfill, policies, what disables one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError

VIEW = ".create materialized-view V on table T { T | summarize arg_max(b, c) by a }"


def test_a_view_without_backfill_sees_only_later_rows(filled: Any) -> None:
    row = filled.run(VIEW)[0]
    assert (row["Name"], row["SourceTable"], row["IsHealthy"]) == ("V", "T", True)
    assert row["Query"] == "T | summarize arg_max(b, c) by a"
    assert filled.query("V") == []
    filled.run(".ingest inline into table T <|\nx,0,zero")
    assert filled.query("V") == [("x", 0, "zero")]
    assert filled.query("materialized_view('V') | count") == [(1,)]


def test_a_view_with_backfill_sees_every_row(filled: Any) -> None:
    with pytest.raises(ServiceError, match="requires the command to be 'async'"):
        filled.run(VIEW.replace("materialized-view", "materialized-view with (backfill=true)"))
    command = VIEW.replace("materialized-view", "async materialized-view with (backfill=true)")
    operation = filled.run(command)[0]["OperationId"]
    shown = filled.run(f".show operations {operation}")
    assert [(row["Operation"], row["State"]) for row in shown] == [
        ("MaterializedViewCreate", "Completed")
    ]
    assert sorted(filled.query("V")) == [("x", 2, "two"), ("y", 5, "five")]


def test_a_view_survives_reopening(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    bench.run(".create table T (a:string, b:long, c:string)")
    bench.run(".ingest inline into table T <|\nx,9,old")
    bench.run(VIEW)
    bench.cluster.close()
    again = make_bench()
    again.run(".ingest inline into table T <|\nx,1,new")
    assert again.query("V") == [("x", 1, "new")]


def test_creating_a_view_again(filled: Any) -> None:
    filled.run(VIEW)
    with pytest.raises(ServiceError, match="already exists"):
        filled.run(VIEW)
    other = VIEW.replace("arg_max(b, c)", "count()")
    again = other.replace(".create", ".create ifnotexists")
    assert filled.run(again)[0]["Query"] == "T | summarize arg_max(b, c) by a"
    altered = filled.run(other.replace(".create", ".create-or-alter"))[0]
    assert altered["Query"] == "T | summarize count() by a"
    assert filled.run(".drop materialized-view V") == []


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
def test_wrong_views_are_refused(filled: Any, command: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem):
        filled.run(command)
    assert filled.run(".show materialized-views") == []


def test_the_source_of_a_view_cannot_be_dropped(filled: Any) -> None:
    filled.run(VIEW)
    with pytest.raises(ServiceError, match="drop the view first"):
        filled.run(".drop table T")


def test_a_new_column_disables_a_view_that_takes_all(filled: Any) -> None:
    filled.run(VIEW)
    filled.run(VIEW.replace("view V", "view W").replace("arg_max(b, c)", "arg_max(b, *)"))
    filled.run(
        VIEW.replace("view V", "view with (autoUpdateSchema=true) X").replace("(b, c)", "(b, *)")
    )
    filled.run(".create-merge table T (d:string)")
    enabled = {row["Name"]: row["IsEnabled"] for row in filled.run(".show materialized-views")}
    assert enabled == {"V": True, "W": False, "X": True}
    assert filled.run(".enable materialized-view W")[0]["IsEnabled"] is True


def test_policies_and_details_of_a_view(filled: Any) -> None:
    filled.run(VIEW)
    filled.run(".alter-merge materialized-view V policy retention softdelete = 90d")
    filled.run(".alter materialized-view V policy caching hot = 30d")
    shown = filled.run(".show materialized-view V policy retention")[0]
    assert shown["EntityType"] == "MaterializedView"
    assert json.loads(shown["Policy"])["SoftDeletePeriod"] == "90.00:00:00"
    filled.run(".ingest inline into table T <|\nx,0,zero")
    details = filled.run(".show materialized-view V details")[0]
    assert details["TotalRowCount"] == 1
    assert filled.run(".show materialized-view V failures") == []
    assert filled.run(".show materialized-view V cslschema")[0]["Schema"] == (
        "a:string,b:long,c:string"
    )
    schema = filled.run(".show database schema as json")[0]["DatabaseSchema"]
    assert "V" in json.loads(schema)["Databases"]["Db"]["MaterializedViews"]


def test_altering_a_view(filled: Any) -> None:
    filled.run(VIEW)
    assert filled.run(".alter materialized-view V docstring 'text'")[0]["DocString"] == "text"
    assert filled.run(".alter materialized-view V folder 'f'")[0]["Folder"] == "f"
    assert filled.run(".alter materialized-view V autoUpdateSchema true")[0]["AutoUpdateSchema"]
    assert filled.run(".disable materialized-view V")[0]["IsHealthy"] is False
    filled.run(".ingest inline into table T <|\nx,0,zero")
    assert filled.query("V") == [("x", 0, "zero")]  # still fresh while disabled
    filled.run(".delete materialized-view V policy caching")
    with pytest.raises(ServiceError, match=r"use '\.create-or-alter"):
        filled.run(".alter materialized-view V on table T { T | summarize count() by a }")
    assert filled.run(".drop materialized-view W ifexists")[0]["Name"] == "V"


def test_the_properties_of_a_view(filled: Any) -> None:
    row = filled.run(
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
    filled.run(backfill)
    assert filled.query("W") == []
    for wrong in ("lookback='x'", "dimensionTables=dynamic(['S'])"):
        with pytest.raises(ServiceError, match=r"lookback is not a timespan|not supported"):
            filled.run(VIEW.replace("view V", f"view with ({wrong}) X"))
