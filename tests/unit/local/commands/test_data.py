"""Commands that write and delete rows by a query, and queries over what a command shows."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_set_and_append(filled: Any) -> None:
    rows = filled.run(".set U with (folder='f') <| T | where a == 'x' | project a, b")
    assert [row["RowCount"] for row in rows] == [2]
    assert filled.run(".show table U cslschema")[0]["Schema"] == "a:string,b:long"
    with pytest.raises(ServiceError, match="already exists"):
        filled.run(".set U <| T | project a, b")
    filled.run(".append U <| T | where a == 'y' | project a, b")
    assert len(filled.query("U")) == 3
    with pytest.raises(ServiceError, match="'W' of kind 'Table' was not found"):
        filled.run(".append W <| T")
    with pytest.raises(ServiceError, match="does not match table schema"):
        filled.run(".set-or-append U <| T")
    filled.run(".set-or-replace U <| T | take 0 | project a, b")
    assert filled.query("U") == []
    assert filled.run(".set-or-append async W <| print x = dynamic([1])")[0]["OperationId"]
    assert filled.query("W") == [([1],)]


def test_records_are_deleted(filled: Any) -> None:
    what_if = filled.run(".delete table T records with (whatif=true) <| T | where a == 'x'")
    assert [row["RecordsMatchPredicate"] for row in what_if] == [2]
    assert len(filled.query("T")) == 3
    assert len(filled.run(".delete table T records <| T | where a == 'x'")) == 1
    assert filled.query("T") == [("y", 5, "five")]
    assert filled.run(".delete table T records <| T | where a == 'x'") == []
    command = ".delete async table T records <| T | extend k = b | project k | where k == 5"
    assert filled.run(command)[0]["OperationId"]
    assert filled.query("T") == []
    with pytest.raises(ServiceError, match="must begin with the table"):
        filled.run(".delete table T records <| U | where a == 'x'")


def test_the_result_of_a_show_command_can_be_queried(filled: Any) -> None:
    assert filled.run(".show tables | count") == [{"Count": 1}]
    assert filled.run(".show table T schema as json | project TableName | take 1") == [
        {"TableName": "T"}
    ]
    with pytest.raises(ServiceError, match="SEM0100"):
        filled.run(".show tables | where Nope == 1")
    with pytest.raises(ServiceError, match="Expected a query operator"):
        filled.run(".show tables | ")
    with pytest.raises(ServiceError, match="Expected the end of the command"):
        filled.run(".drop table T | count")
