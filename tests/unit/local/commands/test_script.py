"""`.execute database script`: what it reports of each command."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_a_script_reports_each_command(table: Any) -> None:
    script = """
        .create table A (x:string) // first

        .show tables
        .create table A (x:nonsense)
        .create table B (x:string)
    """
    rows = table.run(".execute database script <|" + script)
    assert [(row["CommandType"], row["Result"]) for row in rows] == [
        ("TableCreate", "Completed"),
        ("TablesShow", "Skipped"),
        ("Unknown", "Failed"),
    ]
    assert "Expected a scalar type" in rows[2]["Reason"]
    assert rows[0]["CommandText"] == ".create table A (x:string) // first"
    rows = table.run(".execute database script with (ContinueOnErrors=true) <|" + script)
    assert [row["Result"] for row in rows] == ["Completed", "Skipped", "Failed", "Completed"]
    with pytest.raises(ServiceError, match=r"\(in the script's command '.create table A \(x:non"):
        table.run(".execute database script with (ThrowOnErrors=true) <|" + script)
    with pytest.raises(ServiceError, match="exclude each other"):
        table.run(
            ".execute database script with (ThrowOnErrors=true, ContinueOnErrors=true) <| .show x"
        )
