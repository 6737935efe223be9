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

Decide = Callable[[Run], Evaluate | bool]
"""What is left of a predicate in one run, see `Scalar.decide`."""

NO_ROW: Row = ()


@dataclass(frozen=True)
class Limit:
    """Signs of a number, or of how a column's text compares with another, that may pass.

    Attributes:
        column: Position of the column.
        text: What its text is compared with; None when the column holds the sign itself.
        signs: Those that may pass: -1, 0, 1.
        unless: When one of these holds, all may pass.
    """

    column: int
    text: Evaluate | None
    signs: frozenset[int]
    unless: tuple[Evaluate, ...] = ()

    def holds(self, run: Run) -> bool:
        """Whether the limit says anything in this run."""
        return not any(each(NO_ROW, run) is True for each in self.unless)


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
        decide: Of a predicate, what of it depends on the row, once the rest is known: a test, or
            its outcome for all rows.
        compares: When this is `strcmp` of a column and a text that is the same for every row:
            the position and that text.
        limits: When this holds as a predicate, how texts compare; see `limits`.
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
    decide: Decide | None = None
    compares: tuple[int, Evaluate] | None = None
    limits: tuple[Limit, ...] = ()

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
        try:
            return run.memory[key]
        except KeyError:
            value = run.memory[key] = inner(NO_ROW, run)
            return value

    return replace(scalar, evaluate=evaluate)


def decided(predicate: Scalar, run: Run) -> Evaluate | bool:
    """A test for the rows of a run, or its outcome for all of them."""
    if predicate.fixed:
        return predicate.evaluate(NO_ROW, run) is True
    return predicate.evaluate if predicate.decide is None else predicate.decide(run)


def apply(function: Callable[..., Any], *parts: Scalar) -> Evaluate:
    """A closure that calls `function` with the values of `parts`."""
    if len(parts) == 1:
        first, at = parts[0].evaluate, parts[0].column
        if at is not None:
            return lambda row, run: function(row[at])
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
        return _apply_strict_to_two(function, *parts)
    closures = [part.evaluate for part in parts]

    def many(row: Row, run: Run) -> Any:
        arguments = [closure(row, run) for closure in closures]
        return None if None in arguments else function(*arguments)

    return many


def _apply_strict_to_two(
    function: Callable[[Any, Any], Any], left: Scalar, right: Scalar
) -> Evaluate:
    """`apply_strict` of two; a column first is read in place: there are rows by the thousand."""
    a_of, b_of, value = left.evaluate, right.evaluate, right.value
    at = -1 if left.column is None else left.column  # looked at only where there is one

    def column_and_value(row: Row, run: Run) -> Any:
        a = row[at]
        return None if a is None else function(a, value)

    def column_and_other(row: Row, run: Run) -> Any:
        a = row[at]
        if a is None:
            return None
        b = b_of(row, run)
        return None if b is None else function(a, b)

    def two(row: Row, run: Run) -> Any:
        a = a_of(row, run)
        if a is None:
            return None
        b = b_of(row, run)
        return None if b is None else function(a, b)

    if left.column is None:
        return two
    return column_and_value if right.is_literal and value is not None else column_and_other
