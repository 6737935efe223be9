"""Commands about ingestion mappings, of tables and of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_mappings(table: Any) -> None:
    entries = '[{"column":"a","Properties":{"Path":"$.a"}}]'
    first, rest = entries[:20], entries[20:]
    command = f""".create table T ingestion json mapping "M" '{first}' '{rest}'"""
    row = table.run(command)[0]
    assert (row["Name"], row["Kind"], row["Mapping"]) == ("M", "Json", entries)
    assert row["Table"] == "T"
    with pytest.raises(ServiceError, match="already exists"):
        table.run(command)
    other = entries.replace("$.a", "$.b")
    table.run(f""".create-or-alter table T ingestion json mapping "M" '{other}'""")
    assert table.run('.show table T ingestion json mapping "M"')[0]["Mapping"] == other
    assert len(table.run(".show table T ingestion mappings")) == 1
    with pytest.raises(ServiceError, match="kind 'MappingPersistent' was not found") as caught:
        table.run('.show table T ingestion json mapping "N"')
    assert caught.value.code == "BadRequest_MappingReferenceWasNotFound"
    table.run('.drop table T ingestion json mapping "M"')
    assert table.run(".show table T ingestion mappings") == []
    with pytest.raises(ServiceError, match="not valid JSON"):
        table.run(".create table T ingestion json mapping 'M' 'x'")


def test_a_mapping_of_the_database(table: Any) -> None:
    entries = '[{"column":"a","Properties":{"Path":"$.a"}}]'
    table.run(f".create-or-alter database Db ingestion json mapping 'M' '{entries}'")
    shown = table.run(".show database Db ingestion mappings")
    assert [(row["Name"], row["Mapping"]) for row in shown] == [("M", entries)]
    assert "Table" not in shown[0]
    csv = '[{"column":"a","Properties":{"Ordinal":0}}]'
    table.run(f".create table T ingestion csv mapping 'C' '{csv}'")
    assert [row["Kind"] for row in table.run(".show table T ingestion csv mappings")] == ["Csv"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".create table T ingestion avro mapping 'M' '[]'", "keeps json and csv mappings only"),
        (".create table T ingestion json mapping M '[]'", "mapping's name as a string literal"),
        (
            '.alter table T ingestion json mapping \'M\' \'[{"column":"a","Properties":'
            '{"Path":"$.a"}}]\'',
            "MappingPersistent",
        ),
        (".drop table T ingestion json mapping 'M'", "MappingPersistent"),
    ],
)
def test_wrong_mappings_are_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)
