"""What a predicate says about the order of texts: the ends of a range that a table may search.

KQL compares texts by the sign of `strcmp`, written at once (`strcmp(id, x) < 0`) or through a
column of such signs, several of them joined by `and` and `or`. A limit says which signs pass; the
rows are tested all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

from langgraph.checkpoint.kusto.local.kql.scalar import Evaluate, Limit, Scalar

_SIGNS: dict[str, frozenset[int]] = {
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    "==": frozenset({0}),
    ">=": frozenset({0, 1}),
    ">": frozenset({1}),
}


def of_comparison(symbol: str, left: Scalar, right: Scalar) -> tuple[Limit, ...]:
    """The limit in a comparison of a sign with zero."""
    if not right.is_literal or right.value != 0 or isinstance(right.value, bool):
        return ()
    if left.compares is not None:
        column, text = left.compares
        return (Limit(column, text, _SIGNS[symbol]),)
    if left.column is not None and left.type in ("int", "long"):
        return (Limit(left.column, None, _SIGNS[symbol]),)
    return ()


def of_logic(symbol: str, operands: list[Scalar]) -> tuple[Limit, ...]:
    """The limits of a chain of `and`, or of `or`."""
    if symbol == "and":
        return tuple(limit for operand in operands for limit in operand.limits)
    unless = tuple(operand.evaluate for operand in operands if operand.fixed)
    parts = [_by_subject(operand.limits) for operand in operands if not operand.fixed]
    if not parts:
        return ()
    common = reduce(lambda found, part: found & part.keys(), parts[1:], set(parts[0]))
    return tuple(
        replace(
            _either([part[subject] for part in parts]),
            unless=unless + tuple(each for part in parts for each in part[subject].unless),
        )
        for subject in parts[0]
        if subject in common
    )


def _by_subject(limits: Iterable[Limit]) -> dict[tuple[int, Evaluate | None], Limit]:
    """One limit for each thing compared; of several any one is true."""
    return {(limit.column, limit.text): limit for limit in limits}


def _either(limits: list[Limit]) -> Limit:
    signs: frozenset[int] = frozenset().union(*(limit.signs for limit in limits))
    return replace(limits[0], signs=signs)


def of_item(item: Scalar, limit: Limit) -> Limit | None:
    """What a limit of a projected or added column says of the row it is computed from."""
    if item.column is not None:
        return replace(limit, column=item.column)
    if item.compares is None or limit.text is not None:
        return None
    column, text = item.compares
    return replace(limit, column=column, text=text)
