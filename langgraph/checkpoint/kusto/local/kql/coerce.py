"""From one type to another: implicit conversions, and the values dynamics hold.

`convert` is what happens when a `long` stands where a `real` is declared. The explicit
`to...()` functions are in `functions.conversion`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from langgraph.checkpoint.kusto.local.kql import values
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined, literal
from langgraph.checkpoint.kusto.local.kql.types import INTEGERS, converts


def to_decimal(value: Any) -> Decimal | None:
    """A number as decimal; null for NaN and infinities."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, float):
        return values.parse_decimal(repr(value))
    return Decimal(value)


def convert(scalar: Scalar, wanted: str) -> Scalar:
    """The same value in a wider type, where `types.converts` allows it."""
    function: Callable[[Any], Any]
    if scalar.type == wanted:
        return scalar
    if scalar.type in INTEGERS and wanted in INTEGERS:
        return replace(scalar, type=wanted)
    if wanted == "string":
        if scalar.type == "dynamic":
            return text_of(scalar)
        return scalar
    if wanted == "real":
        function = float
    elif wanted == "decimal":
        function = to_decimal
    else:
        return scalar
    if scalar.is_literal:
        value = None if scalar.value is None else function(scalar.value)
        return literal(value, wanted)
    return combined(wanted, apply_strict(function, scalar), scalar)


def text_of(scalar: Scalar) -> Scalar:
    """The value as `tostring()` writes it; a string is itself."""
    kind = scalar.type
    if kind == "string":
        return scalar
    inner = scalar.evaluate
    if kind == "dynamic":
        write = values.format_dynamic_as_text
        return combined("string", lambda row, run: write(inner(row, run)), scalar)
    return combined("string", lambda row, run: values.format_value(inner(row, run), kind), scalar)


def dynamic_of(scalar: Scalar) -> Scalar:
    """The value as an element of a dynamic."""
    kind, inner = scalar.type, scalar.evaluate
    if kind in ("dynamic", "string", "bool", "int", "long", "guid"):
        return scalar
    return combined("dynamic", lambda row, run: values.to_dynamic(inner(row, run), kind), scalar)


def element_number(value: Any) -> Any:
    """The number a dynamic holds, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def element_as(type_name: str) -> Callable[[Any], Any]:
    """A function that reads a dynamic's content as a value of a type, None if it is none.

    Nothing is parsed except what JSON has no form for (datetime, timespan, guid, decimal).
    """
    if type_name == "dynamic":
        return lambda value: value
    if type_name == "string":
        return lambda value: value if isinstance(value, str) else None
    if type_name == "bool":
        return lambda value: value if isinstance(value, bool) else None
    if type_name in ("int", "long"):
        return _element_integer
    if type_name == "real":
        return _element_real
    if type_name == "decimal":
        return _element_decimal
    parse = {
        "datetime": values.parse_datetime,
        "timespan": values.parse_timespan,
        "guid": values.parse_guid,
    }[type_name]
    return lambda value: parse(value) if isinstance(value, str) else None


def _element_integer(value: Any) -> int | None:
    number = element_number(value)
    if isinstance(number, float):
        return int(number) if number.is_integer() else None
    return number if isinstance(number, int) else None


def _element_real(value: Any) -> float | None:
    number = element_number(value)
    if number is None and isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return values.parse_real(value)
    return None if number is None else float(number)


def _element_decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return values.parse_decimal(value)
    number = element_number(value)
    return None if number is None else to_decimal(number)


def freeze(value: Any) -> Any:
    """A hashable stand-in for a value; equal exactly when the values are."""
    if isinstance(value, dict):
        return ("{}", frozenset((key, freeze(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("[]", tuple(freeze(item) for item in value))
    if isinstance(value, bool):
        return ("bool", value)
    return value


def assignable(scalar: Scalar, wanted: str) -> bool:
    """Whether a value may be given to a parameter; `5` may be an `int`."""
    if scalar.is_literal and scalar.type == "long" and wanted == "int":
        return scalar.value is None or values.INT_MIN <= scalar.value <= values.INT_MAX
    return converts(scalar.type, wanted)
