"""`summarize`: rows in groups, one row for each group.

An item is an expression of aggregates; each aggregate is computed over the group first, the
expression around it afterwards over their values. Without `by` there is one group, also over
no rows at all; without aggregates each combination of keys comes once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeGuard

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.aggregates import (
    Aggregate,
    bind_aggregate,
    is_aggregate,
)
from langgraph.checkpoint.kusto.local.kql.errors import forbidden_dynamic, semantic_error
from langgraph.checkpoint.kusto.local.kql.functions import require_known
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.names import NameTable, explicit_name
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.row_makers import cells_at
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Evaluate, Scalar, Values
from langgraph.checkpoint.kusto.local.kql.scope import Scope


@dataclass
class _Slots:
    """The aggregates of one `summarize`; each one's value has a place in a row of its own."""

    aggregates: list[Aggregate] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        """The columns of the row of aggregate values."""
        return tuple(
            Column(f"$aggregate{at}", each.columns[0].type)
            for at, each in enumerate(self.aggregates)
        )

    def add(self, aggregate: Aggregate) -> int:
        """Give an aggregate its place."""
        self.aggregates.append(aggregate)
        return len(self.aggregates) - 1


def _grouping_key(key: Scalar) -> Evaluate:
    """The value rows are grouped by; NaN is one value, though it is not equal to itself."""
    evaluate = key.evaluate
    if key.type != "real":
        return evaluate

    def value(row: Row, run: Run) -> Any:
        found = evaluate(row, run)
        return math.nan if found is not None and math.isnan(found) else found

    return value


@dataclass(frozen=True)
class _Item:
    """One result: a whole aggregate that gives several values, or an expression."""

    columns: tuple[Column, ...]
    slot: int | None = None
    scalar: Scalar | None = None


class Summarize(Plan):
    """A bound `summarize`."""

    def __init__(
        self, source: Plan, columns: Columns, keys: list[Scalar], slots: _Slots, items: list[_Item]
    ) -> None:
        super().__init__(columns)
        self._source = source
        self._keys = keys
        self._slots = slots
        self._items = items
        self._computes = [each.compute for each in slots.aggregates]
        by = [key.column for key in keys if key.column is not None and key.type == "string"]
        if len(slots.aggregates) == 1 and len(by) == len(keys):
            greatest = slots.aggregates[0].greatest
            if greatest is not None:
                source.newest(greatest, by)

    def need(self, wanted: frozenset[int]) -> None:
        below: set[int] = set()
        for key in self._keys:
            below |= key.columns
        for aggregate in self._slots.aggregates:
            below |= aggregate.looked_at
        self._source.need(frozenset(below))
        self._narrow(wanted)

    def _narrow(self, wanted: frozenset[int]) -> None:
        """Let aggregates of several values leave out those that nobody looks at."""
        first = len(self._keys)
        for item in self._items:
            last = first + len(item.columns)
            if item.slot is not None:
                aggregate = self._slots.aggregates[item.slot]
                if aggregate.narrowed is not None:
                    own = frozenset(at - first for at in wanted if first <= at < last)
                    self._computes[item.slot] = aggregate.narrowed(own)
            first = last

    def restrict(self, position: int, values: Values) -> bool:
        if position >= len(self._keys):
            return False
        origin = self._keys[position].column
        # Whole groups go, so the other groups stay what they are.
        return origin is not None and self._source.restrict(origin, values)

    def rows(self, run: Run) -> Iterable[Row]:
        groups = self._groups(run)
        return run.unordered([key + self._results(rows, run) for key, rows in groups.items()])

    def _groups(self, run: Run) -> dict[Row, list[Row]]:
        if not self._keys:
            return {(): list(self._source.rows(run))}
        groups: dict[Row, list[Row]] = defaultdict(list)
        plain = [key.column for key in self._keys if key.column is not None and key.type != "real"]
        if len(plain) == len(self._keys):
            take = cells_at(plain)
            for row in self._source.rows(run):
                groups[take(row)].append(row)
            return groups
        keys = [_grouping_key(key) for key in self._keys]
        for row in self._source.rows(run):
            groups[tuple([key(row, run) for key in keys])].append(row)
        return groups

    def _results(self, rows: list[Row], run: Run) -> Row:
        values = tuple([compute(rows, run) for compute in self._computes])
        result: list[Any] = []
        for item in self._items:
            if item.slot is not None:
                result += values[item.slot]
            elif item.scalar is not None:
                result.append(item.scalar.evaluate(values, run))
        return tuple(result)


# ---------------------------------------------------------------- binding


