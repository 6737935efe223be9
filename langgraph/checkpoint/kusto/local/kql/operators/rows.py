"""Operators that take rows as they come: `where`, `extend`, `serialize`, `take`, `count`, ..."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.bind_comparison import require_bool
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error, unsupported
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.limits import of_item
from langgraph.checkpoint.kusto.local.kql.names import NameTable, explicit_name
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, row_count
from langgraph.checkpoint.kusto.local.kql.plan import (
    Constant,
    Count,
    Filter,
    Plan,
    Sample,
    Take,
    visible,
)
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Evaluate, Limit, Scalar, literal
from langgraph.checkpoint.kusto.local.kql.scalar import column as column_scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.types import CLR_TYPES
from langgraph.checkpoint.kusto.local.kql.windows import Window


class Windowed(Plan):
    """The rows with the values of window functions behind them."""

    def __init__(self, source: Plan, window: Window) -> None:
        extra = tuple(Column(f"$window{at}", "dynamic") for at in range(len(window.calls)))
        super().__init__(source.columns + extra, source.serialized)
        self._source = source
        self._window = window
        self._width = len(source.columns)

    def need(self, wanted: frozenset[int]) -> None:
        below = frozenset(at for at in wanted if at < self._width)
        self._source.need(below | self._window.columns)

    def rows(self, run: Run) -> Iterable[Row]:
        return self._window.widen(list(self._source.rows(run)), run)


class Extend(Plan):
    """`extend`: columns replaced in their place or put behind the row."""

    def __init__(
        self,
        source: Plan,
        columns: Columns,
        replaced: dict[int, Scalar],
        added: Sequence[Scalar],
        width: int,
    ) -> None:
        super().__init__(columns, source.serialized)
        self._source = source
        self._replaced = replaced
        self._added = added
        # Window values stand behind the first `width` columns and go no further.
        self._width = width
        self._live: dict[int, Scalar] = {}
        self._live_added: list[Scalar | None] = []

    def need(self, wanted: frozenset[int]) -> None:
        self._live = {at: item for at, item in self._replaced.items() if at in wanted}
        self._live_added = [
            item if self._width + at in wanted else None for at, item in enumerate(self._added)
        ]
        below = {at for at in wanted if at < self._width and at not in self._replaced}
        for item in (*self._live.values(), *filter(None, self._live_added)):
            below |= item.columns
        self._source.need(frozenset(below))

    def restrict(self, position: int, values: Any) -> bool:
        if position >= self._width or position in self._replaced:
            return False
        return self._source.restrict(position, values)

    def limit(self, limit: Limit) -> bool:
        at = limit.column
        item = self._added[at - self._width] if at >= self._width else self._replaced.get(at)
        inner = limit if item is None else of_item(item, limit)
        return inner is not None and self._source.limit(inner)

    def rows(self, run: Run) -> Iterable[Row]:
        replaced = [(at, item.evaluate) for at, item in self._live.items()]
        added = [None if item is None else item.evaluate for item in self._live_added]
        width = self._width
        rows = self._source.rows(run)
        if not replaced and None not in added:
            live = [item for item in added if item is not None]
            return ((*row[:width], *[item(row, run) for item in live]) for row in rows)
        return self._rows_with(rows, run, replaced, added)

    def _rows_with(
        self,
        rows: Iterable[Row],
        run: Run,
        replaced: list[tuple[int, Evaluate]],
        added: list[Evaluate | None],
    ) -> Iterable[Row]:
        """Rows of which cells are replaced, or have cells that nobody looks at."""
        width = self._width
        for row in rows:
            tail = [None if item is None else item(row, run) for item in added]
            if not replaced:
                yield (*row[:width], *tail)
                continue
            cells = list(row[:width])
            for at, item in replaced:
                cells[at] = item(row, run)
            yield (*cells, *tail)


class Serialized(Plan):
    """The same rows, in an order that is declared to mean something."""

    def __init__(self, source: Plan) -> None:
        super().__init__(source.columns, serialized=True)
        self._source = source

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(wanted)

    def restrict(self, position: int, values: Any) -> bool:
        return self._source.restrict(position, values)

    def rows(self, run: Run) -> Iterable[Row]:
        return self._source.rows(run)


# ---------------------------------------------------------------- binding


def windowed_scope(source: Plan, scope: Scope, name: str) -> tuple[Scope, Window]:
    """A scope whose expressions may look at the rows around, when the rows have an order."""
    window = Window(len(source.columns))
    inner = scope.over(source.columns, name)
    return (replace(inner, window=window) if source.serialized else inner), window


@operator(operator_nodes.Where)
def _where(source: Plan, node: operator_nodes.Where, scope: Scope) -> Plan:
    inner, window = windowed_scope(source, scope, "where")
    predicate = require_bool(scope.binder.scalar(node.predicate, inner))
    if window.calls:
        filtered = Filter(Windowed(source, window), predicate)
        return Extend(filtered, source.columns, {}, (), len(source.columns))
    for position, values in predicate.restricts:
        source.restrict(position, values)
    for limit in predicate.limits:
        source.limit(limit)
    return Filter(source, predicate)


@operator(operator_nodes.Extend)
def _extend(source: Plan, node: operator_nodes.Extend, scope: Scope) -> Plan:
    return _extend_with(source, node.expressions, scope, "extend")


@operator(operator_nodes.Serialize)
def _serialize(source: Plan, node: operator_nodes.Serialize, scope: Scope) -> Plan:
    serialized = Serialized(source)
    if not node.expressions:
        return serialized
    return _extend_with(serialized, node.expressions, scope, "serialize")


def _extend_with(
    source: Plan, expressions: Sequence[nodes.Expression], scope: Scope, name: str
) -> Plan:
    inner, window = windowed_scope(source, scope, name)
    positions = {source.columns[at].name: at for at in visible(source.columns)}
    names = NameTable()
    columns = list(source.columns)
    replaced: dict[int, Scalar] = {}
    added: list[Scalar] = []
    for expression in expressions:
        explicit, body = explicit_name(expression)
        item = scope.binder.scalar(body, inner)
        column_name = _extended_name(names, positions, explicit, item)
        if name == "serialize" and column_name in positions:
            # `serialize` never replaces a column.
            column_name = NameTable(set(positions)).derived(column_name)
        at = positions.get(column_name)
        if at is None:
            columns.append(Column(column_name, item.type))
            added.append(item)
        else:
            columns[at] = Column(column_name, item.type)
            replaced[at] = item
    below = Windowed(source, window) if window.calls else source
    return Extend(below, tuple(columns), replaced, added, len(source.columns))


def _extended_name(
    names: NameTable, positions: dict[str, int], explicit: str | None, item: Scalar
) -> str:
    if explicit is None and not item.name:
        # `ColumnN` must not replace a column of that name.
        names.taken |= {name for name in positions if name.startswith("Column")}
    return names.choose(explicit, item.name, item.column is not None)


@operator(operator_nodes.Take)
def _take(source: Plan, node: operator_nodes.Take, scope: Scope) -> Plan:
    count = row_count(node.count, scope, node.verb)
    return Take(source, count) if node.verb == "take" else Sample(source, count)


@operator(operator_nodes.Count)
def _count(source: Plan, node: operator_nodes.Count, scope: Scope) -> Plan:
    return Count(source, node.name)


@operator(operator_nodes.Render)
def _render(source: Plan, node: operator_nodes.Render, scope: Scope) -> Plan:
    return source


@operator(operator_nodes.GetSchema)
def _getschema(source: Plan, node: operator_nodes.GetSchema, scope: Scope) -> Plan:
    columns = (
        Column("ColumnName", "string"),
        Column("ColumnOrdinal", "long"),
        Column("DataType", "string"),
        Column("ColumnType", "string"),
    )
    rows = []
    for ordinal, at in enumerate(visible(source.columns)):
        column = source.columns[at]
        rows.append(
            [
                literal(column.name, "string"),
                literal(ordinal, "long"),
                literal(CLR_TYPES[column.type], "string"),
                literal(column.type, "string"),
            ]
        )
    return Constant(columns, rows, serialized=True)


@operator(operator_nodes.Evaluate)
def _evaluate(source: Plan, node: operator_nodes.Evaluate, scope: Scope) -> Plan:
    raise unsupported(
        f"the plugin '{node.call.name}'", "project the properties you need with project"
    )


def column_of(source: Plan, name: str) -> tuple[int, Scalar]:
    """A visible column by name, as a scalar.

    Raises:
        KqlError: There is none.
    """
    for at in visible(source.columns):
        if source.columns[at].name == name:
            return at, column_scalar(at, source.columns[at].type, name)
    raise semantic_error("KS142", f"The name '{name}' does not refer to any known column.")
