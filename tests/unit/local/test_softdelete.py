"""Soft delete: a predicate becomes a query for record numbers, or is refused."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError
from langgraph.checkpoint.kusto.local.softdelete import record_query


@pytest.mark.parametrize(
    ("predicate", "query"),
    [
        ("T | where a == 'x'", "T | where a == 'x' | project __record__"),
        (
            " ['T']\n| extend b = a | project b\n| where b == '|'",
            " ['T'] | extend b = a | project b, __record__ | where b == '|' | project __record__",
        ),
    ],
)
def test_a_predicate_becomes_a_query_for_record_numbers(predicate: str, query: str) -> None:
    assert record_query("T", predicate) == query


@pytest.mark.parametrize(
    "predicate",
    [
        "T",
        "T | extend b = a",
        "T | where a == 'x' | take 1",
        "T | where a == 'x' | summarize count()",
        "U | where a == 'x'",
        "let x = 1; T | where a == 'x'",
        "T | where a == 'x'; T",
        "",
    ],
)
def test_other_predicates_are_refused(predicate: str) -> None:
    with pytest.raises(ServiceError, match="predicate of a soft delete"):
        record_query("T", predicate)
