"""Computation of functions over the rows around: `row_number`, `row_cumsum`, `prev`, `next`.

An operator whose expressions use them computes one extra value for each row first; the
values stand behind the row's own columns while its expressions are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Scalar
from langgraph.checkpoint.kusto.local.kql.values import missing_value, wrap_long

_Compute = Callable[[list[Row], tuple[Scalar, ...], Run], Iterator[Any]]


@dataclass
class Window:
    """The window functions of one operator, in the order of their computation."""

    width: int
    calls: list[tuple[_Compute, tuple[Scalar, ...]]] = field(default_factory=list)
    columns: frozenset[int] = frozenset()

    def add(self, name: str, arguments: tuple[Scalar, ...]) -> Scalar:
        """Reserve a place behind the row; return the scalar that reads it."""
        compute, kind = _FUNCTIONS[name]
        position = self.width + len(self.calls)
        self.calls.append((compute, arguments))
        for argument in arguments:
            self.columns |= frozenset(at for at in argument.columns if at < self.width)
        result = kind or arguments[0].type
        # No columns: what the call looks at is kept in `self.columns`.
        return Scalar(result, lambda row, run: row[position])

    def widen(self, rows: list[Row], run: Run) -> list[Row]:
        """Put the values of all calls behind the rows."""
        for compute, arguments in self.calls:
            extra = compute(rows, arguments, run)
            rows = [(*row, value) for row, value in zip(rows, extra, strict=True)]
        return rows


def _restarts(rows: list[Row], restart: Scalar | None, run: Run) -> Iterator[bool]:
    for row in rows:
        yield restart is not None and restart.evaluate(row, run) is True


def _row_number(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    start = arguments[0].evaluate(NO_ROW, run) if arguments else 1
    restart = arguments[1] if len(arguments) > 1 else None
    number = start - 1
    for begins in _restarts(rows, restart, run):
        number = start if begins else number + 1
        yield number


def _row_cumsum(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    term = arguments[0]
    restart = arguments[1] if len(arguments) > 1 else None
    whole = term.type in ("int", "long")
    total: Any = 0
    for row, begins in zip(rows, _restarts(rows, restart, run), strict=True):
        if begins:
            total = 0
        value = term.evaluate(row, run)
        if value is not None:
            total = wrap_long(total + value) if whole else total + value
        yield total


def _row_rank_dense(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    return _ranks(rows, arguments, run, dense=True)


def _row_rank_min(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    return _ranks(rows, arguments, run, dense=False)


def _ranks(rows: list[Row], arguments: tuple[Scalar, ...], run: Run, dense: bool) -> Iterator[Any]:
    restart = arguments[1] if len(arguments) > 1 else None
    rank, position, last = 0, 0, object()
    for row, begins in zip(rows, _restarts(rows, restart, run), strict=True):
        if begins:
            rank, position, last = 0, 0, object()
        position += 1
        value = arguments[0].evaluate(row, run)
        if value != last:
            rank = rank + 1 if dense else position
            last = value
        yield rank


def _shift(rows: list[Row], arguments: tuple[Scalar, ...], run: Run, sign: int) -> Iterator[Any]:
    column = arguments[0].evaluate
    offset = arguments[1].evaluate(NO_ROW, run) if len(arguments) > 1 else 1
    missing: Any = missing_value(arguments[0].type)
    if len(arguments) > 2:
        missing = arguments[2].evaluate(NO_ROW, run)
    for at in range(len(rows)):
        other = at + sign * offset
        yield column(rows[other], run) if 0 <= other < len(rows) else missing


def _prev(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    return _shift(rows, arguments, run, -1)


def _next(rows: list[Row], arguments: tuple[Scalar, ...], run: Run) -> Iterator[Any]:
    return _shift(rows, arguments, run, 1)


_FUNCTIONS: dict[str, tuple[_Compute, str]] = {
    "row_number": (_row_number, "long"),
    "row_cumsum": (_row_cumsum, ""),
    "row_rank_dense": (_row_rank_dense, "long"),
    "row_rank_min": (_row_rank_min, "long"),
    "prev": (_prev, ""),
    "next": (_next, ""),
}
