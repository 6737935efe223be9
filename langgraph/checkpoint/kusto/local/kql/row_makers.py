"""Making rows out of rows, many at a time and mostly without a call of Python for each cell.

Lives here: how the cells of a projected row are brought together. What an expression computes is
bound elsewhere (`scalar`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar

MakeRows = Callable[[Iterable[Row], Run], Iterable[Row]]


def cells_at(positions: Sequence[int]) -> Callable[[Row], Row]:
    """A function that takes the cells of a row at some positions, as a row."""
    if len(positions) > 1:
        return itemgetter(*positions)
    if positions:
        at = positions[0]
        return lambda row: (row[at],)
    return lambda row: ()


def row_maker(items: Sequence[Scalar], wanted: frozenset[int]) -> MakeRows:
    """A function that computes rows of `items` from rows.

    Args:
        items: What the cells of the new row are.
        wanted: Which of them are looked at; others may be anything and are not computed.
    """
    live = [at for at in sorted(wanted) if items[at].column is None]
    if not live and all(item.column is not None for item in items):
        take = cells_at([item.column for item in items if item.column is not None])
        return lambda rows, run: map(take, rows)
    # In front of a row stand a null, for what is not looked at, and what is computed of it.
    places = {at: place for place, at in enumerate(live, start=1)}
    first = 1 + len(live)
    take = cells_at(
        [
            places.get(at, 0) if item.column is None else first + item.column
            for at, item in enumerate(items)
        ]
    )
    computed = [items[at].evaluate for at in live]
    if len(computed) == 1:
        only = computed[0]
        return lambda rows, run: (take((None, only(row, run), *row)) for row in rows)
    return lambda rows, run: (
        take((None, *[compute(row, run) for compute in computed], *row)) for row in rows
    )
