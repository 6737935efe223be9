"""Commands that create, alter, drop and show tables and their columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError

SCHEMA = "TableName:string Schema:string DatabaseName:string Folder:string DocString:string"


def test_create_table_answers_its_schema(table: Any) -> None:
    assert table.columns(".create table U (x:real)") == SCHEMA
    assert table.run(".show table T cslschema") == [
        {
            "TableName": "T",
            "Schema": "a:string,b:long",
            "DatabaseName": "Db",
            "Folder": "dir",
            "DocString": "doc",
        }
    ]


def test_create_table_again_changes_nothing(table: Any) -> None:
    row = table.run(".create table T (z:real) with (docstring='other')")[0]
    assert (row["Schema"], row["DocString"]) == ("a:string,b:long", "doc")


def test_create_merge_adds_at_the_end_and_refuses_another_type(table: Any) -> None:
    row = table.run(".create-merge table T (c:dynamic, a:string)")[0]
    assert row["Schema"] == "a:string,b:long,c:dynamic"
    with pytest.raises(ServiceError, match="its type cannot be changed to real"):
        table.run(".create-merge table T (b:real, d:string)")
    assert table.run(".show table T cslschema")[0]["Schema"] == "a:string,b:long,c:dynamic"


def test_several_tables_at_once(table: Any) -> None:
    rows = table.run(".create tables T (a:string), ['U v'] (x:long) with (folder='new')")
    assert [(row["TableName"], row["Folder"]) for row in rows] == [("T", "dir"), ("U v", "new")]
    with pytest.raises(ServiceError, match="cannot be changed"):
        table.run(".create-merge tables W (a:string), T (a:long)")
    assert "W" not in {row["TableName"] for row in table.run(".show tables")}


def test_names_that_are_no_words_are_quoted(bench: Any) -> None:
    row = bench.run(".create table ['my table'] (['a b']:string, ['1c']:long)")[0]
    assert row["Schema"] == "['a b']:string,['1c']:long"
    assert bench.run(".drop table ['my table']") == []


def test_alter_table(table: Any) -> None:
    assert table.run('.alter table T docstring "new"')[0]["DocString"] == "new"
    assert table.run(".alter table T folder 'x/y'")[0]["Folder"] == "x/y"
    assert table.run(".alter-merge table T (c:string)")[0]["Schema"] == "a:string,b:long,c:string"
    assert table.run(".alter table T (c:string, a:string)")[0]["Schema"] == "c:string,a:string"
    table.run(".alter table T column-docstrings (a:'first')")
    schema = json.loads(table.run(".show table T schema as json")[0]["Schema"])
    assert schema["OrderedColumns"][1] == {
        "Name": "a",
        "Type": "System.String",
        "CslType": "string",
        "DocString": "first",
    }


def test_drop(table: Any) -> None:
    assert table.run(".drop column T.b")[0]["Schema"] == "a:string"
    with pytest.raises(ServiceError, match=r"Entity ID 'T\.b' of kind 'Column' was not found"):
        table.run(".drop column T.b")
    table.run(".drop column T.b ifexists")
    table.run(".drop table T")
    with pytest.raises(ServiceError, match="Entity ID 'T' of kind 'Table' was not found"):
        table.run(".drop table T")
    table.run(".drop table T ifexists")
    table.run(".create tables A (x:string), B (x:string)")
    assert table.run(".drop tables (A, B)") == []


def test_a_dropped_table_comes_back_empty(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1")
    table.run(".drop table T")
    table.run(".create table T (a:string, b:long)")
    assert table.query("T") == []


def test_clear_table_data(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1\ny,2")
    assert table.run(".clear table T data") == [{"Status": "Success"}]
    assert table.query("T") == []


def test_show_tables_and_details(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1\ny,2")
    table.run(".alter-merge table T policy retention softdelete = 3d")
    assert table.run(".show tables") == [
        {"TableName": "T", "DatabaseName": "Db", "Folder": "dir", "DocString": "doc"}
    ]
    details = table.run(".show table T details")[0]
    assert details["TotalRowCount"] == details["HotRowCount"] == 2
    assert json.loads(details["RetentionPolicy"])["SoftDeletePeriod"] == "3.00:00:00"
    assert details["MinExtentsCreationTime"] is not None
    assert table.run(".show tables details") == [details]
    assert table.run(".show tables (T) details") == [details]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".alter table T columns", "Expected policy, ingestion, docstring"),
        (".alter table T column-docstrings (z:'x')", "'T.z' of kind 'Column' was not found"),
        (".drop table T columns (a, b)", "must keep at least one column"),
        (".create table U (a:string, a:long)", "declared twice"),
        (".create table U (a:text)", "Expected a scalar type"),
        (".create table U (a:string) with (color='x')", "'color' is not known"),
        (".create table U (a:string) extra", "Expected the end of the command"),
        (".show table T extents", "has no extents"),
    ],
)
def test_wrong_tables_and_columns_are_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)
