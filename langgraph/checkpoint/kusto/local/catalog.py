"""The databases of the local server, in memory and on disk.

Lives here: finding a database and changing one atomically. Does not live here: the shape of a
database (`schema`), its tables in SQLite (`layout`), and what a command wants changed (`commands`).

Rules:
- a database in memory is immutable; readers take the current one and keep it for their request;
- a change computes the next database from the current one, under one lock, and is visible in memory
  only after the file holds it.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace

from . import layout
from .clock import IngestionClock, now_ticks
from .errors import bad_request, database_not_found
from .schema import Database, Table
from .storage import Storage

_STAMPS = itertools.count(1)


class Catalog:
    """All databases of one file; names are found whatever their case."""

    def __init__(self, storage: Storage, now: Callable[[], int] = now_ticks) -> None:
        self._storage = storage
        self._now = now
        self._lock = threading.RLock()
        self._databases: dict[str, Database] = {}
        self._next_table = 1
        self.clock = IngestionClock(now=now)

    def load(self, default: str) -> None:
        """Read every database of the file; create the default one when it is missing."""
        with self._storage.reading() as reader:
            rows = reader.execute("SELECT schema FROM kusto_databases ORDER BY id").fetchall()
            counters = dict(reader.execute("SELECT name, value FROM kusto_counters"))
            loaded = [_stamped(Database.from_json(row[0])) for row in rows]
            tables = [table for database in loaded for table in database.tables.values()]
            newest = max((_newest(reader, table) for table in tables), default=0)
        views = [view.created for database in loaded for view in database.views.values()]
        self.clock = IngestionClock(max([newest, *views]), self._now)
        self._databases = {database.name.casefold(): database for database in loaded}
        self._next_table = counters.get("table", 0) + 1
        if default.casefold() not in self._databases:
            self.create(default)

    def database(self, name: str) -> Database:
        """Return the current state of a database.

        Raises:
            ServiceError: there is none of that name.
        """
        found = self._databases.get(name.casefold())
        if found is None:
            raise database_not_found(name)
        return found

    def databases(self) -> list[Database]:
        """Return the current state of all databases, oldest first."""
        return sorted(self._databases.values(), key=lambda database: database.id)

    def create(self, name: str) -> Database:
        """Create an empty database.

        Raises:
            ServiceError: it exists already.
        """
        with self._lock:
            if name.casefold() in self._databases:
                raise bad_request(f"Database '{name}' already exists.")
            id_ = max((database.id for database in self._databases.values()), default=0) + 1
            return self._commit(None, Database(id=id_, name=name))

    def change(self, name: str, step: Callable[[Database], Database]) -> tuple[Database, Database]:
        """Apply a change to a database and return it before and after.

        The step may be refused by raising; a database equal to its argument writes nothing.
        """
        with self._lock:
            before = self.database(name)
            after = step(before)
            if after is before or after.to_json() == before.to_json():
                return before, before
            return before, self._commit(before, replace(after, version=before.version + 1))

    def new_table_id(self) -> int:
        """Return a number no table of this file has had; call it within a change."""
        with self._lock:
            self._next_table += 1
            return self._next_table - 1

    def _commit(self, before: Database | None, after: Database) -> Database:
        stamped = _stamped(after)
        script = layout.statements(before, stamped)
        next_table = self._next_table

        def job(writer: sqlite3.Connection) -> None:
            for statement in script:
                writer.execute(statement)
            writer.execute(
                "INSERT INTO kusto_databases (id, schema) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET schema = excluded.schema",
                (stamped.id, stamped.to_json()),
            )
            writer.execute(
                "INSERT INTO kusto_counters (name, value) VALUES ('table', ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (next_table - 1,),
            )

        self._storage.write(job)
        self._databases = {**self._databases, stamped.name.casefold(): stamped}
        return stamped


def _stamped(database: Database) -> Database:
    return replace(database, stamp=next(_STAMPS))


def _newest(reader: sqlite3.Connection, table: Table) -> int:
    # Ingestion times grow with the row numbers, so the last row has the newest one.
    text = f"SELECT ingested FROM {table.physical} ORDER BY rid DESC LIMIT 1"
    row = reader.execute(text).fetchone()
    return row[0] if row else newest_lost(reader, table)


def newest_lost(reader: sqlite3.Connection, table: Table) -> int:
    """Return the newest ingestion time of the rows the table has lost by age, or 0."""
    if not table.past:
        return 0
    return reader.execute(f"SELECT max(ingested) FROM {table.kept}").fetchone()[0] or 0
