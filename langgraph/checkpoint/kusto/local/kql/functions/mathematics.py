"""Functions on numbers. What has no value (the root of -1) is NaN, not null."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.coerce import convert
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error, wrong_argument_count
from langgraph.checkpoint.kusto.local.kql.functions.registry import function, special
from langgraph.checkpoint.kusto.local.kql.ordering import sort_key
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import valid_ticks, wrap_long

# ---------------------------------------------------------------- of one real


def _real(name: str, compute: Callable[[float], float], *aliases: str) -> None:
    def safe(value: float) -> float:
        try:
            return compute(float(value))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    function(f"{name}(value: double) -> real", *aliases, naming="first")(safe)


def _log(compute: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else compute(value)


for _name, _compute in {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "exp2": lambda value: 2.0**value,
    "exp10": lambda value: 10.0**value,
    "log": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "gamma": math.gamma,
    "loggamma": math.lgamma,
    "erf": math.erf,
    "erfc": math.erfc,
}.items():
    _real(_name, _compute)


@function("degrees(value: double) -> real")
def _degrees(value: float) -> float:
    return math.degrees(value)


@function("radians(value: double) -> real")
def _radians(value: float) -> float:
    return math.radians(value)


@function("cot(value: double) -> real")
def _cot(value: float) -> float:
    if not math.isfinite(value):
        return math.nan
    tangent = math.tan(value)
    return math.inf if tangent == 0 else 1 / tangent


@function("atan2(y: double, x: double) -> real", naming="first")
def _atan2(y: float, x: float) -> float:
    return math.atan2(y, x)


@function("pi() -> real")
def _pi() -> float:
    return math.pi


@function("pow(base: double, exponent: double) -> real", naming="first")
def _pow(base: float, exponent: float) -> float:
    try:
        return math.pow(float(base), float(exponent))
    except ValueError:
        return math.inf if base == 0 else math.nan
    except OverflowError:
        return math.inf


@function("sign(value: number) -> real")
def _sign(value: Any) -> float:
    return float((value > 0) - (value < 0))


@function("isnan(value: real) -> bool")
def _isnan(value: float) -> bool:
    return math.isnan(value)


@function("isinf(value: real) -> bool")
def _isinf(value: float) -> bool:
    return math.isinf(value)


@function("isfinite(value: real) -> bool")
def _isfinite(value: float) -> bool:
    return math.isfinite(value)


# ---------------------------------------------------------------- that keep the type


@special("abs")
def _abs(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 1:
        raise wrong_argument_count("abs", 1, 1)
    value = scope.binder.scalar(node.arguments[0], scope)
    if value.type not in types.NUMBERS | {"timespan"}:
        raise semantic_error(
            "KS127", f"The function 'abs' is not compatible with arguments ({value.type})"
        )
    kind = "long" if value.type == "int" else value.type
    return combined(kind, apply_strict(abs, value), value).named(value.name)


@function("ceiling(value: number) -> same", naming="first")
def _ceiling(value: Any) -> Any:
    if isinstance(value, float):
        return float(math.ceil(value)) if math.isfinite(value) else value
    return Decimal(math.ceil(value)) if isinstance(value, Decimal) else value


@function("round(value: number, precision?: long/constant) -> same", naming="first")
def _round(value: Any, precision: int = 0) -> Any:
    """Round half away from zero."""
    if isinstance(value, float) and not math.isfinite(value):
        return value
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    try:
        rounded = exact.quantize(Decimal(1).scaleb(-precision), rounding=ROUND_HALF_UP)
    except InvalidOperation:
        # More digits than a number has: there is nothing to round.
        return value
    if isinstance(value, float):
        return float(rounded)
    return int(rounded) if isinstance(value, int) else rounded


# ---------------------------------------------------------------- bin


def bin_number(value: Any, size: Any) -> Any:
    """The largest multiple of `size` that is not above `value`; null for a size below zero."""
    if size <= 0:
        return None
    if isinstance(value, int):
        return value // size * size
    if isinstance(value, Decimal):
        return (value / size).to_integral_value(ROUND_FLOOR) * size
    if not math.isfinite(value):
        return value
    return math.floor(value / size) * size


@special("bin", "floor")
def _bin(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 2:
        raise wrong_argument_count(node.name, 2, 2)
    value, size = (scope.binder.scalar(argument, scope) for argument in node.arguments)
    kinds = (value.type, size.type)
    if set(kinds) <= types.NUMBERS:
        kind = types.widest(kinds)
        parts = [convert(value, kind), convert(size, kind)]
    elif kinds in (("datetime", "timespan"), ("timespan", "timespan"), ("datetime", "datetime")):
        kind, parts = value.type, [value, size]
    else:
        raise semantic_error("KS137", "The expression value must be a number.")
    return combined(kind, apply_strict(bin_number, *parts), *parts).named(value.name)


@special("bin_at")
def _bin_at(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 3:
        raise wrong_argument_count(node.name, 3, 3)
    value, size, start = (scope.binder.scalar(argument, scope) for argument in node.arguments)
    kinds = (value.type, size.type, start.type)
    if set(kinds) <= types.NUMBERS:
        kind = types.widest(kinds)
        parts = [convert(part, kind) for part in (value, size, start)]
    elif value.type == start.type and size.type == "timespan":
        kind, parts = value.type, [value, size, start]
    else:
        raise semantic_error("KS137", "The expression value must be a number.")

    def compute(number: Any, width: Any, fixed: Any) -> Any:
        below = bin_number(number - fixed, width)
        if below is None:
            return None
        return valid_ticks(fixed + below) if kind == "datetime" else fixed + below

    return combined(kind, apply_strict(compute, *parts), *parts).named(value.name)


# ---------------------------------------------------------------- extremes


def _extreme(name: str, choose: Callable[..., Any]) -> None:
    def compute(*arguments: Any) -> Any:
        known = [argument for argument in arguments if argument is not None]
        if not known:
            return None
        real = any(isinstance(argument, float) for argument in known)
        return choose(known, key=sort_key("real") if real else None)

    function(f"{name}(argument{{2,64}}: common) -> common", strict=False)(compute)


_extreme("max_of", max)
_extreme("min_of", min)


# ---------------------------------------------------------------- bits


@function("binary_and(first: integer, second: integer) -> long", naming="first")
def _and(first: int, second: int) -> int:
    return first & second


@function("binary_or(first: integer, second: integer) -> long", naming="first")
def _or(first: int, second: int) -> int:
    return first | second


@function("binary_xor(first: integer, second: integer) -> long", naming="first")
def _xor(first: int, second: int) -> int:
    return first ^ second


@function("binary_not(value: integer) -> long", naming="first")
def _not(value: int) -> int:
    return ~value


@function("binary_shift_left(value: integer, shift: integer) -> long", naming="first")
def _shift_left(value: int, shift: int) -> int | None:
    return wrap_long(value << (shift % 64)) if shift >= 0 else None


@function("binary_shift_right(value: integer, shift: integer) -> long", naming="first")
def _shift_right(value: int, shift: int) -> int | None:
    return value >> (shift % 64) if shift >= 0 else None


@function("bitset_count_ones(value: integer) -> long", naming="first")
def _count_ones(value: int) -> int:
    return bin(value % 2**64).count("1")
