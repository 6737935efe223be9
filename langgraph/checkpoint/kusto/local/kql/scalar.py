"""Bound scalar expressions: a type and a closure that computes the value from a row.

The closure takes the row and the run. What a name means was decided when it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run

Evaluate = Callable[[Row, Run], Any]

Values = Callable[[Run], frozenset[str]]
"""The values a string column may have, as far as a run can tell."""

NO_ROW: Row = ()


@dataclass(frozen=True)
class Scalar:
    """A bound expression.

    Attributes:
        type: The static type.
        evaluate: Computes the value from a row and a run.
        columns: Positions of the row's columns it looks at.
        fixed: The value is the same for every row of a run.
        is_literal: The value stands in the text; `value` holds it.
        value: The value of a literal.
        column: The position, when this is just a column.
        name: The name of the column it makes when the text gives none; "" leaves the
            choice (`Column1`, `print_0`) to the operator.
        restricts: When this holds as a predicate, the values string columns must have.
        guards: Parts of a predicate that are the same for every row; unless all hold, no row
            can pass.
    """

    type: str
    evaluate: Evaluate
    columns: frozenset[int] = frozenset()
    fixed: bool = False
    is_literal: bool = False
    value: Any = None
    column: int | None = None
    name: str = ""
    restricts: tuple[tuple[int, Values], ...] = ()
    guards: tuple[Evaluate, ...] = ()

    def named(self, name: str) -> Scalar:
        """The same with another automatic name."""
        return replace(self, name=name)


def literal(value: Any, type_name: str) -> Scalar:
    """A constant of the text."""
    return Scalar(type_name, lambda row, run: value, fixed=True, is_literal=True, value=value)


def column(position: int, type_name: str, name: str) -> Scalar:
    """A column of the row."""
    return Scalar(
        type_name,
        lambda row, run: row[position],
        columns=frozenset({position}),
        column=position,
        name=name,
    )


def combined(type_name: str, evaluate: Evaluate, *parts: Scalar) -> Scalar:
    """A value computed from other scalars; fixed when they are."""
    columns: frozenset[int] = frozenset().union(*(part.columns for part in parts))
    return Scalar(type_name, evaluate, columns, all(part.fixed for part in parts))


def once(scalar: Scalar) -> Scalar:
    """Compute a fixed value once in a run; anything else is left as it is."""
    if not scalar.fixed or scalar.is_literal:
        return scalar
    inner = scalar.evaluate
    key = object()

    def evaluate(row: Row, run: Run) -> Any:
        memory = run.memory
        if key in memory:
            return memory[key]
        value = memory[key] = inner(NO_ROW, run)
        return value

    return replace(scalar, evaluate=evaluate)


def apply(function: Callable[..., Any], *parts: Scalar) -> Evaluate:
    """A closure that calls `function` with the values of `parts`."""
    if len(parts) == 1:
        first = parts[0].evaluate
        return lambda row, run: function(first(row, run))
    if len(parts) == 2:
        first, second = parts[0].evaluate, parts[1].evaluate
        return lambda row, run: function(first(row, run), second(row, run))
    closures = [part.evaluate for part in parts]
    return lambda row, run: function(*[closure(row, run) for closure in closures])


def apply_strict(function: Callable[..., Any], *parts: Scalar) -> Evaluate:
    """Like `apply`, but null as soon as one value is null."""
    if len(parts) == 1:
        first = parts[0].evaluate

        def one(row: Row, run: Run) -> Any:
            value = first(row, run)
            return None if value is None else function(value)

        return one
    if len(parts) == 2:
        left, right = parts[0].evaluate, parts[1].evaluate

        def two(row: Row, run: Run) -> Any:
            a = left(row, run)
            if a is None:
                return None
            b = right(row, run)
            return None if b is None else function(a, b)

        return two
    closures = [part.evaluate for part in parts]

    def many(row: Row, run: Run) -> Any:
        arguments = [closure(row, run) for closure in closures]
        return None if None in arguments else function(*arguments)

    return many
