"""Aggregates that collect into a dynamic: `make_list`, `make_set`, `make_bag`.

Nulls are left out (`make_list_with_nulls` keeps them). The order of the elements is the
order of the rows, as far as that means anything.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.aggregates.registry import (
    Aggregate,
    aggregate,
    bind_values,
    require_count,
    special,
)
from langgraph.checkpoint.kusto.local.kql.coerce import freeze
from langgraph.checkpoint.kusto.local.kql.errors import unsupported
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import normalise_dynamic, to_dynamic

_MOST_ELEMENTS = 1_048_576


@aggregate(
    "make_list(value: element, limit?: integer) -> dynamic",
    prefix="list",
    if_name="make_list_if",
    if_prefix="list",
)
def _make_list(values: list[Any], limit: int = _MOST_ELEMENTS) -> list[Any]:
    return values[:limit]


@special("make_list_with_nulls")
def _bind_list_with_nulls(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, 1, 1)
    [value] = bind_values(node, scope)

    def compute(rows: list[Row], run: Run) -> list[Any]:
        return [to_dynamic(value.evaluate(row, run), value.type) for row in rows]

    return Aggregate((Column(f"list_{value.name}", "dynamic"),), compute, value.columns)


@aggregate(
    "make_set(value: element, limit?: integer) -> dynamic",
    prefix="set",
    if_name="make_set_if",
    if_prefix="set",
)
def _make_set(values: list[Any], limit: int = _MOST_ELEMENTS) -> list[Any]:
    found: dict[Any, Any] = {}
    for value in values:
        # An array given to make_set counts by its elements.
        for element in value if isinstance(value, list) else (value,):
            found.setdefault(freeze(element), element)
    return list(found.values())[:limit]


@aggregate(
    "make_bag(value: bag, limit?: integer) -> dynamic",
    prefix="bag",
    if_name="make_bag_if",
    if_prefix="bag",
)
def _make_bag(values: list[Any], limit: int = _MOST_ELEMENTS) -> dict[str, Any]:
    """Merge bags; of equal keys an arbitrary one stays (here: the first). Others are skipped."""
    merged: dict[str, Any] = {}
    for bag in values:
        if isinstance(bag, dict):
            for key, value in bag.items():
                if len(merged) < limit:
                    merged.setdefault(key, value)
    result: dict[str, Any] = normalise_dynamic(merged)
    return result


_RENAMED = {
    "argmax": "arg_max",
    "argmin": "arg_min",
    "make_dictionary": "make_bag",
    "makelist": "make_list",
    "makeset": "make_set",
}


@special(*_RENAMED)
def _bind_old_name(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    raise unsupported(f"the old name '{node.name}'", f"write {_RENAMED[node.name]}()")
