"""Views: which of their queries take every column of the source."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.views import takes_all_columns


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
