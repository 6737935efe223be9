"""Commands that write or delete rows: `.ingest inline`, `.set`, `.append`, `.delete ... records`.

Lives here: rows by command. Does not live here: streaming ingestion (`cluster`), and what ingestion
makes of values (`ingest`, `coercion`).
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

from .. import coercion, formats, ingest, mappings
from ..cursor import Cursor, as_bool
from ..errors import bad_request, entity_exists, query_error
from ..kql import KqlError, ResultTable, run_query
from ..roles import Access
from ..schema import Database, IngestionMapping, Table
from ..softdelete import RecordCatalog, record_query
from .base import (
    Command,
    CommandContext,
    CommandResult,
    as_operation,
    columns,
    command,
    table_named,
    table_reference,
)
from .mappings import invalid_mapping
from .policies import read_policy, table_target
from .tables import check_free, new_table

EXTENT = columns("ExtentId:guid")
# ingest-inline.md: the one row of an answer when no data shard was made.
NO_EXTENT = str(uuid.UUID(int=0))
EXTENTS = columns(
    "ExtentId:guid OriginalSize:long ExtentSize:long ColumnSize:long IndexSize:long RowCount:long"
)
REPLACED = columns("OriginalExtentId:string ResultExtentId:string Details:string")
MATCHED = columns("ExtentId:guid RecordsMatchPredicate:long")
_INGEST_PROPERTIES: dict[str, str] = {
    name.lower(): name
    for name in (
        "format",
        "ingestionMapping",
        "ingestionMappingReference",
        "ingestionMappingType",
        "ignoreFirstRecord",
        "creationTime",
        "folder",
        "docstring",
        "tags",
        "persistDetails",
    )
}
_SET_PROPERTIES: dict[str, str] = {
    name.lower(): name
    for name in (
        "folder",
        "docstring",
        "distributed",
        "extend_schema",
        "recreate_schema",
        "persistDetails",
        "creationTime",
        "tags",
    )
}


@command("ingest", "inline", "into", "table")
def ingest_inline(cursor: Cursor, context: CommandContext) -> Command:
    """`.ingest inline into table T [with (...)] <| data`, or `[ data ]`."""
    name = table_reference(cursor, context)
    data = cursor.block("[")[1:-1] if cursor.at("[") else None
    properties = cursor.properties(_INGEST_PROPERTIES)
    if data is None:
        # One line break after the sign belongs to the command, not to the data.
        data = cursor.rest().lstrip(" \t").removeprefix("\r").removeprefix("\n")
    body = data.encode()
    return Command(
        "DataIngestInline",
        Access.INGEST,
        lambda: _ingest(context, table_named(context.current, name), properties, body),
    )


@command("set")
def set_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.set [async] T [with (...)] <| query`: T must not exist."""
    return _from_query(cursor, context, "set")


@command("append")
def append(cursor: Cursor, context: CommandContext) -> Command:
    """`.append [async] T [with (...)] <| query`: T must exist."""
    return _from_query(cursor, context, "append")


@command("set-or-append")
def set_or_append(cursor: Cursor, context: CommandContext) -> Command:
    """`.set-or-append [async] T [with (...)] <| query`."""
    return _from_query(cursor, context, "set-or-append")


@command("set-or-replace")
def set_or_replace(cursor: Cursor, context: CommandContext) -> Command:
    """`.set-or-replace [async] T [with (...)] <| query`."""
    return _from_query(cursor, context, "set-or-replace")


