"""Showing tables and views.

Lives here: `.show tables`, `.show table T ...`, `.show materialized-view V ...`. Does not live
here: databases (`show_database`), the cluster (`show_cluster`), policies, mappings, functions and
principals, whose own files show them.

Column names and types are those of Microsoft's command schemas
(`Kusto.Language.Generators/EngineCommandInfos.cs`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from .. import policies
from ..cursor import Cursor
from ..kql import ResultTable
from ..kql.types import CLR_TYPES
from ..schema import ColumnSchema, Database, Table, View, quoted_name
from .base import (
    Command,
    CommandContext,
    CommandResult,
    columns,
    command,
    showing,
    table_named,
    table_reference,
    view_named,
)
from .mappings import Owner, read_mapping
from .policies import Target, read_policy
from .security import principal_roles, show_principals
from .tables import TABLE_LIST, TABLE_SCHEMA, list_row, schema_row
from .views import show_view, view_failures

_SIZES = (
    "TotalExtents:long TotalExtentSize:real TotalOriginalSize:real TotalRowCount:long "
    "HotExtents:long HotExtentSize:real HotOriginalSize:real HotRowCount:long "
    "AuthorizedPrincipals:string RetentionPolicy:string CachingPolicy:string ShardingPolicy:string "
    "MergePolicy:string "
)
TABLE_DETAILS = columns(
    "TableName:string DatabaseName:string Folder:string DocString:string "
    + _SIZES
    + "StreamingIngestionPolicy:string IngestionBatchingPolicy:string "
    "MinExtentsCreationTime:datetime MaxExtentsCreationTime:datetime RowOrderPolicy:string "
    "TableId:guid"
)
VIEW_DETAILS = columns(
    "MaterializedViewName:string DatabaseName:string Folder:string DocString:string "
    + _SIZES
    + "MinExtentsCreationTime:datetime MaxExtentsCreationTime:datetime"
)
ATTRIBUTES = columns(
    "AttributeName:string AttributeType:string ExtentSize:long CompressionRatio:real "
    "IndexSize:long IndexSizePercent:real OriginalSize:long AttributeId:guid "
    "SharedIndexSize:long StorageEngineVersion:string"
)


@command("show", "tables")
def show_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.show tables [(A, B)] [details]`."""
    names = cursor.names() if cursor.at("(") else None
    details = bool(cursor.accept("details"))

    def run() -> CommandResult:
        database = context.current
        tables = _selected(database, names)
        if details:
            return CommandResult(TABLE_DETAILS, [_details(context, database, t) for t in tables])
        return CommandResult(TABLE_LIST, [list_row(database, table) for table in tables])

    return showing("TablesDetailsShow" if details else "TablesShow", run)


