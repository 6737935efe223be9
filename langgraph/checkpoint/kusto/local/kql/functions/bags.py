"""Functions on dynamic bags. Something that is no bag gives null; keys come back in order."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.coerce import dynamic_of, text_of
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error, wrong_argument_count
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    bind_arguments,
    function,
    special,
)
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.plan import visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope


def _ordered(bag: dict[str, Any]) -> dict[str, Any]:
    return {key: bag[key] for key in sorted(bag)}


# ---------------------------------------------------------------- making


@special("bag_pack", "pack", "pack_dictionary")
def _bag_pack(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if not arguments or len(arguments) % 2:
        raise semantic_error("KS121", "The function call has an incorrect number of arguments.")
    keys = [_key(argument) for argument in arguments[::2]]
    values = [dynamic_of(argument) for argument in arguments[1::2]]
    pairs = [(k.evaluate, v.evaluate) for k, v in zip(keys, values, strict=True)]

    def evaluate(row: Row, run: Run) -> dict[str, Any]:
        return _ordered({key(row, run): value(row, run) for key, value in pairs})

    return combined("dynamic", evaluate, *keys, *values)


def _key(argument: Scalar) -> Scalar:
    if argument.type not in ("string", "dynamic"):
        raise semantic_error("KS107", "A value of type string expected.")
    return text_of(argument)


@special("pack_all")
def _pack_all(node: nodes.Call, scope: Scope) -> Scalar:
    """All columns of the row in a bag; `pack_all(true)` leaves null and empty ones out."""
    if len(node.arguments) > 1:
        raise wrong_argument_count("pack_all", 0, 1)
    skip = False
    if node.arguments:
        flag = scope.binder.scalar(node.arguments[0], scope)
        if not flag.is_literal or flag.type != "bool":
            raise semantic_error("KS131", "The expression must be a literal.")
        skip = bool(flag.value)
    columns = scope.columns or ()
    items = [
        (columns[at].name, dynamic_of(scope.binder.scalar(nodes.Name(columns[at].name), scope)))
        for at in visible(columns)
    ]

    def evaluate(row: Row, run: Run) -> dict[str, Any]:
        bag = {name: item.evaluate(row, run) for name, item in items}
        if skip:
            bag = {key: value for key, value in bag.items() if value is not None and value != ""}
        return _ordered(bag)

    return combined("dynamic", evaluate, *(item for _, item in items))


@function("bag_zip(keys: array, values: array) -> dynamic")
def _bag_zip(keys: Any, values: Any) -> Any:
    if not isinstance(keys, list) or not isinstance(values, list):
        return None
    padded = values + [None] * (len(keys) - len(values))
    return _ordered({k: v for k, v in zip(keys, padded, strict=False) if isinstance(k, str)})


# ---------------------------------------------------------------- asking


@function("bag_keys(bag: bag) -> dynamic")
def _bag_keys(bag: Any) -> Any:
    return list(bag) if isinstance(bag, dict) else None


@function("bag_has_key(bag: bag, key: string) -> bool")
def _bag_has_key(bag: Any, key: str) -> bool | None:
    """A key of `$.a.b` form is a path; any other is a name."""
    if not isinstance(bag, dict):
        return None
    if not key.startswith("$."):
        return key in bag
    found: Any = bag
    for part in key[2:].split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True


@function("treepath(bag: bag) -> dynamic", naming="tree_")
def _treepath(bag: Any) -> list[str]:
    """The paths of everything inside, without repetition."""
    found: dict[str, None] = {}

    def walk(value: Any, path: str) -> None:
        if path:
            found[path] = None
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}['{key}']")
        elif isinstance(value, list):
            for item in value:
                walk(item, f"{path}[0]")

    walk(bag, "")
    return list(found)


# ---------------------------------------------------------------- changing


@function("bag_merge(bag{2,64}: bag) -> dynamic", strict=False)
def _bag_merge(*bags: Any) -> Any:
    """All properties; of equal keys the leftmost bag's one stays."""
    merged: dict[str, Any] = {}
    known = [bag for bag in bags if isinstance(bag, dict)]
    for bag in known:
        for key, value in bag.items():
            merged.setdefault(key, value)
    return _ordered(merged) if known else None


@function("bag_remove_keys(bag: bag, keys: array) -> dynamic")
def _bag_remove_keys(bag: Any, keys: Any) -> Any:
    if not isinstance(bag, dict) or not isinstance(keys, list):
        return None
    return {key: value for key, value in bag.items() if key not in keys}


@function("bag_set_key(bag: bag, key: string/constant, value: element) -> dynamic", strict=False)
def _bag_set_key(bag: Any, key: str, value: Any) -> Any:
    return _ordered({**bag, key: value}) if isinstance(bag, dict) else None
