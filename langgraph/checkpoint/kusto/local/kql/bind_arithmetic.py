"""Binding of `+ - * / %` and the signs.

Integers give `long` and wrap at 64 bits; division of integers is cut towards zero and by
zero it is null; the modulo is never negative; a datetime outside of years 1 to 9999 is null.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from typing import Any

from langgraph.checkpoint.kusto.local.kql import types, values
from langgraph.checkpoint.kusto.local.kql.coerce import convert, element_number
from langgraph.checkpoint.kusto.local.kql.errors import undefined_operator, wrong_arithmetic
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined, literal

_Function = Callable[[Any, Any], Any]

_SPANS: dict[tuple[str, str, str], str] = {
    ("+", "timespan", "timespan"): "timespan",
    ("+", "datetime", "timespan"): "datetime",
    ("+", "timespan", "datetime"): "datetime",
    ("-", "timespan", "timespan"): "timespan",
    ("-", "datetime", "datetime"): "timespan",
    ("-", "datetime", "timespan"): "datetime",
    ("*", "timespan", "number"): "timespan",
    ("*", "number", "timespan"): "timespan",
    ("/", "timespan", "timespan"): "real",
    ("/", "timespan", "number"): "timespan",
    ("/", "datetime", "timespan"): "real",
    ("%", "timespan", "timespan"): "timespan",
    ("%", "datetime", "timespan"): "timespan",
}
"""Arithmetic with times; what Kusto's binder lets pass but means nothing is refused."""


# ---------------------------------------------------------------- integers


def divide_integers(a: int, b: int) -> int | None:
    """Divide, cut towards zero; null by zero."""
    if b == 0:
        return None
    quotient = abs(a) // abs(b)
    return values.wrap_long(quotient if (a < 0) == (b < 0) else -quotient)


def modulo_integers(a: int, b: int) -> int | None:
    """The remainder from 0 up to the size of `b`; null by zero."""
    return None if b == 0 else a % abs(b)


def _wrapped(function: Callable[[int, int], int]) -> _Function:
    wrap = values.wrap_long
    return lambda a, b: wrap(function(a, b))


_INTEGERS: dict[str, _Function] = {
    "+": _wrapped(operator.add),
    "-": _wrapped(operator.sub),
    "*": _wrapped(operator.mul),
    "/": divide_integers,
    "%": modulo_integers,
}


# ---------------------------------------------------------------- reals and decimals


def divide_reals(a: float, b: float) -> float:
    """Divide as the processor does: by zero gives an infinity or NaN."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _modulo_reals(a: float, b: float) -> float:
    if b == 0 or math.isinf(a):
        return math.nan
    return a % abs(b) if math.isfinite(b) else a


def _decimal(function: Callable[[Decimal, Decimal], Decimal]) -> _Function:
    def compute(a: Decimal, b: Decimal) -> Decimal | None:
        with localcontext() as context:
            context.prec = 34
            try:
                return function(a, b)
            except (InvalidOperation, DivisionByZero):
                return None

    return compute


_REALS: dict[str, _Function] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide_reals,
    "%": _modulo_reals,
}
_DECIMALS: dict[str, _Function] = {
    "+": _decimal(operator.add),
    "-": _decimal(operator.sub),
    "*": _decimal(operator.mul),
    "/": _decimal(operator.truediv),
    "%": _decimal(lambda a, b: a - abs(b) * (a / abs(b)).to_integral_value("ROUND_FLOOR")),
}


# ---------------------------------------------------------------- times


def scale_ticks(ticks: int, factor: int | float | Decimal) -> int | None:
    """Ticks times a number."""
    return _whole_ticks(ticks * factor)


def _divide_ticks(ticks: int, divisor: int | float | Decimal) -> int | None:
    if divisor == 0:
        return None
    if isinstance(divisor, int):
        return divide_integers(ticks, divisor)
    return _whole_ticks(ticks / divisor)


def _whole_ticks(value: int | float | Decimal) -> int | None:
    return values.wrap_long(int(value)) if math.isfinite(value) else None


def _time_function(symbol: str, left: str, right: str, result: str) -> _Function:
    if result == "datetime":
        function = operator.add if symbol == "+" else operator.sub
        return lambda a, b: values.valid_ticks(function(a, b))
    if result == "real":
        return lambda a, b: divide_reals(float(a), float(b))
    if symbol == "*":
        return scale_ticks if left == "timespan" else lambda a, b: scale_ticks(b, a)
    if symbol == "/":
        return _divide_ticks
    return _INTEGERS[symbol]


# ---------------------------------------------------------------- binding


def bind_arithmetic(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """Bind a binary arithmetic operator."""
    if "dynamic" in (left.type, right.type):
        return _bind_dynamic(symbol, left, right)
    if left.type in types.NUMBERS and right.type in types.NUMBERS:
        return _bind_numbers(symbol, left, right)
    kinds = ["number" if kind in types.NUMBERS else kind for kind in (left.type, right.type)]
    result = _SPANS.get((symbol, kinds[0], kinds[1]))
    if result is None:
        raise wrong_arithmetic(symbol, left.type, right.type)
    function = _time_function(symbol, kinds[0], kinds[1], result)
    return combined(result, apply_strict(function, left, right), left, right)


def _bind_numbers(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    result = types.widest((left.type, right.type))
    table = {"long": _INTEGERS, "real": _REALS, "decimal": _DECIMALS}[result]
    left, right = convert(left, result), convert(right, result)
    return combined(result, apply_strict(table[symbol], left, right), left, right)


def _bind_dynamic(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    other = right.type if left.type == "dynamic" else left.type
    if other != "dynamic" and other not in types.NUMBERS:
        raise wrong_arithmetic(symbol, left.type, right.type)

    def compute(a: Any, b: Any) -> Any:
        a = element_number(a) if left.type == "dynamic" else a
        b = element_number(b) if right.type == "dynamic" else b
        if a is None or b is None:
            return None
        if isinstance(a, Decimal) or isinstance(b, Decimal):
            return _DECIMALS[symbol](Decimal(str(a)), Decimal(str(b)))
        if isinstance(a, float) or isinstance(b, float):
            real = _REALS[symbol](float(a), float(b))
            return int(real) if other in types.INTEGERS and math.isfinite(real) else real
        whole = _INTEGERS[symbol](a, b)
        return float(whole) if other == "real" and whole is not None else whole

    result = "long" if other == "int" else other
    return combined(result, apply_strict(compute, left, right), left, right)


def bind_sign(symbol: str, operand: Scalar) -> Scalar:
    """Bind `-x` or `+x`."""
    if operand.type == "dynamic":
        return bind_arithmetic(symbol, literal(0, "long"), operand)
    if operand.type not in types.NUMBERS | {"timespan"}:
        raise undefined_operator(symbol, [operand.type])
    if symbol == "+":
        return operand
    result = "long" if operand.type == "int" else operand.type
    if operand.is_literal and operand.value is not None:
        return literal(-operand.value, result)
    wrap = values.wrap_long
    whole = result in ("long", "timespan")
    function: Callable[[Any], Any] = (lambda x: wrap(-x)) if whole else operator.neg
    return combined(result, apply_strict(function, operand), operand)
