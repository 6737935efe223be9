"""`mv-expand` and `mv-apply`: the elements of dynamic arrays and bags become rows.

Several columns expand side by side; the shorter ones end in nulls. A null gives one row, an
empty array none. A bag expands into bags of one property, or pairs with `kind=array`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.coerce import element_as
from langgraph.checkpoint.kusto.local.kql.errors import wrong_type
from langgraph.checkpoint.kusto.local.kql.feed import Feed
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.names import NameTable
from langgraph.checkpoint.kusto.local.kql.operators.columns import keep
from langgraph.checkpoint.kusto.local.kql.operators.registry import (
    bind_operators,
    operator,
    option,
    row_count,
)
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Scalar, Values
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import missing_value


class _Expansion(NamedTuple):
    """One expanded column: what it expands, the type of its elements, its place."""

    scalar: Scalar
    type: str
    position: int


class MvExpand(Plan):
    """Rows multiplied by the elements of some dynamics."""

    def __init__(
        self,
        source: Plan,
        columns: Columns,
        expansions: list[_Expansion],
        index: int | None,
        pairs: bool,
        limit: Scalar | None,
    ) -> None:
        super().__init__(columns, source.serialized)
        self._source = source
        self._expansions = expansions
        self._index = index
        self._pairs = pairs
        self._limit = limit

    def need(self, wanted: frozenset[int]) -> None:
        width = len(self._source.columns)
        expanded = {each.position for each in self._expansions}
        below = {at for at in wanted if at < width and at not in expanded}
        for each in self._expansions:
            below |= each.scalar.columns
        self._source.need(frozenset(below))

    def restrict(self, position: int, values: Values) -> bool:
        inherited = position < len(self._source.columns)
        if not inherited or any(each.position == position for each in self._expansions):
            return False
        return self._source.restrict(position, values)

    def rows(self, run: Run) -> Iterable[Row]:
        limit = None if self._limit is None else self._limit.evaluate(NO_ROW, run)
        for row in self._source.rows(run):
            yield from self.expand(row, run, limit)

    def expand(self, row: Row, run: Run, limit: int | None = None) -> Iterable[Row]:
        """The rows that one row becomes."""
        lists = [self._elements(each.scalar.evaluate(row, run)) for each in self._expansions]
        readers = [element_as(each.type) for each in self._expansions]
        count = max(len(each) for each in lists)
        blank = list(row) + [None] * (len(self.columns) - len(row))
        for number in range(count if limit is None else min(count, limit)):
            cells = blank.copy()
            for each, elements, read in zip(self._expansions, lists, readers, strict=True):
                value = read(elements[number]) if number < len(elements) else None
                cells[each.position] = missing_value(each.type) if value is None else value
            if self._index is not None:
                cells[self._index] = number
            yield tuple(cells)

    def _elements(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        if isinstance(value, dict):
            if self._pairs:
                return [[key, item] for key, item in value.items()]
            return [{key: item} for key, item in value.items()]
        return [value]


class MvApply(Plan):
    """A pipeline over the expansion of each row; its columns are put behind the row's."""

    def __init__(
        self,
        expand: MvExpand,
        feed: Feed,
        inner: Plan,
        outer: list[int],
        source: Plan,
        limit: Scalar | None,
    ) -> None:
        held = {source.columns[at].name for at in outer}
        self._picked = [at for at, each in enumerate(inner.columns) if each.name not in held]
        columns = tuple(source.columns[at] for at in outer) + tuple(
            inner.columns[at] for at in self._picked
        )
        super().__init__(columns)
        self._expand, self._feed, self._inner = expand, feed, inner
        self._outer, self._source, self._limit = outer, source, limit

    def need(self, wanted: frozenset[int]) -> None:
        inside = (self._picked[at - len(self._outer)] for at in wanted if at >= len(self._outer))
        self._inner.need(frozenset(inside))
        # The feed's rows are the expanded ones: ask the expansion for what the pipeline takes,
        # and the source for what goes around it.
        around = {self._outer[at] for at in wanted if at < len(self._outer)}
        self._expand.need(self._feed.wanted | frozenset(around))

    def restrict(self, position: int, values: Values) -> bool:
        if position >= len(self._outer):
            return False
        return self._source.restrict(self._outer[position], values)

    def rows(self, run: Run) -> Iterable[Row]:
        limit = None if self._limit is None else self._limit.evaluate(NO_ROW, run)
        for row in self._source.rows(run):
            self._feed.hand_in(list(self._expand.expand(row, run, limit)), run)
            around = tuple([row[at] for at in self._outer])
            for found in list(self._inner.rows(run)):
                yield around + tuple([found[at] for at in self._picked])


# ---------------------------------------------------------------- binding


def _bind_expand(
    source: Plan,
    options: tuple[nodes.Option, ...],
    expands: tuple[operator_nodes.Expand, ...],
    limit: Scalar | None,
    scope: Scope,
    name: str,
) -> MvExpand:
    inner = scope.over(source.columns, name)
    positions = {source.columns[at].name: at for at in visible(source.columns)}
    columns = list(source.columns)
    names = NameTable(set(positions))
    expansions = []
    for expand in expands:
        scalar = inner.binder.scalar(expand.expression, inner)
        if scalar.type != "dynamic":
            raise wrong_type(["dynamic"])
        element = expand.type or "dynamic"
        label = expand.name or scalar.name
        if label in positions:
            at = positions[label]
            columns[at] = Column(label, element)
        else:
            at = len(columns)
            columns.append(Column(names.given(label) if label else names.invented(), element))
        expansions.append(_Expansion(scalar, element, at))
    index = None
    for each in options:
        if each.name == "with_itemindex":
            index = len(columns)
            columns.append(Column(names.derived(each.value), "long"))
    pairs = "array" in (
        option(options, "kind", ("bag", "array"), "bag"),
        option(options, "bagexpansion", ("bag", "array"), "bag"),
    )
    return MvExpand(source, tuple(columns), expansions, index, pairs, limit)


def _limit(node: operator_nodes.MvExpand | operator_nodes.MvApply, scope: Scope) -> Scalar | None:
    return None if node.limit is None else row_count(node.limit, scope, "mv-expand")


@operator(operator_nodes.MvExpand)
def _mv_expand(source: Plan, node: operator_nodes.MvExpand, scope: Scope) -> Plan:
    limit = _limit(node, scope)
    return _bind_expand(source, node.options, node.columns, limit, scope, "mv-expand")


@operator(operator_nodes.MvApply)
def _mv_apply(source: Plan, node: operator_nodes.MvApply, scope: Scope) -> Plan:
    source = keep(source, visible(source.columns))
    limit = _limit(node, scope)
    expand = _bind_expand(source, node.options, node.columns, limit, scope, "mv-apply")
    feed = Feed(expand.columns)
    inner = bind_operators(feed, node.operators, scope)
    # A column expanded under its own name belongs to the pipeline, not to the row around it.
    own = {at for at, column in enumerate(source.columns) if expand.columns[at] is not column}
    outer = [at for at in range(len(source.columns)) if at not in own]
    return MvApply(expand, feed, inner, outer, source, limit)
