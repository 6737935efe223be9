"""The `to...()` functions, `parse_json`, `gettype`.

A value that has no form in the wanted type becomes null, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, values
from langgraph.checkpoint.kusto.local.kql.coerce import dynamic_of, text_of, to_decimal
from langgraph.checkpoint.kusto.local.kql.errors import wrong_argument_count, wrong_type
from langgraph.checkpoint.kusto.local.kql.functions.registry import function, special
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined, once
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_Convert = Callable[[Any], Any]


# ---------------------------------------------------------------- numbers


def _whole(value: Any) -> int | None:
    """A number cut towards zero; null when it is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value)


def _to_long(value: Any) -> int | None:
    number = _whole(value)
    return number if number is not None and values.LONG_MIN <= number <= values.LONG_MAX else None


def _to_int(value: Any) -> int | None:
    number = _whole(value)
    return number if number is not None and values.INT_MIN <= number <= values.INT_MAX else None


def _ticks(value: Any) -> int | None:
    number = _to_long(value)
    return None if number is None else values.valid_ticks(number)


def _long_of_text(text: str) -> int | None:
    found = values.parse_long(text)
    if found is None:
        real = values.parse_real(text)
        return None if real is None else _to_long(real)
    return found


def _int_of_text(text: str) -> int | None:
    found = _long_of_text(text)
    return None if found is None else _to_int(found)


def _bool_of_text(text: str) -> bool | None:
    found = values.parse_bool(text)
    if found is None:
        real = values.parse_real(text)
        return None if real is None else real != 0
    return found


# ---------------------------------------------------------------- the table

_FROM_TEXT: dict[str, _Convert] = {
    "long": _long_of_text,
    "int": _int_of_text,
    "real": values.parse_real,
    "decimal": values.parse_decimal,
    "bool": _bool_of_text,
    "datetime": values.parse_datetime,
    "timespan": values.parse_timespan,
    "guid": values.parse_guid,
}
_FROM_NUMBER: dict[str, _Convert] = {
    "long": _to_long,
    "int": _to_int,
    "real": float,
    "decimal": to_decimal,
    "bool": bool,
    "datetime": _ticks,
    "timespan": _to_long,
    "guid": lambda value: None,
}


def _converter(source: str, target: str) -> _Convert:
    if source == target or (source, target) == ("int", "long"):
        return lambda value: value
    if source == "string":
        return _FROM_TEXT[target]
    if source == "dynamic":
        return _from_dynamic(target)
    if source in ("datetime", "timespan") and target in ("datetime", "timespan", "bool", "guid"):
        return lambda value: None
    if source == "guid":
        return lambda value: None
    return _FROM_NUMBER[target]


def _from_dynamic(target: str) -> _Convert:
    from_text, from_number = _FROM_TEXT[target], _FROM_NUMBER[target]
    times = target in ("datetime", "timespan")

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            return from_text(value)
        if isinstance(value, (int, float)) and not times:
            return from_number(value)
        return None

    return convert


def _declare(target: str, *names: str) -> None:
    def bind(node: nodes.Call, scope: Scope) -> Scalar:
        if len(node.arguments) != 1:
            raise wrong_argument_count(node.name, 1, 1)
        argument = scope.binder.scalar(node.arguments[0], scope)
        if target == "guid" and argument.type not in ("string", "dynamic", "guid"):
            raise wrong_type(["string", "dynamic"])
        convert = _converter(argument.type, target)
        bound = combined(target, apply_strict(convert, argument), argument)
        return once(bound).named(argument.name)

    special(*names)(bind)


_declare("long", "tolong")
_declare("int", "toint")
_declare("real", "toreal", "todouble")
_declare("decimal", "todecimal")
_declare("bool", "tobool", "toboolean")
_declare("datetime", "todatetime")
_declare("timespan", "totimespan", "totime")
_declare("guid", "toguid")


@special("tostring")
def _tostring(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 1:
        raise wrong_argument_count("tostring", 1, 1)
    argument = scope.binder.scalar(node.arguments[0], scope)
    text = text_of(argument)
    if text is argument and argument.column is not None:
        # Still the same column, so that an equality reaches the table's index.
        return argument
    return text.named(argument.name)


# ---------------------------------------------------------------- dynamic


@special("parse_json", "parsejson", "todynamic", "toobject")
def _parse_json(node: nodes.Call, scope: Scope) -> Scalar:
    """Text to dynamic; a text that is not JSON becomes a dynamic string."""
    if len(node.arguments) != 1:
        raise wrong_argument_count(node.name, 1, 1)
    argument = scope.binder.scalar(node.arguments[0], scope)
    if argument.type not in ("string", "dynamic"):
        raise wrong_type(["string", "dynamic"])
    if argument.type == "dynamic":
        # Passed on as it is, even when it holds a text that is JSON.
        return argument
    bound = combined("dynamic", apply_strict(values.parse_dynamic, argument), argument)
    return once(bound).named(argument.name)


@special("dynamic_to_json")
def _dynamic_to_json(node: nodes.Call, scope: Scope) -> Scalar:
    """Canonical JSON of a value: keys in order, strings in quotes."""
    if len(node.arguments) != 1:
        raise wrong_argument_count(node.name, 1, 1)
    element = dynamic_of(scope.binder.scalar(node.arguments[0], scope))
    inner = element.evaluate

    def evaluate(row: Any, run: Any) -> str:
        value = inner(row, run)
        return "" if value is None else values.format_dynamic(values.normalise_dynamic(value))

    return combined("string", evaluate, element)


@special("gettype")
def _gettype(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 1:
        raise wrong_argument_count("gettype", 1, 1)
    argument = scope.binder.scalar(node.arguments[0], scope)
    inner, static = argument.evaluate, argument.type

    def evaluate(row: Any, run: Any) -> str:
        value = inner(row, run)
        if value is None:
            return "null"
        return _dynamic_type(value) if static == "dynamic" else static

    return combined("string", evaluate, argument).named(f"type_{argument.name}")


def _dynamic_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int) and values.INT_MIN <= value <= values.INT_MAX:
        return "int"
    names: tuple[tuple[type, str], ...] = (
        (dict, "dictionary"),
        (list, "array"),
        (str, "string"),
        (int, "long"),
        (float, "double"),
        (Decimal, "decimal"),
    )
    return next(name for kind, name in names if isinstance(value, kind))


@function("tohex(value: integer, length?: integer) -> string", naming="first")
def _tohex(value: int, length: int = 0) -> str:
    text = format(value % 2**64, "x")
    return text.rjust(length, "0")
