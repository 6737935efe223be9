"""Retention: the rows a table loses by age, and the records a materialized view loses.

Lives here: finding and removing them. Does not live here: when that happens (`cluster`), what a
policy means (`policies`), and how tables and views are read (`tables`).

materialized-view-policies.md and materialized-views-limitations.md:
- a view's retention is its own or its database's, and has nothing to do with that of its source;
- what retention takes from the source stays in the view;
- a record of the view is as old as its last update; a record that need not change is not updated;
- a record that is gone does not come back from older rows of its source: only new rows count.

So rows that a table has lost are kept beside it for its views, in `t<id>_past`; rows whose record a
view has lost are listed in `t<id>_gone`. Here a view takes rows as soon as they are ingested, and
retention acts to the tick; Kusto does both a while later, and says only: never before the period.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import policies
from .catalog import Catalog
from .kql import Column, FunctionDef, KqlError, ViewDef, run_query
from .schema import Database, Table, View
from .softdelete import stages
from .storage import Storage
from .tables import StoredTable
from .text import Token, tokens

logger = logging.getLogger(__name__)

# Names that begin and end with two underscores are reserved (entity-names.md).
_RECORD = "__record__"
_INGESTED = "__ingested__"
_UPDATED = "__updated__"
_MOVING = ("project", "project-keep")
_WINNING = ("arg_max", "arg_min")
_FIRST = ("take_any", "any")


def drop_expired(catalog: Catalog, storage: Storage, now: int) -> int:
    """Remove from tables and views what is older than their retention; return the tables' rows."""
    dropped = 0
    for name in [database.name for database in catalog.databases()]:
        for table_name in list(catalog.database(name).tables):
            dropped += _expire_table(catalog, storage, name, table_name, now)
    return dropped


def _expire_table(catalog: Catalog, storage: Storage, name: str, table_name: str, now: int) -> int:
    database = catalog.database(name)
    table = database.tables[table_name]
    views = [view for view in database.views.values() if view.source == table_name]
    period = policies.retention_ticks(database, table)
    before = None if period is None else now - period
    lost = [
        (view, record) for view in views for record in _lost(database, table, view, storage, now)
    ]
    if views and not table.past and (lost or _has_older(storage, table, before)):
        changed = catalog.change(name, lambda current: _with_past(current, table_name))[1]
        table = changed.tables[table_name]

    def job(writer: sqlite3.Connection) -> int:
        if table.past:
            marks = [(view.created, *_row_of(record)) for view, record in lost]
            writer.executemany(f"INSERT OR IGNORE INTO {table.gone} VALUES (?, ?, ?)", marks)
        older = f"FROM {table.physical} WHERE ingested < ?"
        if table.past and before is not None:
            writer.execute(f"INSERT INTO {table.kept} SELECT * {older}", (before,))
        dropped = 0 if before is None else writer.execute(f"DELETE {older}", (before,)).rowcount
        if table.past:
            _forget(writer, table, [view.created for view in views])
        return dropped

    return storage.write(job)


def _with_past(database: Database, name: str) -> Database:
    return database.with_table(replace(database.tables[name], past=True))


def _has_older(storage: Storage, table: Table, before: int | None) -> bool:
    if before is None:
        return False
    with storage.reading() as reader:
        # Ingestion times grow with the row numbers: the first row is the oldest.
        text = f"SELECT ingested FROM {table.physical} ORDER BY rid LIMIT 1"
        oldest = reader.execute(text).fetchone()
    return oldest is not None and bool(oldest[0] < before)


def _forget(writer: sqlite3.Connection, table: Table, views: list[int]) -> None:
    """Remove the kept rows that no view shows any more, and the marks of rows that are no more."""
    marks = ",".join("?" * len(views))
    writer.execute(
        f"DELETE FROM {table.kept} WHERE (SELECT count(*) FROM {table.gone} AS g WHERE "
        f"g.rid = {table.kept}.rid AND g.ingested = {table.kept}.ingested AND g.view IN ({marks}))"
        " >= ?",
        (*views, len(views)),
    )
    writer.execute(
        f"DELETE FROM {table.gone} WHERE view NOT IN ({marks}) OR (rid, ingested) NOT IN (SELECT "
        f"rid, ingested FROM {table.kept} UNION ALL SELECT rid, ingested FROM {table.physical})",
        tuple(views),
    )


def _row_of(record: str) -> tuple[int, int]:
    rid, _, ingested = record.partition(":")
    return int(rid), int(ingested)


