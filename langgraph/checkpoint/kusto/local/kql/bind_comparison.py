"""Binding of `== != =~ !~ < <= > >= between` and `and or`.

Rules of null: an order comparison with null is null; `==` with one null is false and `!=`
true, with two nulls both are null; `and` and `or` take null for false. Text operators
(`has`, `contains`) and lists (`in`) have files of their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from langgraph.checkpoint.kusto.local.kql import limits, nodes, types, values
from langgraph.checkpoint.kusto.local.kql.coerce import convert, element_as, freeze
from langgraph.checkpoint.kusto.local.kql.errors import (
    incomparable,
    semantic_error,
    undefined_operator,
)
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import (
    NO_ROW,
    Decide,
    Evaluate,
    Scalar,
    Values,
    apply_strict,
    combined,
    decided,
    once,
)
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def fold(text: str) -> str:
    """Lower case of ASCII letters only, as case-insensitive operators compare."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


# ---------------------------------------------------------------- equality


def comparison_key(own: str, other: str) -> Callable[[Any], Any]:
    """How a value of type `own` is brought to a form that equals those of type `other`."""
    if own == other:
        return freeze if own == "dynamic" else _itself
    if own == "dynamic":
        read = element_as(other)
        return lambda value: freeze(read(value)) if other == "dynamic" else read(value)
    if own == "string" and other == "guid":
        return values.parse_guid
    return _itself


def _itself(value: Any) -> Any:
    return value


def _equal(left: Scalar, right: Scalar) -> Evaluate:
    a, b = left.evaluate, right.evaluate
    key_a, key_b = comparison_key(left.type, right.type), comparison_key(right.type, left.type)
    if key_a is _itself and key_b is _itself:

        def plain(row: Row, run: Run) -> bool | None:
            x, y = a(row, run), b(row, run)
            if x is None or y is None:
                return None if x is y else False
            return bool(x == y)

        return plain

    def keyed(row: Row, run: Run) -> bool | None:
        x, y = a(row, run), b(row, run)
        if x is None or y is None:
            return None if x is y else False
        x, y = key_a(x), key_b(y)
        return x is not None and bool(x == y)

    return keyed


def _decide_equal(left: Scalar, right: Scalar) -> Decide | None:
    """An equality of a column with what is the same for every row."""
    at, value_of = left.column, right.evaluate
    if at is None or not right.fixed or left.type != right.type or left.type == "dynamic":
        return None

    def decide(run: Run) -> Evaluate:
        value = value_of(NO_ROW, run)
        if value is None:
            return lambda row, run: None if row[at] is None else False
        return lambda row, run: row[at] == value

    return decide


def _negated(evaluate: Evaluate) -> Evaluate:
    def negate(row: Row, run: Run) -> bool | None:
        value = evaluate(row, run)
        return None if value is None else not value

    return negate


