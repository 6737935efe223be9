"""A source whose rows are handed in while the query runs.

`mv-apply` and `partition` run a pipeline many times, each time over other rows; the pipeline
is bound once over a feed.
"""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.kusto.local.kql.interface import Columns, Row
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.run import Run


class Feed(Plan):
    """Rows that stand in the memory of the run."""

    def __init__(self, columns: Columns) -> None:
        super().__init__(columns, serialized=True)
        self._key = object()
        self.wanted: frozenset[int] = frozenset()

    def need(self, wanted: frozenset[int]) -> None:
        self.wanted |= wanted

    def rows(self, run: Run) -> Iterable[Row]:
        found: list[Row] = run.memory[self._key]
        return found

    def hand_in(self, rows: list[Row], run: Run) -> None:
        """Set the rows for the next evaluation of the pipeline."""
        run.memory[self._key] = rows
