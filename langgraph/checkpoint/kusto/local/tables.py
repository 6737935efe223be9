"""Tables and catalogs as the KQL engine sees them.

Lives here: scanning a SQLite table with pushed-down equality sets, and the catalog of one request.
Does not live here: the engine (`kql`), writing rows (`ingest`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from functools import lru_cache
from itertools import chain, takewhile
from typing import Any

from .cells import Decoder, decoder
from .kql import Column, FunctionDef, ViewDef
from .layout import indexes, view_indexes
from .moments import QueryMoments
from .newest import by_groups, by_keys, fixed_first
from .schema import Database, Table, View
from .text import renamed_source

# SQLite binds at most 32,766 values in one statement; longer sets are read in several.
SET_LIMIT = 10_000
# Up to how many rows, beside two for each value, an index is worth taking before any other.
FEW_ROWS = 64
# A string column, the signs by which it may compare, and with what.
Limit = tuple[str, frozenset[int], str]
_OPERATORS = {
    frozenset({-1}): "<",
    frozenset({-1, 0}): "<=",
    frozenset({0}): "=",
    frozenset({0, 1}): ">=",
    frozenset({1}): ">",
}


class StoredTable:
    """A table of the engine over one SQLite connection.

    `since` hides the rows ingested up to then; `until` tells, for each scan anew, after which
    moment rows are hidden. With record numbers each row has one more value. With a view the rows
    are those the view is made of: also what the table has lost by age, without what the view has.
    """

    def __init__(
        self,
        table: Table,
        reader: sqlite3.Connection,
        *,
        name: str | None = None,
        since: int = 0,
        until: Callable[[str], int | None] | None = None,
        with_record_numbers: bool = False,
        view: View | None = None,
        cursors: list[sqlite3.Cursor] | None = None,
        views: Iterable[View] = (),
    ) -> None:
        self.name = name or table.name
        self.columns = engine_columns(table)
        self._table = table
        self._reader = reader
        self._since = since
        self._until = until
        self._view = view.created if view is not None and table.past else None
        self._extra = ("rid",) if with_record_numbers else ()
        self._cursors = [] if cursors is None else cursors
        self._views = views
        self._limits: Sequence[Limit] = ()
        self._newest: tuple[str, ...] = ()

    def limited(self, limits: Sequence[Limit]) -> StoredTable:
        """Return the table without rows that are not asked for; see the engine's `TableSource`."""
        table = copy(self)
        table._limits = [each for each in limits if each[1] in _OPERATORS and _storable(each[2])]
        return table

    def newest(self, of: str, by: Sequence[str]) -> StoredTable:
        """Return the table without rows that no view shows; see the engine's `TableSource`."""
        table = copy(self)
        if self._view is None:
            table._newest = tuple(_physical(self._table, name) for name in (of, *by))
        return table

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[tuple[Any, ...]]:
        """Return rows in table order of columns; see the engine's `TableSource`."""
        extra = (*self._extra, "ingested") if with_ingestion_time else self._extra
        select, decoders = _selection(self._table, columns, extra, self._view is not None)
        until = None if self._until is None else self._until(self.name)
        parts = [self._read(*self._statement(select, sets, until)) for sets in _parts(equals)]
        rows = parts[0] if len(parts) == 1 else chain.from_iterable(parts)
        return rows if decoders is None else _decoded(rows, decoders)

    def _statement(
        self, select: str, sets: Mapping[str, list[str]], until: int | None
    ) -> tuple[str, list[Any]]:
        where, values = self._where(sets, until)
        if not self._newest:
            return select + where, values
        of, *by = self._newest
        fixed = {_physical(self._table, name): members for name, members in sets.items()}
        indexed = view_indexes(self._table, self._views).values()
        keys = fixed_first(of, by, fixed, indexed)
        if keys is None:
            return by_groups(select, self._table.physical, of, by, where, values)
        rest = _where(self._table, {}, self._since, until, None, self._limits)
        return by_keys(select, self._table.physical, of, keys, fixed, rest, (where, values))

    def _read(self, text: str, values: list[Any]) -> sqlite3.Cursor:
        cursor = self._reader.execute(text, values)
        self._cursors.append(cursor)
        return cursor

    def plan(self, equals: Mapping[str, frozenset[str]]) -> list[str]:
        """Return SQLite's plan for a scan with these equality sets, one line per step.

        Give the table a connection of its own: SQLite notices that indexes changed only when a
        statement really reads, which EXPLAIN does not.
        """
        select, _ = _selection(self._table, None, (), self._view is not None)
        return [
            row[3]
            for where, values in (self._where(sets, None) for sets in _parts(equals))
            for row in self._reader.execute(f"EXPLAIN QUERY PLAN {select}{where}", values)
        ]

    def _where(self, sets: Mapping[str, list[str]], until: int | None) -> tuple[str, list[Any]]:
        table, limits, leading = self._table, self._limits, self._selective(sets)
        return _where(table, sets, self._since, until, self._view, limits, leading)

    def _selective(self, sets: Mapping[str, list[str]]) -> str | None:
        """Return the column whose index alone finds few rows, when SQLite might take another.

        It keeps no statistics, and of ids beside the thread they belong to it takes the thread.
        """
        if len(sets) < 2 or self._view is not None:
            return None
        own, shared = _indexed(self._table)
        served = tuple(takewhile(sets.__contains__, shared))
        if len(served) in (len(sets), len(shared) or -1):
            return None
        for name in sets:
            if name in own and name not in served:
                condition, values = _member(own[name], sets[name])
                few = FEW_ROWS + 2 * len(sets[name])
                text = f"SELECT 1 FROM {self._table.physical} WHERE {condition} LIMIT {few}"
                if len(self._reader.execute(text, values).fetchall()) < few:
                    return name
        return None