def bind_equality(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """Bind `==` or `!=`."""
    if not types.comparable(left.type, right.type):
        raise incomparable(left.type, right.type, symbol)
    left, right = once(left), once(right)
    evaluate = _equal(left, right)
    if symbol == "!=":
        return combined("bool", _negated(evaluate), left, right)
    bound = replace(combined("bool", evaluate, left, right), decide=_decide_equal(left, right))
    bound = replace(bound, limits=limits.of_comparison(symbol, left, right))
    restricts = restriction(left, right) or restriction(right, left)
    return with_restrictions(bound, restricts)


def restriction(column: Scalar, value: Scalar) -> tuple[tuple[int, Values], ...]:
    """What an equality says about a string column."""
    if column.column is None or not value.fixed:
        return ()
    if column.type != "string" or value.type != "string":
        return ()
    evaluate = value.evaluate
    return ((column.column, lambda run: frozenset((evaluate((), run),))),)


def with_restrictions(scalar: Scalar, restricts: tuple[tuple[int, Values], ...]) -> Scalar:
    """The same predicate, saying what it means for columns."""
    return replace(scalar, restricts=restricts)


def bind_folded_equality(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """Bind `=~` or `!~`."""
    if {left.type, right.type} - {"string", "dynamic"}:
        raise undefined_operator(symbol, [left.type, right.type])
    wanted = symbol == "=~"

    def test(a: Any, b: Any) -> bool:
        same = isinstance(a, str) and isinstance(b, str) and fold(a) == fold(b)
        return same is wanted

    return combined("bool", apply_strict(test, left, right), left, right)


# ---------------------------------------------------------------- order


def _ordered(left: str, right: str) -> bool:
    """Whether `<` is defined between the two types."""
    number_or_bool = types.NUMBERS | {"bool"}
    if left in number_or_bool and right in number_or_bool:
        return True
    if left == right:
        return left in ("datetime", "timespan", "dynamic")
    other = right if left == "dynamic" else left
    return "dynamic" in (left, right) and other in types.NUMBERS


def _as_decimals(*numbers: Scalar) -> tuple[Scalar, ...]:
    """Bring numbers into `decimal` when one of them is: a NaN becomes null then."""
    kinds = {number.type for number in numbers}
    if "decimal" not in kinds or not kinds <= types.NUMBERS:
        return numbers
    return tuple(convert(number, "decimal") for number in numbers)


def bind_order(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """Bind `<`, `<=`, `>` or `>=`; strings have no order, that is what `strcmp` is for."""
    if not _ordered(left.type, right.type):
        raise incomparable(left.type, right.type, symbol)
    compare = _ORDER[symbol]
    left, right = _as_decimals(left, right)
    if "dynamic" not in (left.type, right.type):
        bound = combined("bool", apply_strict(compare, left, right), left, right)
        decide = _decide_order(compare, left, right)
        return replace(bound, decide=decide, limits=limits.of_comparison(symbol, left, right))

    def test(a: Any, b: Any) -> bool | None:
        if isinstance(a, bool) or isinstance(b, bool):
            return None
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        texts = isinstance(a, str) and isinstance(b, str)
        return compare(a, b) if numbers or texts else None

    return combined("bool", apply_strict(test, left, right), left, right)


def _decide_order(
    compare: Callable[[Any, Any], bool], left: Scalar, right: Scalar
) -> Decide | None:
    """The order of texts, written as `strcmp(column, text) < 0`."""
    if left.compares is None or not right.is_literal or right.value != 0:
        return None
    at, text_of = left.compares

    def decide(run: Run) -> Evaluate:
        text = text_of(NO_ROW, run)
        return lambda row, run: compare(row[at], text)

    return decide


def bind_between(node: nodes.Between, scope: Scope) -> Scalar:
    """Bind `between (low .. high)` and `!between`; both ends are inside."""
    operand, low, high = (
        scope.binder.scalar(part, scope) for part in (node.operand, node.low, node.high)
    )
    kinds = (operand.type, low.type, high.type)
    spans = operand.type == low.type == "datetime" and high.type == "timespan"
    numeric = all(kind in types.NUMBERS or kind == "dynamic" for kind in kinds)
    same = len(set(kinds)) == 1 and kinds[0] in types.SUMMABLE
    if not (spans or same or numeric) or set(kinds) == {"dynamic"}:
        raise undefined_operator(node.operator, kinds)
    operand, low, high = _as_decimals(operand, low, high)
    negated = node.operator.startswith("!")
    number = element_as("real")
    reads = tuple(number if kind == "dynamic" else _itself for kind in kinds)

    def test(value: Any, start: Any, stop: Any) -> bool | None:
        value, start, stop = reads[0](value), reads[1](start), reads[2](stop)
        if value is None or start is None or stop is None:
            return None
        if spans:
            stop += start
        return bool((start <= value <= stop) is not negated)

    return combined("bool", apply_strict(test, operand, low, high), operand, low, high)


# ---------------------------------------------------------------- logic


def bind_logic(symbol: str, operands: list[Scalar]) -> Scalar:
    """Bind a chain of `and`, or of `or`; as one step, so that it may be long."""
    for first, second in pairwise(operands):
        if not {first.type, second.type} <= {"bool", "dynamic"}:
            raise undefined_operator(symbol, [first.type, second.type])
    tests = [operand.evaluate for operand in operands]
    test = _any_of(tests) if symbol == "or" else _all_of(tests)
    bound = replace(combined("bool", test, *operands), decide=_decide_logic(symbol, operands))
    bound = replace(bound, limits=limits.of_logic(symbol, operands))
    if symbol == "or":
        return bound
    return replace(
        bound,
        restricts=tuple(each for operand in operands for each in operand.restricts),
        guards=tuple(guard for operand in operands for guard in guards_of(operand)),
    )


def _any_of(tests: list[Evaluate]) -> Evaluate:
    if len(tests) == 2:
        first, second = tests
        return lambda row, run: first(row, run) is True or second(row, run) is True

    def one(row: Row, run: Run) -> bool:
        for test in tests:  # noqa: SIM110  # a loop is faster than any() on short lists
            if test(row, run) is True:
                return True
        return False

    return one


def _all_of(tests: list[Evaluate]) -> Evaluate:
    if len(tests) == 2:
        first, second = tests
        return lambda row, run: first(row, run) is True and second(row, run) is True

    def every(row: Row, run: Run) -> bool:
        for test in tests:  # noqa: SIM110  # a loop is faster than all() on short lists
            if test(row, run) is not True:
                return False
        return True

    return every


def _decide_logic(symbol: str, operands: list[Scalar]) -> Decide:
    """What the operands that depend on the row leave to be tested."""
    settling = symbol == "or"

    def decide(run: Run) -> Evaluate | bool:
        left: list[Evaluate] = []
        for operand in operands:
            found = decided(operand, run)
            if found is settling:
                return settling
            if not isinstance(found, bool):
                left.append(found)
        if not left:
            return not settling
        # One alone is asked with the others: a dynamic is not true for being there.
        return _any_of(left) if settling else _all_of(left)

    return decide


def guards_of(predicate: Scalar) -> tuple[Evaluate, ...]:
    """The parts of a predicate that can be decided before any row is read."""
    return (once(predicate).evaluate,) if predicate.fixed else predicate.guards


def require_bool(scalar: Scalar) -> Scalar:
    """Refuse a predicate that is not one."""
    if scalar.type != "bool":
        raise semantic_error(
            "KS141",
            f"The expression must have the type bool, not {scalar.type}.",
        )
    return scalar
