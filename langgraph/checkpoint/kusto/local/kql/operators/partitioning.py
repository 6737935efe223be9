"""`partition`: a pipeline run over the rows of each value of a column."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.kusto.local.kql import operator_nodes
from langgraph.checkpoint.kusto.local.kql.errors import forbidden_dynamic
from langgraph.checkpoint.kusto.local.kql.feed import Feed
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.operators.registry import bind_operators, operator
from langgraph.checkpoint.kusto.local.kql.operators.rows import column_of
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scope import Scope


class Partition(Plan):
    """The results of a pipeline over each part, one after the other."""

    def __init__(self, source: Plan, key: int, feed: Feed, inner: Plan) -> None:
        super().__init__(inner.columns)
        self._source, self._key = source, key
        self._feed, self._inner = feed, inner

    def need(self, wanted: frozenset[int]) -> None:
        self._inner.need(wanted)
        self._source.need(self._feed.wanted | {self._key})

    def rows(self, run: Run) -> Iterable[Row]:
        parts: dict[object, list[Row]] = {}
        for row in self._source.rows(run):
            parts.setdefault(row[self._key], []).append(row)
        for part in parts.values():
            self._feed.hand_in(part, run)
            # A list: the next part changes what the feed gives.
            yield from list(self._inner.rows(run))


@operator(operator_nodes.Partition)
def _partition(source: Plan, node: operator_nodes.Partition, scope: Scope) -> Plan:
    key, scalar = column_of(source, node.column)
    if scalar.type == "dynamic":
        raise forbidden_dynamic()
    feed = Feed(source.columns)
    if node.query is not None:
        # A query in braces does not see the rows; it runs once for each part.
        return Partition(source, key, feed, scope.binder.table(node.query, scope.outside()))
    inner = bind_operators(feed, node.operators or (), scope)
    return Partition(source, key, feed, inner)