@command("delete", "table")
def delete_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.delete table T records [with (whatif=true)] <| T | where ...`, or a policy."""
    target = table_target(cursor, context)
    if cursor.at("policy"):
        return read_policy(cursor, context, "delete", target)
    return _delete_records(cursor, context, target.names[0], is_async=False)


@command("delete", "async", "table")
def delete_table_async(cursor: Cursor, context: CommandContext) -> Command:
    """`.delete async table T records ...`."""
    return _delete_records(cursor, context, table_reference(cursor, context), is_async=True)


def _ingest(
    context: CommandContext, table: Table, properties: dict[str, Any], body: bytes
) -> CommandResult:
    format_ = ingest.format_named(str(properties.get("format", "csv")))
    mapping = _mapping(context.current, table, format_, properties)
    try:
        rows = ingest.rows_of(table, mapping, format_, body)
    except ingest.IngestError as error:
        raise ingest.refused(error) from error
    if as_bool(properties.get("ignoreFirstRecord", False)):
        rows = rows[1:]
    if not rows:
        return CommandResult(EXTENT, [(NO_EXTENT,)])
    context.append(table, rows).result()
    return CommandResult(EXTENT, [(str(uuid.uuid4()),)])


def _mapping(
    database: Database, table: Table, format_: str, properties: dict[str, Any]
) -> IngestionMapping | None:
    inline = properties.get("ingestionMapping")
    named = properties.get("ingestionMappingReference")
    if inline is not None and named is not None:
        raise bad_request(
            "ingestionMapping and ingestionMappingReference exclude each other.",
            code="BadRequest_DuplicateMapping",
        )
    if inline is None:
        return ingest.mapping_named(database, table, format_, named)
    kind = "csv" if format_ in formats.DELIMITERS else "json"
    try:
        mappings.parse(kind, inline)
    except mappings.MappingError as error:
        raise invalid_mapping(error) from error
    return IngestionMapping("inline", kind, inline, 0)


def _from_query(cursor: Cursor, context: CommandContext, verb: str) -> Command:
    is_async = bool(cursor.accept("async"))
    name = cursor.name()
    properties = cursor.properties(_SET_PROPERTIES)
    query = cursor.rest()
    kind = "Table" + "".join(part.capitalize() for part in verb.split("-"))
    exists = name in context.current.tables

    def run() -> CommandResult:
        result = context.query(query)
        rows = _fill(context, verb, name, result, properties)
        return CommandResult(EXTENTS, [(str(uuid.uuid4()), 0, 0, 0, 0, rows)] if rows else [])

    access = Access.INGEST if exists else Access.CREATE
    return Command(kind, access, as_operation(run, context, kind) if is_async else run)


def _fill(
    context: CommandContext,
    verb: str,
    name: str,
    result: ResultTable,
    properties: dict[str, Any],
) -> int:
    """Write a query's result into a table, created when it is missing and may be created."""

    def step(database: Database) -> Database:
        if name in database.tables:
            if verb == "set":
                raise entity_exists("Table", name)
            return database
        if verb == "append":
            table_named(database, name)
        check_free(database, name)
        fields = {key: str(properties[key]) for key in ("folder", "docstring") if key in properties}
        schema = [(column.name, column.type) for column in result.columns]
        return database.with_table(new_table(context, name, schema, **fields))

    table = context.change(step).tables[name]
    have = [column.type for column in table.columns]
    if [column.type for column in result.columns] != have:
        raise bad_request(
            f"Query schema does not match table schema: the query gives "
            f"({', '.join(c.type for c in result.columns)}), '{name}' has ({', '.join(have)})."
        )
    convert = [coercion.from_engine(column) for column in table.columns]
    rows = [tuple(c(v) for c, v in zip(convert, row, strict=True)) for row in result.rows]
    insert = ingest.insert_job(table, rows, context.catalog.clock)

    def job(writer: sqlite3.Connection) -> int:
        if verb == "set-or-replace":
            writer.execute(f"DELETE FROM {table.physical}")
        return insert(writer)

    return context.storage.write(job)


def _delete_records(
    cursor: Cursor, context: CommandContext, name: str, *, is_async: bool
) -> Command:
    cursor.expect("records")
    properties = cursor.properties({"whatif": "whatif"})
    what_if = as_bool(properties.get("whatif", False))
    predicate = record_query(name, cursor.rest())

    def run() -> CommandResult:
        table = table_named(context.current, name)
        found = _matching(context, table, predicate)
        if what_if:
            return CommandResult(MATCHED, [(str(uuid.uuid4()), len(found))] if found else [])
        context.storage.write(_removal(table, found))
        ids = (str(uuid.uuid4()), str(uuid.uuid4()), f"{len(found)} records deleted")
        return CommandResult(REPLACED, [ids] if found else [])

    kind = "TableDeleteRecords"
    return Command(
        kind, Access.DATABASE_ADMIN, as_operation(run, context, kind) if is_async else run
    )


def _matching(context: CommandContext, table: Table, predicate: str) -> list[int]:
    with (
        context.storage.reading() as reader,
        RecordCatalog(context.current, table, reader) as catalog,
    ):
        try:
            results = run_query(predicate, {}, catalog, now_ticks=context.now())
        except KqlError as error:
            raise query_error(error.kind, error.code, error.message) from error
    return [row[0] for row in results[0].rows]


def _removal(table: Table, found: list[int]) -> Callable[[sqlite3.Connection], None]:
    def job(writer: sqlite3.Connection) -> None:
        writer.executemany(f"DELETE FROM {table.physical} WHERE rid = ?", [(rid,) for rid in found])

    return job
