"""`order by` and `top`: rows in an order, nulls where the text wants them.

Strings are ordered ordinally. Rows with equal keys come in any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from langgraph.checkpoint.kusto.local.kql import operator_nodes
from langgraph.checkpoint.kusto.local.kql.errors import forbidden_dynamic
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, row_count
from langgraph.checkpoint.kusto.local.kql.ordering import sort_key
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Scalar, Values
from langgraph.checkpoint.kusto.local.kql.scope import Scope


class SortTerm(NamedTuple):
    """One bound key of a sort."""

    scalar: Scalar
    descending: bool
    nulls_first: bool

    def key(self, run: Run) -> Callable[[Row], Any]:
        """A key for Python's sort; where nulls go depends on the direction of the sort."""
        evaluate = self.scalar.evaluate
        if self.scalar.type == "string" and self.scalar.column is not None:
            return itemgetter(self.scalar.column)  # never null, and in its own order
        order = sort_key(self.scalar.type)
        # `sort(reverse=True)` turns the ranks around as well.
        null_rank, value_rank = (1, 0) if self.nulls_first is self.descending else (0, 1)

        def rank(row: Row) -> Any:
            value = evaluate(row, run)
            return (null_rank,) if value is None else (value_rank, order(value))

        return rank


class Sort(Plan):
    """`order by`."""

    def __init__(self, source: Plan, terms: tuple[SortTerm, ...]) -> None:
        super().__init__(source.columns, serialized=True)
        self._source = source
        self._terms = terms

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(wanted.union(*(term.scalar.columns for term in self._terms)))

    def restrict(self, position: int, values: Values) -> bool:
        return self._source.restrict(position, values)

    def rows(self, run: Run) -> Iterable[Row]:
        found = run.unordered(list(self._source.rows(run)))
        # Sorting is stable: the last key first, so that the first one decides.
        for term in reversed(self._terms):
            found.sort(key=term.key(run), reverse=term.descending)
        return found


class Top(Plan):
    """`top`: the first rows of an order."""

    def __init__(self, source: Plan, term: SortTerm, count: Scalar) -> None:
        super().__init__(source.columns, serialized=True)
        self._source = source
        self._term = term
        self._count = count

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(wanted | self._term.scalar.columns)

    def rows(self, run: Run) -> Iterable[Row]:
        found = run.unordered(list(self._source.rows(run)))
        count = max(0, self._count.evaluate(NO_ROW, run) or 0)
        choose = heapq.nlargest if self._term.descending else heapq.nsmallest
        return choose(count, found, key=self._term.key(run))


def _term(node: operator_nodes.SortKey, source: Plan, scope: Scope, name: str) -> SortTerm:
    scalar = scope.binder.scalar(node.expression, scope.over(source.columns, name))
    if scalar.type == "dynamic":
        raise forbidden_dynamic()
    return SortTerm(scalar, node.descending, node.nulls_first)


@operator(operator_nodes.Sort)
def _sort(source: Plan, node: operator_nodes.Sort, scope: Scope) -> Plan:
    return Sort(source, tuple(_term(key, source, scope, "sort") for key in node.keys))


@operator(operator_nodes.Top)
def _top(source: Plan, node: operator_nodes.Top, scope: Scope) -> Plan:
    count = row_count(node.count, scope, "top")
    return Top(source, _term(node.key, source, scope, "top"), count)
