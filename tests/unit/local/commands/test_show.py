"""Commands about databases and the cluster, and what they show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_databases(bench: Any, make_bench: Callable[..., Any]) -> None:
    bench.run(".create database Other persist (@'/md', @'/data') ifnotexists")
    bench.run(".create database OTHER ifnotexists")
    with pytest.raises(ServiceError, match="already exists"):
        bench.run(".create database other")
    assert [row["DatabaseName"] for row in bench.run(".show databases")] == ["Db", "Other"]
    bench.cluster.close()
    assert len(make_bench().run(".show databases")) == 2


def test_the_schema_of_a_database(table: Any) -> None:
    rows = table.run(".show database Db schema")
    assert [(row["TableName"], row["ColumnName"], row["ColumnType"]) for row in rows] == [
        ("", "", ""),
        ("T", "", ""),
        ("T", "a", "System.String"),
        ("T", "b", "System.Int64"),
    ]
    text = table.run(".show database schema as json")[0]["DatabaseSchema"]
    tables = json.loads(text)["Databases"]["Db"]["Tables"]
    assert tables["T"]["OrderedColumns"][1]["CslType"] == "long"
    assert table.run(".show database cslschema")[0]["Schema"] == "a:string,b:long"


def test_what_ran_is_shown(table: Any) -> None:
    with pytest.raises(ServiceError):
        table.run(".nonsense")
    shown = table.run(".show commands")
    assert [(row["CommandType"], row["State"]) for row in shown] == [
        ("Unknown", "Failed"),
        ("TableCreate", "Completed"),
    ]
    table.query("T")
    assert [row["Text"] for row in table.run(".show queries")] == ["T"]


@pytest.mark.parametrize(
    "command",
    [
        ".show version",
        ".show cluster",
        ".show capacity",
        ".show operations",
        ".show operations 11111111-2222-3333-4444-555555555555",
        ".show streamingingestion statistics",
        ".show streamingingestion failures",
        ".show principal roles",
        ".show database",
        ".show database Db principal roles",
        ".show table T",
        ".show table T principals",
    ],
)
def test_other_show_commands_answer(table: Any, command: str) -> None:
    assert table.columns(command)


def test_the_cache_is_cleared(table: Any) -> None:
    done = [{"NodeId": "LocalNode", "Status": "Succeeded"}]
    assert table.run(".clear database cache streamingingestion schema") == done
    assert table.run(".clear table T cache streamingingestion schema") == done


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".create database D persist (x, y)", "Expected a path"),
    ],
)
def test_a_wrong_database_is_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)