class QueryCatalog:
    """One state of a database, read through one connection: the engine's catalog.

    Leaving it closes the cursors it opened: one that a query did not read to its end would keep the
    connection at its old snapshot, and the next request would miss rows already acknowledged.

    With `moments` each scan sees a moment of its own. `shown_until` names tables and views that
    show nothing newer than a moment: a table's says nothing of its views, and a view's nothing of
    its source.
    """

    def __init__(
        self,
        database: Database,
        reader: sqlite3.Connection,
        moments: QueryMoments | None = None,
        shown_until: Mapping[str, int] | None = None,
    ) -> None:
        self.database = database.name
        self._shown_until = shown_until or {}
        # Views have sources of their own where moments differ, see `view`.
        self._apart = moments is not None or bool(shown_until)
        self.version = (database.stamp, self._apart)
        self._schema = database
        self._reader = reader
        self._cursors: list[sqlite3.Cursor] = []
        self._moments = moments
        self._until = self._moment if self._apart else None

    def __enter__(self) -> QueryCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        for cursor in self._cursors:
            cursor.close()

    def table(self, name: str) -> StoredTable | None:
        """Return the table, or the part of a table that a view may see."""
        table = self._schema.tables.get(name)
        views = self._schema.views.values()
        if table is not None:
            return StoredTable(
                table, self._reader, until=self._until, cursors=self._cursors, views=views
            )
        source, slash, view_name = name.partition("/")
        view = self._schema.views.get(view_name) if slash else None
        table = self._schema.tables.get(source)
        if view is None or table is None:
            return None
        return StoredTable(
            table,
            self._reader,
            name=name,
            since=view.since,
            view=view,
            until=self._until,
            cursors=self._cursors,
            views=views,
        )

    def function(self, name: str) -> FunctionDef | None:
        """Return the stored function of that name."""
        found = self._schema.functions.get(name)
        if found is None:
            return None
        return FunctionDef(found.name, found.parameters, found.body, found.folder, found.docstring)

    def view(self, name: str) -> ViewDef | None:
        """Return the materialized view of that name, over the rows it may see."""
        found = self._schema.views.get(name)
        if found is None:
            return None
        source = self._schema.tables.get(found.source)
        # A view may become visible at another time than its source, and keeps rows for longer.
        apart = self._apart or (source is not None and source.past)
        return _view_definition(found, apart)

    def _moment(self, name: str) -> int | None:
        """Return up to which ingestion time the next scan sees rows; None is all."""
        moment = None if self._moments is None else self._moments.until(name)
        shown = self._shown_until.get(name.rpartition("/")[2])
        return min((m for m in (moment, shown) if m is not None), default=None)

    def fixing(self) -> AbstractContextManager[None]:
        """Hear that what is scanned inside, later scans may not see less of."""
        return nullcontext() if self._moments is None else self._moments.fixing()


