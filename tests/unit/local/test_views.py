"""Views: which of their queries take every column of the source, or the newest row of groups."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.views import newest_columns, takes_all_columns


@pytest.mark.parametrize(
    ("query", "takes_all"),
    [
        ("T | summarize arg_max(b, *) by a", True),
        ("T | summarize take_any(*) by a", True),
        ("T | summarize arg_min(iff(x, b * 2, c), *) by a", True),
        ("T | summarize arg_max(b * 2, c) by a", False),
        ("T | summarize arg_max(b, c, d) by a // *", False),
        ("T | summarize count() by a", False),
    ],
)
def test_views_that_take_every_column(query: str, takes_all: bool) -> None:
    assert takes_all_columns(query) is takes_all


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("T | summarize arg_max(b, c) by a", ("a", "b")),
        ("T\n| summarize arg_max(b, *)\n    by a, d // newest", ("a", "d", "b")),
        ("T | summarize arg_max(b, c)", ()),
        ("T | summarize arg_max(b, tostring(c)) by a", ()),
        ("T | summarize arg_max(f(b), c) by a", ()),
        ("T | summarize arg_max(b + 1, c) by a", ()),
        ("T | summarize arg_max(b, c), count() by a", ()),
        ("T | summarize arg_max(b, c) by a = d", ()),
        ("T | summarize arg_max(b, c) by bin(a, 1)", ()),
        ("T | summarize arg_max(by", ()),
        ("T | summarize arg_min(b, c) by a", ()),
        ("T | where x > 1 | summarize arg_max(b, c) by a", ()),
    ],
)
def test_views_of_the_newest_of_a_group(query: str, columns: tuple[str, ...]) -> None:
    assert newest_columns(query) == columns