@command("show", "table")
def show_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.show table T [details | cslschema | schema as json | policy | ingestion | principals]`."""
    name = table_reference(cursor, context)
    if cursor.at("policy"):
        return read_policy(cursor, context, "show", Target("table", (name,)))
    if cursor.at("ingestion"):
        return read_mapping(cursor, context, "show", Owner(name))
    if cursor.accept("principals"):
        return show_principals(context, name)
    if cursor.accept("principal"):
        cursor.expect("roles")
        return principal_roles(context)
    if cursor.at("extents", "data", "shard-groups", "purge"):
        raise cursor.error("The local server has no extents to show")
    return _table_command(cursor, context, name)


@command("show", "materialized-view")
def show_materialized_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.show materialized-view V [details | statistics | failures | schema | policy]`."""
    name = cursor.name()
    if cursor.at("policy"):
        return read_policy(cursor, context, "show", Target("materialized-view", (name,)))
    if cursor.accept("details"):
        return showing("MaterializedViewDetailsShow", lambda: _view_details(context, name))
    if cursor.accept("failures"):
        return showing("MaterializedViewFailuresShow", lambda: view_failures(context, name))
    if cursor.accept("cslschema"):
        return showing(
            "MaterializedViewSchemaShow", lambda: _view_schema(context, name, csl_schema)
        )
    if cursor.accept("schema"):
        cursor.expect("as")
        cursor.expect("json")
        return showing(
            "MaterializedViewSchemaShow", lambda: _view_schema(context, name, json_schema)
        )
    cursor.accept("statistics")
    return showing("MaterializedViewShow", lambda: show_view(context, name))


def csl_schema(table: Table) -> str:
    """Return a schema as table commands take it."""
    return table.csl


def json_schema(table: Table) -> str:
    """Return a schema as `.show table T schema as json` writes it."""
    return orjson.dumps(table_json(table)).decode()


def table_json(table: Table) -> dict[str, Any]:
    """Return a table as the JSON schemas describe it."""
    return {
        "Name": table.name,
        "Folder": table.folder,
        "DocString": table.docstring,
        "OrderedColumns": [_column_json(column) for column in table.columns],
    }


def _column_json(column: ColumnSchema) -> dict[str, Any]:
    described = {
        "Name": column.name,
        "Type": CLR_TYPES[column.type],
        "CslType": column.type,
    }
    return {**described, "DocString": column.docstring} if column.docstring else described


def view_table(context: CommandContext, view: View) -> Table:
    """Return the table a view looks like: its output columns."""
    result: ResultTable = context.query(f"{quoted_name(view.name)} | take 0")
    table = Table(
        id=0,
        name=view.name,
        columns=(),
        next_column=1,
        folder=view.folder,
        docstring=view.docstring,
    )
    return table.with_new_columns([(column.name, column.type) for column in result.columns])


def _table_command(cursor: Cursor, context: CommandContext, name: str) -> Command:
    def of_table(kind: str, row: Callable[[Database, Table], tuple[Any, ...]]) -> Command:
        def run() -> CommandResult:
            database = context.current
            return CommandResult(TABLE_SCHEMA, [row(database, table_named(database, name))])

        return showing(kind, run)

    if cursor.accept("details"):
        return showing(
            "TableDetailsShow",
            lambda: CommandResult(
                TABLE_DETAILS,
                [_details(context, context.current, table_named(context.current, name))],
            ),
        )
    if cursor.accept("cslschema"):
        return of_table("TableCslSchemaShow", schema_row)
    if cursor.accept("schema"):
        cursor.expect("as")
        cursor.expect("json")
        return of_table(
            "TableSchemaShowAsJson",
            lambda db, t: (t.name, json_schema(t), db.name, t.folder, t.docstring),
        )
    return showing("TableShow", lambda: _attributes(table_named(context.current, name)))


def _selected(database: Database, names: list[str] | None) -> list[Table]:
    if names is None:
        return list(database.tables.values())
    return [table_named(database, name) for name in names]


def _details(context: CommandContext, database: Database, table: Table) -> tuple[Any, ...]:
    sizes = _sizes(context, table, database)
    return (
        table.name,
        database.name,
        table.folder,
        table.docstring,
        *sizes[:13],
        _policy(policies.effective(database, table, "streamingingestion")),
        _policy(policies.effective(database, table, "ingestionbatching")),
        *sizes[13:],
        _policy(table.policies.get("roworder")),
        f"00000000-0000-0000-0000-{table.id:012x}",
    )


def _sizes(context: CommandContext, table: Table, database: Database) -> tuple[Any, ...]:
    """Return the extent columns: the local server counts one hot extent per table that has rows."""
    with context.storage.reading() as reader:
        count, first, last = reader.execute(
            f"SELECT count(*), min(ingested), max(ingested) FROM {table.physical}"
        ).fetchone()
    extents = int(count > 0)
    counted = (extents, 0.0, 0.0, count)
    return (
        *counted,
        *counted,
        "[]",
        _policy(policies.effective(database, table, "retention")),
        _policy(policies.effective(database, table, "caching")),
        "null",
        "null",
        first,
        last,
    )


def _view_details(context: CommandContext, name: str) -> CommandResult:
    database = context.current
    view = view_named(database, name)
    count = context.query(f"{quoted_name(name)} | count").rows[0][0]
    counted = (int(count > 0), 0.0, 0.0, count)
    effective = [
        _policy(view.policies.get(policy) or database.policies.get(policy))
        for policy in ("retention", "caching")
    ]
    head = (name, database.name, view.folder, view.docstring)
    when = (view.created, view.created) if count else (None, None)
    row = (*head, *counted, *counted, "[]", *effective, "null", "null", *when)
    return CommandResult(VIEW_DETAILS, [row])


def _view_schema(
    context: CommandContext, name: str, write: Callable[[Table], str]
) -> CommandResult:
    database = context.current
    view = view_named(database, name)
    schema = write(view_table(context, view))
    return CommandResult(TABLE_SCHEMA, [(name, schema, database.name, view.folder, view.docstring)])


def _attributes(table: Table) -> CommandResult:
    rows = [
        (
            column.name,
            "StringBuffer" if column.type == "string" else column.type,
            0,
            0.0,
            0,
            0.0,
            0,
            f"00000000-0000-0000-{table.id:04x}-{column.id:012x}",
            0,
            "V3",
        )
        for column in table.columns
    ]
    return CommandResult(ATTRIBUTES, list(rows))


def _policy(value: Any) -> str:
    return orjson.dumps(value).decode()