def _parts(equals: Mapping[str, frozenset[str]]) -> Iterator[dict[str, list[str]]]:
    """Yield the sets of values of the scans whose answers together are the scan."""
    if any(not values for values in equals.values()):
        return
    longest = max(equals, key=lambda name: len(equals[name]), default=None)
    if longest is None or len(equals[longest]) <= SET_LIMIT:
        yield {name: sorted(values) for name, values in equals.items()}
        return
    rest = {name: sorted(values) for name, values in equals.items() if name != longest}
    ordered = sorted(equals[longest])
    for start in range(0, len(ordered), SET_LIMIT):
        yield {**rest, longest: ordered[start : start + SET_LIMIT]}


@lru_cache(maxsize=512)
def engine_columns(table: Table) -> tuple[Column, ...]:
    """Return a table's columns as the engine describes them."""
    return tuple(Column(column.name, column.type) for column in table.columns)


@lru_cache(maxsize=512)
def _view_definition(view: View, apart: bool) -> ViewDef:
    if not view.since and not apart:
        return ViewDef(view.name, view.source, view.query)
    # A slash cannot stand in an entity name, so this names no table of a user.
    source = f"{view.source}/{view.name}"
    return ViewDef(view.name, source, renamed_source(view.query, view.source, source))


@lru_cache(maxsize=2048)
def _selection(
    table: Table, wanted: frozenset[str] | None, extra: tuple[str, ...], with_past: bool
) -> tuple[str, tuple[Decoder | None, ...] | None]:
    """Return the SELECT text for some columns, and the decoders if any is needed."""
    cells: list[str] = []
    decoders: list[Decoder | None] = []
    for column in table.columns:
        needed = wanted is None or column.name in wanted
        cells.append(column.physical if needed else "NULL")
        decoders.append(decoder(column.type) if needed else None)
    cells += extra
    decoders += [None] * len(extra)
    rows = table.physical
    if with_past:
        rows = f"(SELECT * FROM {table.physical} UNION ALL SELECT * FROM {table.kept})"
    select = f"SELECT {', '.join(cells) or 'NULL'} FROM {rows}"
    return select, tuple(decoders) if any(decoders) else None


def _where(
    table: Table,
    equals: Mapping[str, list[str]],
    since: int,
    until: int | None,
    view: int | None = None,
    limits: Sequence[Limit] = (),
    leading: str | None = None,
) -> tuple[str, list[Any]]:
    terms: list[str] = []
    values: list[Any] = []
    for name, members in equals.items():
        # A plus keeps SQLite from searching by the column.
        sign = "" if leading in (None, name) else "+"
        term, bound = _member(sign + _physical(table, name), members)
        terms.append(term)
        values += bound
    for name, signs, text in limits:
        # SQLite compares the bytes of UTF-8, which is the order of characters' numbers.
        terms.append(f"{_physical(table, name)} {_OPERATORS[signs]} ?")
        values.append(text)
    if since:
        terms.append("ingested > ?")
        values.append(since)
    if until is not None:
        terms.append("ingested <= ?")
        values.append(until)
    if view is not None:
        terms.append(
            f"(rid, ingested) NOT IN (SELECT rid, ingested FROM {table.gone} WHERE view = ?)"
        )
        values.append(view)
    return (" WHERE " + " AND ".join(terms) if terms else ""), values


def _member(column: str, members: list[str]) -> tuple[str, list[Any]]:
    """Return the condition that a column has one of some values."""
    if len(members) == 1:
        return f"{column} = ?", members
    # Padded to a power of two: few statement texts, so that the statement cache holds them.
    padded = members + members[-1:] * (_next_power(len(members)) - len(members))
    return f"{column} IN ({','.join('?' * len(padded))})", padded


@lru_cache(maxsize=512)
def _indexed(table: Table) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the columns with an index of their own, and those that have one together, in order."""
    names = {column.physical: column.name for column in table.columns}
    own: dict[str, str] = {}
    shared: tuple[str, ...] = ()
    for columns in indexes(table).values():
        if len(columns) == 1:
            own[names[columns[0]]] = columns[0]
        else:
            shared = tuple(names[column] for column in columns)
    return own, shared


def _physical(table: Table, name: str) -> str:
    column = table.column(name)
    if column is None:
        raise KeyError(f"no column {name} in {table.name}")
    return column.physical


def _storable(text: str) -> bool:
    """Tell whether SQLite takes the text: a query may compute half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _next_power(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _decoded(
    rows: Iterable[tuple[Any, ...]], decoders: tuple[Decoder | None, ...]
) -> Iterator[tuple[Any, ...]]:
    special = [(at, decode) for at, decode in enumerate(decoders) if decode is not None]
    for row in rows:
        cells = list(row)
        for at, decode in special:
            cells[at] = decode(cells[at])
        yield tuple(cells)