@operator(operator_nodes.Summarize)
def _summarize(source: Plan, node: operator_nodes.Summarize, scope: Scope) -> Plan:
    if not node.aggregates and not node.keys:
        raise semantic_error("KS006", "'summarize' operator: Missing expression")
    inner = scope.over(source.columns, "summarize")
    names = NameTable()
    keys, columns = _bind_keys(node, inner, names)
    key_names = frozenset(key.name for key in keys if key.column is not None)
    slots, items = _Slots(), []
    for expression in node.aggregates:
        item = _bind_item(expression, inner, slots, key_names, names)
        items.append(item)
        columns += item.columns
    return Summarize(source, tuple(columns), keys, slots, items)


def _bind_keys(
    node: operator_nodes.Summarize, inner: Scope, names: NameTable
) -> tuple[list[Scalar], list[Column]]:
    keys, columns = [], []
    for expression in node.keys:
        explicit, body = explicit_name(expression)
        key = inner.binder.scalar(body, inner)
        if key.type == "dynamic":
            raise forbidden_dynamic()
        name = names.choose(explicit, key.name, False)
        keys.append(key)
        columns.append(Column(name, key.type))
    return keys, columns


def _bind_item(
    expression: nodes.Expression,
    inner: Scope,
    slots: _Slots,
    keys: frozenset[str],
    names: NameTable,
) -> _Item:
    given: tuple[str, ...] = ()
    if isinstance(expression, nodes.Named):
        given, expression = expression.names, expression.expression
    if _is_aggregate(expression, inner):
        aggregate = bind_aggregate(expression, inner, keys)
        if aggregate.several or len(given) > 1:
            return _several(aggregate, given, slots, names)
    if len(given) > 1:
        raise semantic_error("KS149", "The expression does not have multiple named values.")
    rewritten = _replace_aggregates(expression, inner, slots, keys)
    over = replace(inner.over(slots.columns, "summarize"), row=object())
    scalar = over.binder.scalar(rewritten, over)
    automatic = _automatic_name(scalar, rewritten, slots)
    name = names.choose(given[0] if given else None, automatic, False)
    return _Item((Column(name, scalar.type),), scalar=scalar)


def _is_aggregate(node: nodes.Expression, inner: Scope) -> TypeGuard[nodes.Call]:
    """Whether an expression calls an aggregate; a user's function hides one of its name."""
    if not isinstance(node, nodes.Call) or not is_aggregate(node.name):
        return False
    return inner.function(node.name) is None


def _several(
    aggregate: Aggregate, given: tuple[str, ...], slots: _Slots, names: NameTable
) -> _Item:
    if len(given) > len(aggregate.columns):
        raise semantic_error("KS149", "The expression does not have that many named values.")
    columns = []
    for at, column in enumerate(aggregate.columns):
        name = names.given(given[at]) if at < len(given) else names.derived(column.name)
        columns.append(Column(name, column.type))
    return _Item(tuple(columns), slot=slots.add(aggregate))


def _automatic_name(scalar: Scalar, node: nodes.Expression, slots: _Slots) -> str:
    """The name of an aggregate, also through functions that keep their argument's name."""
    if scalar.name.startswith("$aggregate"):
        return slots.aggregates[int(scalar.name.removeprefix("$aggregate"))].columns[0].name
    return scalar.name


def _replace_aggregates(
    node: nodes.Expression, inner: Scope, slots: _Slots, keys: frozenset[str]
) -> Any:
    """Put the name of a slot in the place of each aggregate; refuse bare columns."""
    if _is_aggregate(node, inner):
        aggregate = bind_aggregate(node, inner, keys)
        if aggregate.several:
            raise semantic_error(
                "KS149", f"'{node.name}' gives several values: it must stand alone."
            )
        return nodes.Name(f"$aggregate{slots.add(aggregate)}")
    if isinstance(node, nodes.Call) and inner.function(node.name) is None:
        require_known(node.name)
    if isinstance(node, nodes.Name) and inner.position(node.name) is not None:
        raise semantic_error(
            "KS236", f"The name '{node.name}' is not an aggregate or scalar function."
        )
    if isinstance(node, (nodes.Pipe, nodes.Datatable, nodes.Union)):
        return node
    changed = {
        each.name: _replace_part(getattr(node, each.name), inner, slots, keys)
        for each in fields(node)
    }
    return type(node)(**changed)


def _replace_part(part: Any, inner: Scope, slots: _Slots, keys: frozenset[str]) -> Any:
    if isinstance(part, tuple):
        return tuple(_replace_part(item, inner, slots, keys) for item in part)
    # Parts that are no nodes (names, values) stay as they are.
    return _replace_aggregates(part, inner, slots, keys) if is_dataclass(part) else part  # type: ignore[arg-type]  # a node