def _lost(database: Database, table: Table, view: View, storage: Storage, now: int) -> list[str]:
    """Return the rows behind the records of a view that are older than its retention."""
    period = policies.view_retention_ticks(database, view)
    if period is None or not (table.past or _has_older(storage, table, now - period)):
        return []  # no record is older than its rows
    text = records_query(view) + f" | where {_UPDATED} < {now - period}"
    with storage.reading() as reader, _RowCatalog(database, table, view, reader) as rows:
        try:
            results = run_query(f"{text} | project {_RECORD}", {}, rows, now_ticks=now)
        except KqlError as error:
            # Its source has lost a column it needs: no query of the view is answered either.
            logger.warning("the view %s loses nothing, it cannot be read: %s", view.name, error)
            return []
    return [record for (records,) in results[0].rows for record in records]


def records_query(view: View) -> str:
    """Return the query that answers, for each record of a view, its rows and its last update."""
    lets, query = _last_statement(view.query)
    first, *middle, last = stages(query)
    pieces = [query[first[0].start : first[-1].end]]
    for stage in middle:
        text = query[stage[0].start : stage[-1].end]
        if stage[0].text in _MOVING:
            text += f", {_RECORD}, {_INGESTED}"
        pieces.append(text)
    aggregates, keys = _at_by(last)
    pieces.append(f"extend {_UPDATED} = {_INGESTED}")
    summary = f"summarize {_last_update(query, aggregates)}"
    summary += f", {_RECORD} = make_list({_RECORD})"
    if keys:
        summary += f" by {query[keys[0].start : keys[-1].end]}"
    return lets + " | ".join([*pieces, summary])


def _last_statement(text: str) -> tuple[str, str]:
    """Return the `let` statements of a view's query, and its query alone."""
    ends = [token.end for token in tokens(text) if token.text == ";"]
    if ends and not text[ends[-1] :].strip():
        text = text[: ends.pop() - 1]
    return (text[: ends[-1]], text[ends[-1] :]) if ends else ("", text)


def _at_by(stage: list[Token]) -> tuple[list[Token], list[Token]]:
    """Return the tokens of the aggregates and of the keys of a summarize."""
    depth = 0
    for place, token in enumerate(stage):
        depth += _deeper(token)
        if token.kind == "word" and token.text == "by" and not depth:
            return stage[1:place], stage[place + 1 :]
    return stage[1:], []


def _last_update(query: str, aggregates: list[Token]) -> str:
    """Return the aggregate that answers when a record was last updated.

    A lone `arg_max` is as old as the row it chose, and a lone `take_any` as its first row; what
    counts or adds up changes with each row.
    """
    names = [token.text for token in aggregates[:2]]
    alone = names[1:] == ["("] and _closes_at(aggregates, 1) == len(aggregates) - 1
    if alone and names[0] in _FIRST:
        return f"{_UPDATED} = min({_INGESTED})"
    if not alone or names[0] not in _WINNING:
        return f"{_UPDATED} = max({_INGESTED})"
    depth, end = 0, len(aggregates) - 1
    for place in range(2, end):
        token = aggregates[place]
        depth += _deeper(token)
        if token.text == "," and not depth:
            end = place
            break
    chosen = query[aggregates[2].start : aggregates[end - 1].end]
    return f"{names[0]}({chosen}, {_UPDATED})"


def _closes_at(found: list[Token], opened: int) -> int:
    depth = 0
    for place in range(opened, len(found)):
        depth += _deeper(found[place])
        if not depth:
            return place
    return -1


def _deeper(token: Token) -> int:
    if token.kind != "sign":
        return 0
    return (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))


class _RowCatalog:
    """A catalog with one table: the rows a view is made of, with their numbers and times."""

    def __init__(
        self, database: Database, table: Table, view: View, reader: sqlite3.Connection
    ) -> None:
        self.database = database.name
        self._cursors: list[sqlite3.Cursor] = []
        self._source = _RowSource(table, view, reader, self._cursors)

    def __enter__(self) -> _RowCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        for cursor in self._cursors:
            cursor.close()

    def table(self, name: str) -> _RowSource | None:
        return self._source if name == self._source.name else None

    def function(self, name: str) -> FunctionDef | None:
        return None

    def view(self, name: str) -> ViewDef | None:
        return None


class _RowSource:
    """The rows of a view, with two more columns: which row it is, and when it was ingested."""

    def __init__(
        self, table: Table, view: View, reader: sqlite3.Connection, cursors: list[sqlite3.Cursor]
    ) -> None:
        self._stored = StoredTable(
            table, reader, since=view.since, view=view, with_record_numbers=True, cursors=cursors
        )
        self.name = table.name
        self.columns = (
            *self._stored.columns,
            Column(_RECORD, "string"),
            Column(_INGESTED, "long"),
        )

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[tuple[Any, ...]]:
        for row in self._stored.scan(equals, columns, with_ingestion_time=True):
            *cells, rid, ingested = row
            found = (*cells, f"{rid}:{ingested}", ingested)
            yield (*found, ingested) if with_ingestion_time else found
