"""The source `range name from start to stop step step`."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.kusto.local.kql import types
from langgraph.checkpoint.kusto.local.kql.coerce import convert
from langgraph.checkpoint.kusto.local.kql.errors import (
    limits_error,
    not_summable,
    semantic_error,
    undefined_operator,
)
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Scalar

_MOST_ROWS = 10_000_000


class Range(Plan):
    """Equally spaced numbers or moments, both ends included."""

    def __init__(self, name: str, start: Scalar, stop: Scalar, step: Scalar) -> None:
        for part in (start, stop, step):
            if part.type not in types.SUMMABLE:
                raise not_summable()
        if step.is_literal and step.type in types.NUMBERS and step.value == 0:
            raise semantic_error("KS140", "The expression must not be the value: 0")
        kind = start.type
        if {start.type, stop.type, step.type} <= types.NUMBERS:
            kind = types.widest((start.type, stop.type, step.type))
            start, stop, step = (convert(part, kind) for part in (start, stop, step))
        elif stop.type != kind:
            raise semantic_error("KS107", f"A value of type {kind} expected.")
        elif kind in types.NUMBERS or step.type != "timespan":
            raise undefined_operator("+", (kind, step.type))
        super().__init__((Column(name, kind),), serialized=True)
        self._parts = (start, stop, step)

    def need(self, wanted: frozenset[int]) -> None:
        """Nothing is below."""

    def rows(self, run: Run) -> Iterable[Row]:
        start, stop, step = (part.evaluate(NO_ROW, run) for part in self._parts)
        if start is None or stop is None or step is None or step == 0:
            return
        for number in range(_MOST_ROWS + 1):
            # Not a running sum: that would add up the errors of doubles.
            value = start + number * step
            if value > stop if step > 0 else value < stop:
                return
            if number == _MOST_ROWS:
                raise limits_error("E_RUNAWAY_QUERY", f"range gives more than {number} rows.")
            yield (value,)
