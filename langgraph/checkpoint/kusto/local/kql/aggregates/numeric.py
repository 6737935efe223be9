"""Aggregates that count and calculate: `count`, `sum`, `avg`, `dcount`, `stdev`, percentiles.

Nulls are left out. Over nothing, counts are 0, `sum` is 0, `avg` and percentiles are null
(`avg` of reals is NaN), spreads are 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.aggregates.registry import (
    Aggregate,
    aggregate,
    bind_values,
    require_count,
    special,
)
from langgraph.checkpoint.kusto.local.kql.coerce import freeze
from langgraph.checkpoint.kusto.local.kql.errors import not_summable, semantic_error
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.ordering import sort_key
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import format_real, to_dynamic, wrap_long

# ---------------------------------------------------------------- counting


@special("count", "cnt", "countif")
def _bind_count(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    low = 1 if node.name == "countif" else 0
    require_count(node, low, 1 if node.name != "cnt" else 0)
    if not node.arguments:
        return Aggregate(
            (Column(f"{node.name}_", "long"),), lambda rows, run: len(rows), frozenset()
        )
    [test] = bind_values(node, scope)
    if test.type != "bool":
        raise semantic_error("KS107", "A value of type bool expected.")
    evaluate = test.evaluate

    def compute(rows: list[Row], run: Run) -> int:
        return sum(1 for row in rows if evaluate(row, run))

    name = f"{node.name}_{test.name}"
    return Aggregate((Column(name, "long"),), compute, test.columns)


@aggregate("dcount(value: any, accuracy?: integer) -> long", if_name="dcountif")
def _dcount(values: list[Any], accuracy: int = 1) -> int:
    """Exact here; Kusto estimates beyond some thousands."""
    return len({freeze(value) for value in values})


@aggregate("count_distinct(value: notdynamic) -> long", if_name="count_distinctif")
def _count_distinct(values: list[Any]) -> int:
    return len({freeze(value) for value in values})


# ---------------------------------------------------------------- sums


def _total(values: list[Any]) -> float:
    """The sum of reals, exact where that is possible: independent of the order of the rows."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        # Beyond the range of a double, or infinities of both signs.
        return float(sum(values))


@aggregate("sum(value: summable) -> sum", if_name="sumif")
def _sum(values: list[Any], kind: str) -> Any:
    if kind == "real":
        return _total(values)
    return sum(values, Decimal(0)) if kind == "decimal" else wrap_long(sum(values))


@special("avg", "avgif")
def _bind_avg(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, *((1, 1) if node.name == "avg" else (2, 2)))
    arguments = bind_values(node, scope)
    value, test = arguments[0], _predicate(arguments[1:])
    if value.type not in types.SUMMABLE:
        raise not_summable()
    kind = "real" if value.type in types.INTEGERS else value.type

    def compute(rows: list[Row], run: Run) -> Any:
        found = _values(rows, value, test, run)
        if not found:
            return math.nan if kind == "real" else None
        if kind == "real":
            return _total(found) / len(found)
        return sum(found) // len(found) if kind != "decimal" else sum(found) / len(found)

    looked_at = value.columns | (test.columns if test else frozenset())
    return Aggregate((Column(f"{node.name}_{value.name}", kind),), compute, looked_at)


def _predicate(rest: Sequence[Scalar]) -> Scalar | None:
    if rest and rest[0].type != "bool":
        raise semantic_error("KS107", "A value of type bool expected.")
    return rest[0] if rest else None


def _values(rows: list[Row], value: Scalar, test: Scalar | None, run: Run) -> list[Any]:
    if test is not None:
        rows = [row for row in rows if test.evaluate(row, run)]
    found = (value.evaluate(row, run) for row in rows)
    return [item for item in found if item is not None]


# ---------------------------------------------------------------- spread


def _variance(values: list[Any], whole: bool) -> float:
    count = len(values)
    if count < (1 if whole else 2):
        return 0.0
    if not all(math.isfinite(value) for value in values):
        return math.nan
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / count
    spread = sum((value - mean) ** 2 for value in exact) / (count if whole else count - 1)
    try:
        return float(spread)
    except OverflowError:
        return math.inf


@aggregate("variance(value: summable) -> real", if_name="varianceif")
def _sample_variance(values: list[Any]) -> float:
    return _variance(values, whole=False)


@aggregate("variancep(value: summable) -> real", if_name="variancepif")
def _whole_variance(values: list[Any]) -> float:
    return _variance(values, whole=True)


@aggregate("stdev(value: summable) -> real", if_name="stdevif")
def _sample_deviation(values: list[Any]) -> float:
    return math.sqrt(_variance(values, whole=False))


@aggregate("stdevp(value: summable) -> real")
def _whole_deviation(values: list[Any]) -> float:
    return math.sqrt(_variance(values, whole=True))


# ---------------------------------------------------------------- bits


@aggregate("binary_all_and(value: integer) -> sum", prefix="")
def _all_and(values: list[int], kind: str) -> int | None:
    result = -1
    for value in values:
        result &= value
    return result if values else None


@aggregate("binary_all_or(value: integer) -> sum", prefix="")
def _all_or(values: list[int], kind: str) -> int | None:
    result = 0
    for value in values:
        result |= value
    return result if values else None


@aggregate("binary_all_xor(value: integer) -> sum", prefix="")
def _all_xor(values: list[int], kind: str) -> int | None:
    result = 0
    for value in values:
        result ^= value
    return result if values else None


# ---------------------------------------------------------------- percentiles


def nearest_rank(ordered: Sequence[Any], percent: float) -> Any:
    """The smallest value that `percent` of the values do not exceed (nearest rank).

    Kusto estimates percentiles of large groups by t-digest; for groups of a few hundred
    values it is exact, and that is what is computed here for any size.
    """
    if not ordered:
        return None
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[min(max(rank, 1), len(ordered)) - 1]


@special("percentile", "percentiles", "percentiles_array")
def _bind_percentiles(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    require_count(node, 2, 2 if node.name == "percentile" else 64)
    value, *percents = bind_values(node, scope)
    if value.type not in types.SUMMABLE:
        raise not_summable()
    wanted = [_percent(item) for item in percents]
    order = sort_key(value.type)

    def ordered(rows: list[Row], run: Run) -> list[Any]:
        return sorted(_values(rows, value, None, run), key=order)

    if node.name == "percentiles_array":
        column = Column(f"percentiles_{value.name}", "dynamic")

        def array(rows: list[Row], run: Run) -> list[Any]:
            found = ordered(rows, run)
            return [to_dynamic(nearest_rank(found, each), value.type) for each in wanted]

        return Aggregate((column,), array, value.columns)
    columns = tuple(
        Column(f"percentile_{value.name}_{_label(each)}", value.type) for each in wanted
    )

    def several(rows: list[Row], run: Run) -> tuple[Any, ...]:
        found = ordered(rows, run)
        return tuple(nearest_rank(found, each) for each in wanted)

    if node.name == "percentile":
        return Aggregate(columns, lambda rows, run: several(rows, run)[0], value.columns)
    return Aggregate(columns, several, value.columns, several=True)


def _percent(scalar: Scalar) -> float:
    if scalar.type not in types.NUMBERS:
        raise semantic_error("KS137", "The expression value must be a number.")
    if not scalar.is_literal or not 0 <= scalar.value <= 100:
        raise semantic_error("KS131", "The percentile must be a literal from 0 to 100.")
    return float(scalar.value)


def _label(percent: float) -> str:
    return format_real(percent).removesuffix(".0").replace(".", "_")
