"""Rows made out of rows: which cells come from where, and what is not computed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.kql.row_makers import cells_at, row_maker
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, column

ROWS = [(1, 2, 3), (4, 5, 6)]
RUN: Any = Run(None, {}, 0, random.Random(1))  # type: ignore[arg-type]  # no catalog is asked


def counted(calls: list[Any], add: int) -> Scalar:
    def evaluate(row: Any, run: Any) -> int:
        calls.append(row)
        return int(row[0]) + add

    return Scalar("long", evaluate, frozenset({0}))


@pytest.mark.parametrize(
    ("positions", "cells"), [([], ()), ([2], (3,)), ([2, 0], (3, 1)), ([1, 1], (2, 2))]
)
def test_cells_come_in_the_order_asked_for(positions: list[int], cells: tuple[int, ...]) -> None:
    assert cells_at(positions)(ROWS[0]) == cells


def test_columns_and_computed_cells_are_put_together() -> None:
    calls: list[Any] = []
    items = [column(2, "long", "c"), counted(calls, 10), column(0, "long", "a"), counted(calls, 20)]
    assert list(row_maker(items[:1], frozenset({0}))(ROWS, RUN)) == [(3,), (6,)]
    assert list(row_maker(items[:2], frozenset({0, 1}))(ROWS, RUN)) == [(3, 11), (6, 14)]
    made = list(row_maker(items, frozenset(range(4)))(ROWS, RUN))
    assert made == [(3, 11, 1, 21), (6, 14, 4, 24)]
    assert calls == [ROWS[0], ROWS[1], ROWS[0], ROWS[0], ROWS[1], ROWS[1]]


def test_what_nobody_looks_at_is_not_computed() -> None:
    calls: list[Any] = []
    items = [counted(calls, 10), column(1, "long", "b"), counted(calls, 20)]
    assert [row[1] for row in row_maker(items, frozenset({1}))(ROWS, RUN)] == [2, 5]
    assert calls == []
    assert [row[1:] for row in row_maker(items, frozenset({1, 2}))(ROWS, RUN)] == [(2, 21), (5, 24)]
    assert calls == ROWS
