"""Bound tabular expressions: the base class, the sources, and the simplest steps.

A plan knows its columns and yields rows for a run. Two questions travel from the top of a
plan to its sources: which columns are looked at at all (`need`), and which values a string
column may have (`restrict`). Operators with rules of their own are in `operators`.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from langgraph.checkpoint.kusto.local.kql.errors import unresolved_table
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.limits import of_item
from langgraph.checkpoint.kusto.local.kql.row_makers import row_maker
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Limit, Scalar, Values, decided

INGESTION_TIME = "$ingestion_time"
"""A hidden column that tables carry when the text asks for `ingestion_time()`."""


def visible(columns: Columns) -> list[int]:
    """Positions of the columns a user can see."""
    return [at for at, column in enumerate(columns) if column.name != INGESTION_TIME]


class Plan(ABC):
    """A bound tabular expression.

    Attributes:
        columns: Names and types of what the rows hold.
        serialized: Whether the order of rows means something.
    """

    def __init__(self, columns: Columns, serialized: bool = False) -> None:
        self.columns = columns
        self.serialized = serialized

    @abstractmethod
    def rows(self, run: Run) -> Iterable[Row]:
        """Compute the rows."""

    @abstractmethod
    def need(self, wanted: frozenset[int]) -> None:
        """Hear which columns are looked at; others may be None afterwards."""

    def restrict(self, position: int, values: Values) -> bool:
        """Hear that rows whose column has another value will be dropped.

        Returns:
            Whether a table below has heard it; the caller filters in any case.
        """
        return False

    def limit(self, limit: Limit) -> bool:
        """Hear that rows will be dropped whose column does not compare as the limit says.

        Returns:
            Whether a table below has heard it; the caller filters in any case.
        """
        return False

    def newest(self, position: int, by: Sequence[int]) -> None:  # noqa: B027  # most do nothing
        """Hear that of the rows with the same texts `by` only those with the greatest matter."""

    def need_all(self) -> None:
        """Ask for every column."""
        self.need(frozenset(range(len(self.columns))))


class Scan(Plan):
    """The rows of a table."""

    def __init__(self, name: str, columns: Columns, with_ingestion_time: bool) -> None:
        hidden = (Column(INGESTION_TIME, "datetime"),) if with_ingestion_time else ()
        super().__init__(columns + hidden)
        self._name = name
        self._with_ingestion_time = with_ingestion_time
        self._equals: dict[str, list[Values]] = {}
        self._wanted: frozenset[int] = frozenset()
        self._limits: list[Limit] = []
        self._newest: tuple[str, tuple[str, ...]] | None = None

    def need(self, wanted: frozenset[int]) -> None:
        self._wanted |= wanted

    def restrict(self, position: int, values: Values) -> bool:
        column = self.columns[position]
        if column.type != "string":
            return False
        self._equals.setdefault(column.name, []).append(values)
        return True

    def limit(self, limit: Limit) -> bool:
        if limit.text is None or self.columns[limit.column].type != "string":
            return False
        self._limits.append(limit)
        return True

    def rows(self, run: Run) -> Iterable[Row]:
        table = run.catalog.table(self._name)
        if table is None:
            raise unresolved_table("table", self._name)
        equals: dict[str, frozenset[str]] = {}
        for name, sets in self._equals.items():
            allowed = frozenset.intersection(*(values(run) for values in sets))
            if not allowed:
                return ()
            equals[name] = allowed
        wanted = frozenset(
            self.columns[at].name for at in self._wanted if self.columns[at].name != INGESTION_TIME
        )
        # A range alone would be searched by an index of one column, row by row: slower than all.
        limited = getattr(table, "limited", None) if equals and self._limits else None
        if limited is not None:
            table = limited([self._compared(each, run) for each in self._limits if each.holds(run)])
        newest = getattr(table, "newest", None)
        if self._newest is not None and newest is not None:
            table = newest(*self._newest)
        found = table.scan(equals, wanted, self._with_ingestion_time)
        return found if run.rng is None else run.unordered(list(found))

    def newest(self, position: int, by: Sequence[int]) -> None:
        names = [column.name for column in self.columns]
        self._newest = names[position], tuple(names[at] for at in by)

    def _compared(self, limit: Limit, run: Run) -> tuple[str, frozenset[int], str]:
        text = "" if limit.text is None else limit.text(NO_ROW, run)
        return self.columns[limit.column].name, limit.signs, text


class Constant(Plan):
    """Rows that stand in the text: `datatable`, `print`, `getschema`."""

    def __init__(
        self, columns: Columns, rows: Sequence[Sequence[Scalar]], serialized: bool = False
    ) -> None:
        super().__init__(columns, serialized)
        self._rows = rows

    def need(self, wanted: frozenset[int]) -> None:
        """Nothing is below."""

    def rows(self, run: Run) -> Iterable[Row]:
        found = [tuple(cell.evaluate(NO_ROW, run) for cell in row) for row in self._rows]
        return found if self.serialized else run.unordered(found)


class Filter(Plan):
    """`where`."""

    def __init__(self, source: Plan, predicate: Scalar) -> None:
        super().__init__(source.columns, source.serialized)
        self._source = source
        self._predicate = predicate
        # Decided before any row is read: a false one saves the scan.
        self._guards = (predicate.evaluate,) if predicate.fixed else predicate.guards

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(wanted | self._predicate.columns)

    def restrict(self, position: int, values: Values) -> bool:
        return self._source.restrict(position, values)

    def limit(self, limit: Limit) -> bool:
        return self._source.limit(limit)

    def rows(self, run: Run) -> Iterable[Row]:
        predicate = self._predicate.evaluate
        if not all(guard(NO_ROW, run) for guard in self._guards):
            return ()
        rows = self._source.rows(run)
        if self._predicate.decide is None:
            return (row for row in rows if predicate(row, run))
        return self._passing(iter(rows), run)

    def _passing(self, rows: Iterator[Row], run: Run) -> Iterable[Row]:
        """The rows that pass; nothing is decided before there is a row to ask about."""
        first = list(islice(rows, 1))
        if not first:
            return ()
        test = decided(self._predicate, run)
        if isinstance(test, bool):
            return chain(first, rows) if test else ()
        return (row for row in chain(first, rows) if test(row, run))


class Project(Plan):
    """`project` and its kin: each output column is a scalar of the input row."""

    def __init__(self, source: Plan, columns: Columns, items: Sequence[Scalar]) -> None:
        super().__init__(columns, source.serialized)
        self._source = source
        self._items = items
        self._make = row_maker(items, frozenset(range(len(items))))

    def need(self, wanted: frozenset[int]) -> None:
        # What nobody looks at is not computed either: its inputs may be missing.
        self._make = row_maker(self._items, wanted)
        below: set[int] = set()
        for at in wanted:
            below |= self._items[at].columns
        self._source.need(frozenset(below))

    def restrict(self, position: int, values: Values) -> bool:
        origin = self._items[position].column
        return origin is not None and self._source.restrict(origin, values)

    def limit(self, limit: Limit) -> bool:
        inner = of_item(self._items[limit.column], limit)
        return inner is not None and self._source.limit(inner)

    def rows(self, run: Run) -> Iterable[Row]:
        return self._make(self._source.rows(run), run)


class Take(Plan):
    """`take`: some rows, whichever come first."""

    def __init__(self, source: Plan, count: Scalar) -> None:
        super().__init__(source.columns, source.serialized)
        self._source = source
        self._count = count

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(wanted)

    def rows(self, run: Run) -> Iterable[Row]:
        count = self._count.evaluate(NO_ROW, run)
        return islice(self._source.rows(run), max(0, count or 0))


class Sample(Take):
    """`sample`: some rows, at random."""

    def rows(self, run: Run) -> Iterable[Row]:
        found = list(self._source.rows(run))
        count = min(len(found), max(0, self._count.evaluate(NO_ROW, run) or 0))
        chooser = run.rng or random.Random()
        return chooser.sample(found, count)


class Count(Plan):
    """`count`."""

    def __init__(self, source: Plan, name: str) -> None:
        super().__init__((Column(name, "long"),))
        self._source = source

    def need(self, wanted: frozenset[int]) -> None:
        self._source.need(frozenset())

    def rows(self, run: Run) -> Iterable[Row]:
        return [(sum(1 for _ in self._source.rows(run)),)]


class Materialized(Plan):
    """`materialize(...)`: computed once in a run, however often it is named."""

    def __init__(self, source: Plan) -> None:
        super().__init__(source.columns, source.serialized)
        self._source = source
        self._key = object()
        source.need_all()

    def need(self, wanted: frozenset[int]) -> None:
        """Others look at the same rows: all columns are kept."""

    def rows(self, run: Run) -> Iterable[Row]:
        kept = run.once(self._key, lambda: run.fixed(lambda: list(self._source.rows(run))))
        return kept if run.rng is None else run.unordered(list(kept))
