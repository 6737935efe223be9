"""Aggregates that choose: `min`, `max`, `arg_min`, `arg_max`, `take_any`.

`arg_max` takes all its columns from one row. Rows whose maximised value is null lose against
all others; among equals any row may win (by chance, when the run has a random source).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.aggregates.registry import (
    Aggregate,
    Compute,
    aggregate,
    bind_values,
    require_count,
    require_orderable,
    special,
)
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.ordering import sort_key
from langgraph.checkpoint.kusto.local.kql.plan import visible
from langgraph.checkpoint.kusto.local.kql.row_makers import row_maker
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scalar import column as column_scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import missing_value

_MOST_ARGUMENTS = 32767


@aggregate("max(value: orderable) -> same", if_name="maxif")
def _max(values: list[Any], kind: str) -> Any:
    return max(values, key=_key_of(kind), default=missing_value(kind))


@aggregate("min(value: orderable) -> same", if_name="minif")
def _min(values: list[Any], kind: str) -> Any:
    return min(values, key=_key_of(kind), default=missing_value(kind))


def _key_of(kind: str) -> Callable[[Any], Any] | None:
    """How values of a type are ordered; None is as Python orders them, without a call for each."""
    return sort_key(kind) if kind in ("real", "dynamic") else None


# ---------------------------------------------------------------- arg_max, arg_min


@special("arg_max", "arg_min")
def _bind_arg(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, 1, _MOST_ARGUMENTS)
    best = require_orderable(scope.binder.scalar(node.arguments[0], scope))
    highest = node.name == "arg_max"
    prefix = f"{'max' if highest else 'min'}_{best.name}_arg"
    names, returned = _returned(node.arguments[1:], scope, keys | {best.name}, prefix, 1)
    names = [best.name or prefix.removesuffix("_arg"), *names]
    parts = [best, *returned]
    columns = tuple(Column(name, part.type) for name, part in zip(names, parts, strict=True))
    choose = _chooser(best, highest)
    kinds = [part.type for part in parts]

    def narrowed(wanted: frozenset[int]) -> Compute:
        make = row_maker(parts, wanted)

        def compute(rows: list[Row], run: Run) -> Row:
            if not rows:
                return tuple(missing_value(kind) for kind in kinds)
            [found] = make((rows[0] if len(rows) == 1 else choose(rows, run),), run)
            return found

        return compute

    looked_at: frozenset[int] = frozenset().union(*(part.columns for part in parts))
    compute = narrowed(frozenset(range(len(parts))))
    greatest = best.column if highest and best.type == "string" else None
    return Aggregate(
        columns, compute, looked_at, several=True, narrowed=narrowed, greatest=greatest
    )


def _chooser(best: Scalar, highest: bool) -> Callable[[list[Row], Run], Row]:
    evaluate, order = best.evaluate, sort_key(best.type)

    def choose(rows: list[Row], run: Run) -> Row:
        scored = [(evaluate(row, run), row) for row in rows]
        known = [pair for pair in scored if pair[0] is not None] or scored
        if known[0][0] is None:
            winners = known
        else:
            pick = max if highest else min
            top = pick(order(value) for value, _ in known)
            winners = [pair for pair in known if order(pair[0]) == top]
        chosen = winners[0] if run.rng is None else run.rng.choice(winners)
        return chosen[1]

    return choose


def _returned(
    arguments: tuple[nodes.Expression, ...],
    scope: Scope,
    used: frozenset[str],
    prefix: str,
    first: int,
) -> tuple[list[str], list[Scalar]]:
    """The columns to return with their names; `*` is every column not used otherwise.

    An expression without a name is called by `prefix` and its number, counted from `first`.
    """
    if nodes.Star() in arguments:
        if len(arguments) != 1:
            raise semantic_error("KS191", "The * syntax is not allowed here.")
        return _all_columns(scope, used)
    names, scalars = [], []
    for number, argument in enumerate(arguments, start=first):
        name = ""
        if isinstance(argument, nodes.Named):
            name, argument = argument.names[0], argument.expression
        scalar = scope.binder.scalar(argument, scope)
        names.append(name or scalar.name or f"{prefix}{number}")
        scalars.append(scalar)
    return names, scalars


def _all_columns(scope: Scope, used: frozenset[str]) -> tuple[list[str], list[Scalar]]:
    columns = scope.columns or ()
    chosen = [at for at in visible(columns) if columns[at].name not in used]
    names = [columns[at].name for at in chosen]
    return names, [column_scalar(at, columns[at].type, columns[at].name) for at in chosen]


# ---------------------------------------------------------------- take_any


@special("take_any", "any")
def _bind_take_any(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, 1, _MOST_ARGUMENTS)
    old = node.name == "any"
    names, scalars = _returned(node.arguments, scope, keys, "arg" if old else "any_arg", 0)
    if old:
        # The older function puts its name before that of each column.
        names = ["any_"] if names == ["arg0"] else [f"any_{name}" for name in names]
    columns = tuple(Column(name, scalar.type) for name, scalar in zip(names, scalars, strict=True))
    several = len(scalars) != 1

    def compute(rows: list[Row], run: Run) -> Any:
        if not several:
            return _any_value(rows, scalars[0], run)
        if not rows:
            return tuple(missing_value(scalar.type) for scalar in scalars)
        row = rows[0] if run.rng is None else run.rng.choice(rows)
        return tuple([scalar.evaluate(row, run) for scalar in scalars])

    looked_at: frozenset[int] = frozenset().union(*(scalar.columns for scalar in scalars))
    return Aggregate(columns, compute, looked_at, several)


def _any_value(rows: list[Row], scalar: Scalar, run: Run) -> Any:
    """A value of any row; one that is not null, if there is one."""
    found = [scalar.evaluate(row, run) for row in rows]
    known = [value for value in found if value is not None and value != ""] or found
    if not known:
        return missing_value(scalar.type)
    return known[0] if run.rng is None else run.rng.choice(known)


@special("take_anyif", "anyif")
def _bind_take_anyif(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, 2, 2)
    scalar, test = bind_values(node, scope)
    if test.type != "bool":
        raise semantic_error("KS107", "A value of type bool expected.")

    def compute(rows: list[Row], run: Run) -> Any:
        return _any_value([row for row in rows if test.evaluate(row, run)], scalar, run)

    name = scalar.name if node.name == "take_anyif" else f"anyif_{scalar.name}"
    return Aggregate((Column(name, scalar.type),), compute, scalar.columns | test.columns)
