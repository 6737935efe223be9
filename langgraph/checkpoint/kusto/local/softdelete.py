"""Finding the records a soft delete means.

Lives here: checking the predicate of `.delete table T records`, and the catalog in which its rows
carry their record numbers. Does not live here: the command (`commands.data`).

soft-delete-command.md: at least one `where`; only `extend`, `where` and `project`; no other table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import bad_request
from .kql import Column, FunctionDef, ViewDef
from .schema import Database, Table
from .tables import StoredTable
from .text import Token, tokens

# Names that begin and end with two underscores are reserved (entity-names.md).
RECORD = "__record__"
_OPERATORS = ("where", "filter", "extend", "project")
_DEEPER = "([{"
_SHALLOWER = ")]}"


def record_query(table: str, predicate: str) -> str:
    """Return the query that answers the numbers of the records a predicate means.

    Raises:
        ServiceError: the predicate is not allowed.
    """
    found = stages(predicate)
    source = [token.value for token in found[0] if token.text not in ("[", "]")]
    if source != [table]:
        raise bad_request(
            f"The predicate of a soft delete must begin with the table '{table}' itself."
        )
    names = [stage[0].text if stage else "" for stage in found[1:]]
    strange = [name for name in names if name not in _OPERATORS]
    if strange or not {"where", "filter"} & set(names):
        raise bad_request(
            "The predicate of a soft delete must hold at least one 'where' and only the operators "
            "'extend', 'where' and 'project'" + (f", not '{strange[0]}'." if strange else ".")
        )
    pieces = [predicate[: found[0][-1].end]]
    for stage in found[1:]:
        text = predicate[stage[0].start : stage[-1].end]
        # A project keeps the record's number, whatever else it leaves out.
        pieces.append(f"{text}, {RECORD}" if stage[0].text == "project" else text)
    return " | ".join(pieces) + f" | project {RECORD}"


def stages(predicate: str) -> list[list[Token]]:
    """Return the tokens of a pipeline, split at its pipes."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens(predicate):
        if token.kind == "sign" and token.text in _DEEPER:
            depth += 1
        elif token.kind == "sign" and token.text in _SHALLOWER:
            depth -= 1
        if token.text == "|" and depth == 0:
            found.append([])
        elif token.text == ";" and depth == 0:
            raise bad_request("The predicate of a soft delete is one statement without ';'.")
        else:
            found[-1].append(token)
    if not found[0]:
        raise bad_request("The predicate of a soft delete is empty.")
    return found


class RecordCatalog:
    """A catalog with one table, whose rows carry their record numbers."""

    def __init__(self, database: Database, table: Table, reader: sqlite3.Connection) -> None:
        self.database = database.name
        self._cursors: list[sqlite3.Cursor] = []
        self._source = _RecordSource(table, reader, self._cursors)

    def __enter__(self) -> RecordCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        for cursor in self._cursors:
            cursor.close()

    def table(self, name: str) -> _RecordSource | None:
        return self._source if name == self._source.name else None

    def function(self, name: str) -> FunctionDef | None:
        return None

    def view(self, name: str) -> ViewDef | None:
        return None


class _RecordSource:
    """A stored table with one more column: the record number."""

    def __init__(
        self, table: Table, reader: sqlite3.Connection, cursors: list[sqlite3.Cursor]
    ) -> None:
        self._stored = StoredTable(table, reader, with_record_numbers=True, cursors=cursors)
        self.name = table.name
        self.columns = (*self._stored.columns, Column(RECORD, "long"))

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[tuple[Any, ...]]:
        return self._stored.scan(equals, columns, with_ingestion_time)
