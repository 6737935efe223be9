"""Databases: creating one, and showing databases and their schemas.

Lives here: `.create database`, `.show databases`, `.show database [D] ...`. Does not live here:
single tables and views (`show`).
"""

from __future__ import annotations

from typing import Any

import orjson

from ..cursor import Cursor
from ..kql.types import CLR_TYPES
from ..roles import Access
from ..schema import Database, Table
from .base import (
    Command,
    CommandContext,
    CommandResult,
    check_current,
    columns,
    command,
    optional_database,
    showing,
)
from .mappings import Owner, read_mapping
from .policies import Target, read_policy
from .security import principal_roles, show_principals
from .show import table_json, view_table
from .tables import TABLE_SCHEMA, schema_row

DATABASE = columns(
    "DatabaseName:string PersistentStorage:string Version:string IsCurrent:bool "
    "DatabaseAccessMode:string PrettyName:string ReservedSlot1:bool DatabaseId:guid "
    "InTransitionTo:string"
)
DATABASE_SCHEMA = columns(
    "DatabaseName:string TableName:string ColumnName:string ColumnType:string IsDefaultTable:bool "
    "IsDefaultColumn:bool PrettyName:string Version:string Folder:string DocString:string"
)
CREATED = columns(
    "DatabaseName:string PersistentPath:string Created:string StoresMetadata:bool StoresData:bool"
)
_PATH = "a path as a string literal"
_AFTER_NAME = ("cslschema", "schema", "policy", "ingestion", "principals", "principal", "details")


@command("create", "database")
def create_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.create database D [volatile | persist (path, path)] [ifnotexists]`, or a mapping of D.

    Every database lives in the server's one file; the paths of `persist` are read and not used.
    """
    name = cursor.name()
    if cursor.at("ingestion"):
        check_current(name, context)
        return read_mapping(cursor, context, "create", Owner())
    path = ""
    if cursor.accept("persist"):
        cursor.expect("(")
        path = cursor.single_string(_PATH)
        cursor.expect(",")
        cursor.single_string(_PATH)
        cursor.expect(")")
    else:
        cursor.accept("volatile")
    if_not_exists = bool(cursor.accept("ifnotexists"))

    def run() -> CommandResult:
        known = {database.name.casefold() for database in context.catalog.databases()}
        if name.casefold() not in known or not if_not_exists:
            context.catalog.create(name)
        created = context.catalog.database(name).name
        return CommandResult(CREATED, [(created, path, "True", True, True)])

    return Command("DatabaseCreate", Access.DATABASE_ADMIN, run)


@command("create-or-alter", "database")
def create_or_alter_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-or-alter database D ingestion ... mapping`, the only form there is."""
    check_current(cursor.name(), context)
    return read_mapping(cursor, context, "create-or-alter", Owner())


@command("show", "databases")
def show_databases(cursor: Cursor, context: CommandContext) -> Command:
    """`.show databases`."""

    def run() -> CommandResult:
        found = context.catalog.databases()
        return CommandResult(DATABASE, [_row(context, database) for database in found])

    return showing("DatabasesShow", run, Access.SHOW_DATABASES)


@command("show", "database")
def show_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.show database [D] [schema [as json] | cslschema | policy | ingestion | principals]`."""
    optional_database(cursor, context, *_AFTER_NAME)
    if cursor.at("policy"):
        return read_policy(cursor, context, "show", Target("database", (context.database,)))
    if cursor.at("ingestion"):
        return read_mapping(cursor, context, "show", Owner())
    if cursor.accept("principals"):
        return show_principals(context, "")
    if cursor.accept("principal"):
        cursor.expect("roles")
        return principal_roles(context)
    if cursor.accept("cslschema"):
        return showing("DatabaseCslSchemaShow", lambda: _csl(context))
    if cursor.accept("schema"):
        return _read_schema(cursor, context)
    return showing(
        "DatabaseShow", lambda: CommandResult(DATABASE, [_row(context, context.current)])
    )


def _read_schema(cursor: Cursor, context: CommandContext) -> Command:
    if not cursor.accept("as"):
        return showing("DatabaseSchemaShow", lambda: _schema(context))
    cursor.expect("json")
    return showing("DatabaseSchemaShowAsJson", lambda: _schema_json(context))


def _row(context: CommandContext, database: Database) -> tuple[Any, ...]:
    return (
        database.name,
        str(context.storage.path),
        f"v1.{database.version}",
        database.name.casefold() == context.database.casefold(),
        "ReadWrite",
        database.pretty_name,
        False,
        f"00000000-0000-0000-0001-{database.id:012x}",
        "",
    )


def _csl(context: CommandContext) -> CommandResult:
    database = context.current
    return CommandResult(
        TABLE_SCHEMA, [schema_row(database, table) for table in database.tables.values()]
    )


def _schema(context: CommandContext) -> CommandResult:
    database = context.current
    version = f"v1.{database.version}"
    rows: list[tuple[Any, ...]] = [
        (database.name, "", "", "", False, False, database.pretty_name, version, "", "")
    ]
    for table in database.tables.values():
        about = ("", "", table.folder, table.docstring)
        rows.append((database.name, table.name, "", "", False, False, *about))
        for column in table.columns:
            described = (column.name, CLR_TYPES[column.type], False, False)
            rows.append((database.name, table.name, *described, "", "", "", column.docstring))
    return CommandResult(DATABASE_SCHEMA, rows)


def _schema_json(context: CommandContext) -> CommandResult:
    database = context.current
    views = [view_table(context, view) for view in database.views.values()]
    described = {
        "Name": database.name,
        "Tables": {table.name: _table_json(table) for table in database.tables.values()},
        "ExternalTables": {},
        "MaterializedViews": {view.name: _table_json(view) for view in views},
        "EntityGroups": {},
        "MajorVersion": 1,
        "MinorVersion": database.version,
        "Functions": {
            function.name: {
                "Name": function.name,
                "InputParameters": _parameters(function.parameters),
                "Body": function.body,
                "Folder": function.folder,
                "DocString": function.docstring,
                "FunctionKind": "Unknown",
                "OutputColumns": [],
            }
            for function in database.functions.values()
        },
        "DatabaseAccessMode": "ReadWrite",
    }
    text = orjson.dumps({"Plugins": [], "Databases": {database.name: described}}).decode()
    return CommandResult(columns("DatabaseSchema:string"), [(text,)])


def _table_json(table: Table) -> dict[str, Any]:
    return {**table_json(table), "EntityType": "Table"}


def _parameters(text: str) -> list[dict[str, Any]]:
    """Return a function's scalar parameters; a tabular one is given by its name alone."""
    cursor = Cursor(text)
    cursor.expect("(")
    found: list[dict[str, Any]] = []
    while not cursor.at(")"):
        parameter: dict[str, Any] = {"Name": cursor.name()}
        cursor.expect(":")
        if cursor.at("("):
            cursor.block("(")
        else:
            type_ = cursor.scalar_type()
            parameter |= {"Type": CLR_TYPES[type_], "CslType": type_}
        if cursor.accept("="):
            cursor.literal()
        found.append(parameter)
        cursor.accept(",")
    return found
