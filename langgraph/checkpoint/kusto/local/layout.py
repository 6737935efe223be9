"""How a database's tables lie in SQLite.

Lives here: the statements that turn one version of a database into the next: tables, columns,
indexes. Does not live here: running them (`catalog`), and reading and writing rows (`tables`).

Each Kusto table is a SQLite table `t<id>` with a row number, the ingestion time and one untyped
column `c<id>` per Kusto column; untyped, because SQLite must give back exactly what it was given.

Indexes follow what the schema says about access: a string column with the `Identifier` encoding has
an index of its own, and the columns of the row order policy have one together. A view of the newest
row of each group has one of the group's columns and the one that is maximised.

A table with a `past` has two more beside it: `t<id>_past` with the same columns, and `t<id>_gone`;
see `expiry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .schema import Database, Table, View
from .views import newest_columns


def statements(before: Database | None, after: Database | None) -> list[str]:
    """Return the SQL that brings the file from one version of a database to the next."""
    old = {table.id: table for table in before.tables.values()} if before else {}
    new = {table.id: table for table in after.tables.values()} if after else {}
    dropped = [table for id_, table in old.items() if id_ not in new]
    result = [f"DROP TABLE {name}" for table in dropped for name in _stores(table)]
    for id_, table in new.items():
        result += _table_statements(old.get(id_), table)
        result += _index_statements(
            {} if before is None or id_ not in old else _all_indexes(before, old[id_]),
            {} if after is None else _all_indexes(after, table),
            table,
        )
    return result


def _all_indexes(database: Database, table: Table) -> dict[str, tuple[str, ...]]:
    """Return the indexes of a table, with those that answer its views."""
    return {**indexes(table), **view_indexes(table, database.views.values())}


def view_indexes(table: Table, views: Iterable[View]) -> dict[str, tuple[str, ...]]:
    """Return the indexes that answer the views of a table: name and physical columns."""
    return _answering(table, tuple(view.query for view in views if view.source == table.name))


@lru_cache(maxsize=512)
def _answering(table: Table, queries: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found = {}
    for query in queries:
        columns = [table.column(name) for name in newest_columns(query)]
        if columns and all(column is not None and column.type == "string" for column in columns):
            names = (*(column.physical for column in columns if column is not None), "ingested")
            found[f"{table.physical}_{'_'.join(names)}"] = names
    return found


def indexes(table: Table) -> dict[str, tuple[str, ...]]:
    """Return the indexes a table should have for itself: name and physical columns."""
    wanted: list[tuple[str, ...]] = []
    ordered = [table.column(key["ColumnName"]) for key in table.policies.get("roworder") or ()]
    if ordered and ordered[0] is not None and ordered[0].type == "string":
        wanted.append(tuple(column.physical for column in ordered if column is not None))
    leading = {columns[0] for columns in wanted}
    for column in table.columns:
        # An index that starts with the same column serves the same lookups.
        searched = column.type == "string" and column.encoding == "Identifier"
        if searched and column.physical not in leading:
            wanted.append((column.physical,))
    return {f"{table.physical}_{'_'.join(columns)}": columns for columns in wanted}


def _table_statements(before: Table | None, after: Table) -> list[str]:
    result: list[str] = []
    if before is None:
        result.append(
            f"CREATE TABLE {after.physical} (rid INTEGER PRIMARY KEY, ingested INTEGER NOT NULL"
            + "".join(f", {c.physical}{_default(c.type)}" for c in after.columns)
            + ")"
        )
    else:
        known = {column.id for column in before.columns}
        # A dropped column stays in the file, unread: rewriting the table would gain nothing.
        result += [
            f"ALTER TABLE {store} ADD COLUMN {c.physical}{_default(c.type)}"
            for store in _stores(before)[:2]
            for c in after.columns
            if c.id not in known
        ]
    if after.past and not (before is not None and before.past):
        result += [
            f"CREATE TABLE {after.kept} AS SELECT * FROM {after.physical} WHERE 0",
            f"CREATE TABLE {after.gone} (view INTEGER, rid INTEGER, ingested INTEGER, "
            "PRIMARY KEY (view, rid, ingested)) WITHOUT ROWID",
        ]
    return result


def _index_statements(
    have: dict[str, tuple[str, ...]], want: dict[str, tuple[str, ...]], table: Table
) -> list[str]:
    # A file may be older than an index that views have by now.
    return [f"DROP INDEX IF EXISTS {name}" for name in have if name not in want] + [
        f"CREATE INDEX IF NOT EXISTS {name} ON {table.physical} ({', '.join(columns)})"
        for name, columns in want.items()
        if name not in have
    ]


def _stores(table: Table) -> list[str]:
    """Return the SQLite tables of a table: its rows, the rows it lost, and a list of rows."""
    return [table.physical, table.kept, table.gone] if table.past else [table.physical]


def _default(type_: str) -> str:
    # A string is never null in Kusto: rows older than the column read as empty text.
    return " DEFAULT ''" if type_ == "string" else ""
