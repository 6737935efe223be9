"""Table commands: creating, altering, dropping and clearing.

Lives here: tables and their columns, and the words before `policy` and `ingestion` in commands
about a table. Does not live here: policies, mappings, showing, and rows.

Re-running is as Kusto documents it: `.create table` of an existing table succeeds and changes
nothing, `.create-merge table` adds columns at the end and refuses a changed type.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..cursor import Cursor
from ..errors import bad_request, entity_exists, entity_not_found
from ..roles import Access
from ..schema import ColumnSchema, Database, Table
from ..views import disabled_by_new_columns
from .base import (
    Command,
    CommandContext,
    CommandResult,
    columns,
    command,
    table_named,
    table_reference,
)
from .mappings import Owner, read_mapping
from .policies import Target, read_policy

TABLE_SCHEMA = columns(
    "TableName:string Schema:string DatabaseName:string Folder:string DocString:string"
)
TABLE_LIST = columns("TableName:string DatabaseName:string Folder:string DocString:string")
_PROPERTIES = {"folder": "folder", "docstring": "docstring"}
Wanted = list[tuple[str, str]]


@command("create", "table")
def create_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.create table T (...) [with (...)]`, or a mapping of the table."""
    name = table_reference(cursor, context)
    if cursor.at("ingestion"):
        return read_mapping(cursor, context, "create", Owner(name))
    wanted = checked_columns(cursor.columns())
    properties = cursor.properties(_PROPERTIES)
    return Command(
        "TableCreate",
        Access.CREATE,
        lambda: _create(context, {name: wanted}, properties, merge=False, single=True),
    )


@command("create-or-alter", "table")
def create_or_alter_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-or-alter table T ingestion ... mapping`, the only form there is."""
    return read_mapping(cursor, context, "create-or-alter", Owner(table_reference(cursor, context)))


@command("create-merge", "table")
def create_merge_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-merge table T (...) [with (...)]`."""
    name = table_reference(cursor, context)
    wanted = checked_columns(cursor.columns())
    properties = cursor.properties(_PROPERTIES)
    return Command(
        "TableCreate",
        _merge_access(context, [name]),
        lambda: _create(context, {name: wanted}, properties, merge=True, single=True),
    )


@command("create", "tables")
def create_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.create tables A (...), B (...) [with (...)]`."""
    tables = _table_list(cursor)
    properties = cursor.properties(_PROPERTIES)
    return Command(
        "TablesCreate",
        Access.CREATE,
        lambda: _create(context, tables, properties, merge=False, single=False),
    )


@command("create-merge", "tables")
def create_merge_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-merge tables A (...), B (...) [with (...)]`."""
    tables = _table_list(cursor)
    properties = cursor.properties(_PROPERTIES)
    return Command(
        "TablesCreateMerge",
        _merge_access(context, list(tables)),
        lambda: _create(context, tables, properties, merge=True, single=False),
    )


@command("alter", "table")
def alter_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter table T docstring | folder | column-docstrings | (...) | policy | ingestion`."""
    name = table_reference(cursor, context)
    if cursor.at("policy"):
        return read_policy(cursor, context, "alter", Target("table", (name,)))
    if cursor.at("ingestion"):
        return read_mapping(cursor, context, "alter", Owner(name))
    if cursor.at("docstring", "folder"):
        field = cursor.take().text
        text = cursor.string()
        if field == "folder":
            return _alteration("TableFolderAlter", context, name, lambda t: replace(t, folder=text))
        return _alteration(
            "TableDocStringAlter", context, name, lambda t: replace(t, docstring=text)
        )
    if cursor.at("column-docstrings"):
        return _column_docstrings(cursor, context, name, clear=True)
    if cursor.at("("):
        wanted = checked_columns(cursor.columns())
        properties = cursor.properties(_PROPERTIES)
        return _alteration(
            "TableAlter", context, name, lambda t: replace(_reshaped(t, wanted), **properties)
        )
    raise cursor.error("Expected policy, ingestion, docstring, folder, column-docstrings or '('")


@command("alter-merge", "table")
def alter_merge_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter-merge table T (...) | column-docstrings | policy`."""
    name = table_reference(cursor, context)
    if cursor.at("policy"):
        return read_policy(cursor, context, "alter-merge", Target("table", (name,)))
    if cursor.at("column-docstrings"):
        return _column_docstrings(cursor, context, name, clear=False)
    wanted = checked_columns(cursor.columns())
    properties = cursor.properties(_PROPERTIES)
    return _alteration(
        "TableAlterMerge", context, name, lambda t: replace(_merged(t, wanted), **properties)
    )


