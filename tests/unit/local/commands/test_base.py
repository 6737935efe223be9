"""What every command goes through: its name, its database, read-only requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.clock import TICKS_PER_DAY
from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_a_command_about_another_database_names_the_remedy(table: Any) -> None:
    table.run(".create database Other")
    with pytest.raises(ServiceError, match="send it with db=Other, not db=Db"):
        table.run(".alter database Other policy caching hot = 1d")
    assert table.run(".show table Db.T cslschema")[0]["TableName"] == "T"


def test_a_read_only_request_changes_nothing(table: Any) -> None:
    with pytest.raises(ServiceError, match="read-only"):
        table.run(".drop table T", request_readonly=True)
    assert len(table.run(".show tables", request_readonly=True)) == 1


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".create-merge-table U (a:string)", "A recognition error occurred"),
        (".show", "A recognition error occurred"),
        ("T | take 1", "must begin with a dot"),
        (".purge table T records <| where a == 'x'", "A recognition error occurred"),
    ],
)
def test_what_is_no_command_is_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)


def test_commands_tell_the_time_by_the_clock_of_the_server(table: Any) -> None:
    table.cluster.advance(10)
    table.run(".create table U (a:string)")
    mapping = '[{"column":"a","Properties":{"Path":"$.a"}}]'
    table.run(
        ".create async materialized-view with (backfill=true) V on table U"
        " { U | summarize count() by a }"
    )
    table.run(f".create table U ingestion json mapping 'M' '{mapping}'")
    view = table.run(".show materialized-view V")[0]
    assert view["MaterializedTo"] >= view["EffectiveDateTime"]
    moments = [
        table.run(".show operations")[0]["StartedOn"],
        table.run(".show commands")[0]["StartedOn"],
        table.run(".show table U ingestion mappings")[0]["LastUpdatedOn"],
    ]
    assert max(moments) - min(moments) < TICKS_PER_DAY
