"""Commands that record principals and show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_principals_are_recorded(bench: Any) -> None:
    rows = bench.run(".add database Db viewers ('aadapp=1;t', 'aaduser=2') 'why'")
    assert [(row["Role"], row["PrincipalType"], row["Notes"]) for row in rows] == [
        ("Database Db Viewer", "AAD Application", "why"),
        ("Database Db Viewer", "AAD User", "why"),
    ]
    bench.run(".drop database Db viewers ('aaduser=2')")
    assert [row["PrincipalFQN"] for row in bench.run(".show database Db principals")] == [
        "aadapp=1;t"
    ]
    assert bench.run(".set database Db viewers none") == []


def test_principals_of_a_table(table: Any) -> None:
    assert table.run(".add table T ingestors ('aadapp=1') skip-results") == []
    assert [row["Role"] for row in table.run(".show table T principals")] == ["Table T Ingestor"]
    assert table.run(".show database principals") == []
    assert table.run(".set table T ingestors none") == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".add database Db owners ('x')", "Expected 'admins'"),
        (".add database Db viewers (x)", "Expected a principal"),
    ],
)
def test_wrong_principals_are_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)
