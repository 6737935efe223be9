"""What SQLite does under the local servers of this process: statements, steps, rows read.

Counts do not depend on the machine, so a test can say that a query does not look at other threads.
Counting costs CPU; it is off until `start`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

from langgraph.checkpoint.kusto.local.storage import Storage
from langgraph.checkpoint.kusto.local.tables import StoredTable

STEPS_AT_A_TIME = 10
_OWN = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")


class SqliteWork:
    """Counts of all connections.

    `statements` are those that read or write rows, without the ones around transactions, and one
    for each row written; `steps` those of SQLite's virtual machine, some for each row it visits,
    to the nearest ten below; `rows` those that queries were given.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections_lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._on = False
        self._counted = {"statements": 0, "steps": 0, "rows": 0}

    def start(self) -> None:
        """Count from now on; for a moment when no request is under way."""
        with self._connections_lock:
            self._on = True
            for connection in self._connections:
                self._hook(connection)

    def counted(self) -> Mapping[str, int]:
        """What was counted so far."""
        with self._lock:
            return dict(self._counted)

    def watch(self, connection: sqlite3.Connection) -> None:
        """Count what is done over this connection, too."""
        with self._connections_lock:
            self._connections.append(connection)
            if self._on:
                self._hook(connection)

    def counting(self, rows: sqlite3.Cursor) -> sqlite3.Cursor:
        """Count rows as they are read."""
        return cast(sqlite3.Cursor, self._counting(rows)) if self._on else rows

    def _counting(self, rows: sqlite3.Cursor) -> Iterator[Any]:
        for row in rows:
            self._add("rows", 1)
            yield row

    def _hook(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self._begun)
        connection.set_progress_handler(self._stepped, STEPS_AT_A_TIME)

    def _begun(self, text: str) -> None:
        if not text.startswith(_OWN):
            self._add("statements", 1)

    def _stepped(self) -> int:
        self._add("steps", STEPS_AT_A_TIME)
        return 0  # anything else would interrupt the statement

    def _add(self, name: str, more: int) -> None:
        with self._lock:
            self._counted[name] += more


@contextmanager
def watched() -> Iterator[SqliteWork]:
    """Watch the local servers that are opened inside."""
    work = SqliteWork()
    connect, read = Storage._connect, StoredTable._read

    def connected(storage: Storage) -> sqlite3.Connection:
        connection = connect(storage)
        work.watch(connection)
        return connection

    def counted(table: StoredTable, text: str, values: list[Any]) -> sqlite3.Cursor:
        return work.counting(read(table, text, values))

    with (
        patch.object(Storage, "_connect", connected),
        patch.object(StoredTable, "_read", counted),
    ):
        yield work