@command("drop", "table")
def drop_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop table T [ifexists] | columns (...) | ingestion ... mapping "M"`."""
    name = table_reference(cursor, context)
    if cursor.at("ingestion"):
        return read_mapping(cursor, context, "drop", Owner(name))
    if cursor.accept("columns"):
        names = cursor.names()
        return _alteration("TableColumnsDrop", context, name, lambda t: _without(t, names))
    if_exists = bool(cursor.accept("ifexists"))
    return Command("TableDrop", Access.TABLE_ADMIN, lambda: _drop(context, [name], if_exists))


@command("drop", "tables")
def drop_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop tables (A, B) [ifexists]`."""
    names = cursor.names()
    if_exists = bool(cursor.accept("ifexists"))
    return Command("TablesDrop", Access.TABLE_ADMIN, lambda: _drop(context, names, if_exists))


@command("drop", "column")
def drop_column(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop column T.C [ifexists]`."""
    name = cursor.name()
    cursor.expect(".")
    column = cursor.name()
    if_exists = bool(cursor.accept("ifexists"))

    def step(table: Table) -> Table:
        if if_exists and table.column(column) is None:
            return table
        return _without(table, [column])

    return _alteration("ColumnDrop", context, name, step)


@command("clear", "table")
def clear_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.clear table T data`, or `.clear table T cache streamingingestion schema`."""
    name = table_reference(cursor, context)
    if cursor.at("cache"):
        return _clear_cache(cursor, context, name)
    cursor.expect("data")
    return Command("TableClearData", Access.TABLE_ADMIN, lambda: _clear_data(context, name))


@command("clear", "database")
def clear_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.clear database cache streamingingestion schema`."""
    return _clear_cache(cursor, context, None)


def schema_row(database: Database, table: Table) -> tuple[Any, ...]:
    """Return what table commands answer with."""
    return (table.name, table.csl, database.name, table.folder, table.docstring)


def list_row(database: Database, table: Table) -> tuple[Any, ...]:
    """Return what commands about several tables answer with."""
    return (table.name, database.name, table.folder, table.docstring)


def checked_columns(wanted: Wanted) -> Wanted:
    """Return a schema whose column names differ.

    Raises:
        ServiceError: a name stands twice.
    """
    names = [name for name, _ in wanted]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise bad_request(f"The column '{twice[0]}' is declared twice.")
    return wanted


def new_table(
    context: CommandContext, name: str, wanted: Wanted, folder: str = "", docstring: str = ""
) -> Table:
    """Return a table that does not exist yet; call it within a change."""
    table = Table(
        id=context.catalog.new_table_id(),
        name=name,
        columns=(),
        next_column=1,
        folder=folder,
        docstring=docstring,
    )
    return table.with_new_columns(wanted)


def check_free(database: Database, name: str) -> None:
    """Expect that no view has the name: tables and views share their names.

    Raises:
        ServiceError: a view has it.
    """
    if name in database.views:
        raise entity_exists("MaterializedView", name)


def _table_list(cursor: Cursor) -> dict[str, Wanted]:
    tables: dict[str, Wanted] = {}
    while True:
        name = cursor.name()
        tables[name] = checked_columns(cursor.columns())
        if not cursor.accept(","):
            return tables


def _merge_access(context: CommandContext, names: list[str]) -> Access:
    existing = any(name in context.current.tables for name in names)
    return Access.TABLE_ADMIN if existing else Access.CREATE


def _create(
    context: CommandContext,
    wanted: Mapping[str, Wanted],
    properties: dict[str, Any],
    *,
    merge: bool,
    single: bool,
) -> CommandResult:
    def step(database: Database) -> Database:
        for name, schema in wanted.items():
            table = database.tables.get(name)
            if table is None:
                check_free(database, name)
                database = database.with_table(new_table(context, name, schema, **properties))
            elif merge:
                changed = replace(_merged(table, schema), **properties)
                if _differs(table, changed):
                    database = _altered(database, table, changed)
        return database

    after = context.change(step)
    tables = [after.tables[name] for name in wanted]
    if single:
        return CommandResult(TABLE_SCHEMA, [schema_row(after, table) for table in tables])
    return CommandResult(TABLE_LIST, [list_row(after, table) for table in tables])


def _differs(before: Table, after: Table) -> bool:
    return (before.columns, before.folder, before.docstring) != (
        after.columns,
        after.folder,
        after.docstring,
    )


def _merged(table: Table, wanted: Wanted) -> Table:
    """Return a table with the columns it lacks added at the end."""
    new: Wanted = []
    for name, type_ in wanted:
        have = table.column(name)
        if have is None:
            new.append((name, type_))
        elif have.type != type_:
            raise bad_request(
                f"The column '{name}' of table '{table.name}' is of type {have.type}; "
                f"its type cannot be changed to {type_}."
            )
    return table.with_new_columns(new) if new else table


def _reshaped(table: Table, wanted: Wanted) -> Table:
    """Return a table with exactly these columns in this order; the data of others is lost."""
    merged = _merged(table, wanted)
    by_name: dict[str, ColumnSchema] = {column.name: column for column in merged.columns}
    return replace(merged, columns=tuple(by_name[name] for name, _ in wanted))


def _without(table: Table, names: list[str]) -> Table:
    for name in names:
        if table.column(name) is None:
            raise entity_not_found("Column", f"{table.name}.{name}")
    left = tuple(column for column in table.columns if column.name not in names)
    if not left:
        raise bad_request(f"The table '{table.name}' must keep at least one column.")
    return replace(table, columns=left)


def _altered(database: Database, before: Table, after: Table) -> Database:
    """Return a database with a changed table, its views disabled where the change breaks them."""
    database = database.with_table(after)
    if [c.id for c in before.columns] == [c.id for c in after.columns]:
        return database
    for view in database.views.values():
        if view.source == after.name and disabled_by_new_columns(view):
            database = database.with_view(replace(view, enabled=False))
    return database


def _alteration(
    kind: str, context: CommandContext, name: str, change: Callable[[Table], Table]
) -> Command:
    def step(database: Database) -> Database:
        before = table_named(database, name)
        return _altered(database, before, change(before))

    def run() -> CommandResult:
        after = context.change(step)
        return CommandResult(TABLE_SCHEMA, [schema_row(after, after.tables[name])])

    return Command(kind, Access.TABLE_ADMIN, run)


def _column_docstrings(
    cursor: Cursor, context: CommandContext, name: str, *, clear: bool
) -> Command:
    cursor.expect("column-docstrings")
    cursor.expect("(")
    texts: dict[str, str] = {}
    while True:
        column = cursor.name()
        cursor.expect(":")
        texts[column] = cursor.string()
        if not cursor.accept(","):
            break
    cursor.expect(")")

    def change(table: Table) -> Table:
        for column in texts:
            if table.column(column) is None:
                raise entity_not_found("Column", f"{name}.{column}")
        return replace(
            table,
            columns=tuple(
                replace(c, docstring=texts.get(c.name, "" if clear else c.docstring))
                for c in table.columns
            ),
        )

    return _alteration("TableColumnDocStringsAlter", context, name, change)


def _drop(context: CommandContext, names: list[str], if_exists: bool) -> CommandResult:
    def step(database: Database) -> Database:
        for name in names:
            if name not in database.tables and if_exists:
                continue
            table_named(database, name)
            used = [view.name for view in database.views.values() if view.source == name]
            if used:
                raise bad_request(
                    f"The table '{name}' is the source of the materialized view '{used[0]}'; "
                    "drop the view first."
                )
            database = database.without_table(name)
        return database

    after = context.change(step)
    return CommandResult(TABLE_LIST, [list_row(after, table) for table in after.tables.values()])


def _clear_data(context: CommandContext, name: str) -> CommandResult:
    table = table_named(context.current, name)

    def job(writer: sqlite3.Connection) -> None:
        writer.execute(f"DELETE FROM {table.physical}")

    context.storage.write(job)
    return CommandResult(columns("Status:string"), [("Success",)])


def _clear_cache(cursor: Cursor, context: CommandContext, table: str | None) -> Command:
    cursor.expect("cache")
    cursor.expect("streamingingestion")
    cursor.expect("schema")

    def run() -> CommandResult:
        if table is not None:
            table_named(context.current, table)
        context.clear_schema_cache()
        return CommandResult(columns("NodeId:string Status:string"), [("LocalNode", "Succeeded")])

    access = Access.DATABASE_INGESTOR if table is None else Access.INGEST
    return Command("StreamingIngestionSchemaCacheClear", access, run)
