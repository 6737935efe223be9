"""Stored functions: `.create`, `.alter`, `.create-or-alter`, `.drop`, `.show`.

Lives here: reading and storing their text. Does not live here: binding it, which the KQL engine
does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..cursor import Cursor, as_bool
from ..errors import entity_exists, entity_not_found, query_error
from ..kql import FunctionDef, KqlError, check_function
from ..roles import Access
from ..schema import Database, Function
from ..tables import QueryCatalog
from .base import Command, CommandContext, CommandResult, Step, columns, command, showing

FUNCTION = columns("Name:string Parameters:string Body:string Folder:string DocString:string")
_PROPERTIES = {
    "docstring": "docstring",
    "folder": "folder",
    "skipvalidation": "skipvalidation",
    "view": "view",
}


@command("create", "function")
def create_function(cursor: Cursor, context: CommandContext) -> Command:
    """`.create function [ifnotexists] [with (...)] F(...) { ... }`."""
    if_not_exists = bool(cursor.accept("ifnotexists"))
    function, validate = _definition(cursor)

    def step(database: Database) -> Database:
        if function.name in database.functions:
            if if_not_exists:
                return database
            raise entity_exists("Function", function.name)
        return database.with_function(function)

    return Command(
        "FunctionCreate", Access.CREATE, lambda: _store(context, function, validate, step)
    )


@command("create-or-alter", "function")
def create_or_alter_function(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-or-alter function [with (...)] F(...) { ... }`."""
    function, validate = _definition(cursor)
    exists = function.name in context.current.functions
    return Command(
        "FunctionCreateOrAlter",
        Access.FUNCTION_ADMIN if exists else Access.CREATE,
        lambda: _store(context, function, validate, lambda db: db.with_function(function)),
    )


@command("alter", "function")
def alter_function(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter function [with (...)] F(...) { ... }`, or its docstring or folder."""
    if not cursor.at("with"):
        name = cursor.name()
        if cursor.at("docstring", "folder"):
            field = cursor.take().text
            text = cursor.string()
            return _field(context, name, field, text)
        function, validate = _signature(cursor, name, {})
    else:
        function, validate = _definition(cursor)

    def step(database: Database) -> Database:
        function_named(database, function.name)
        return database.with_function(function)

    return Command(
        "FunctionAlter", Access.FUNCTION_ADMIN, lambda: _store(context, function, validate, step)
    )


@command("drop", "function")
def drop_function(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop function F [ifexists]`."""
    names = [cursor.name()]
    if_exists = bool(cursor.accept("ifexists"))
    return Command("FunctionDrop", Access.FUNCTION_ADMIN, lambda: _drop(context, names, if_exists))


@command("drop", "functions")
def drop_functions(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop functions (F, G) [ifexists]`."""
    names = cursor.names()
    if_exists = bool(cursor.accept("ifexists"))
    return Command("FunctionsDrop", Access.FUNCTION_ADMIN, lambda: _drop(context, names, if_exists))


@command("show", "functions")
def show_functions(cursor: Cursor, context: CommandContext) -> Command:
    """`.show functions`."""

    def run() -> CommandResult:
        found = context.current.functions.values()
        return CommandResult(FUNCTION, [_row(function) for function in found])

    return showing("FunctionsShow", run)


@command("show", "function")
def show_function(cursor: Cursor, context: CommandContext) -> Command:
    """`.show function F`."""
    name = cursor.name()

    def run() -> CommandResult:
        return CommandResult(FUNCTION, [_row(function_named(context.current, name))])

    return showing("FunctionShow", run)


def function_named(database: Database, name: str) -> Function:
    """Return a stored function.

    Raises:
        ServiceError: there is none of that name.
    """
    found = database.functions.get(name)
    if found is None:
        raise entity_not_found("Function", name)
    return found


def _definition(cursor: Cursor) -> tuple[Function, bool]:
    properties = cursor.properties(_PROPERTIES)
    return _signature(cursor, cursor.name(), properties)


def _signature(cursor: Cursor, name: str, properties: dict[str, Any]) -> tuple[Function, bool]:
    function = Function(
        name=name,
        parameters=cursor.block("("),
        body=cursor.block("{"),
        folder=str(properties.get("folder", "")),
        docstring=str(properties.get("docstring", "")),
    )
    return function, not as_bool(properties.get("skipvalidation", False))


def _store(
    context: CommandContext, function: Function, validate: bool, step: Step
) -> CommandResult:
    if validate:
        _check(context, function)
    after = context.change(step)
    return CommandResult(FUNCTION, [_row(after.functions[function.name])])


def _check(context: CommandContext, function: Function) -> None:
    """Bind the function against the database as it is."""
    definition = FunctionDef(
        function.name, function.parameters, function.body, function.folder, function.docstring
    )
    with (
        context.storage.reading() as reader,
        QueryCatalog(context.current, reader) as catalog,
    ):
        try:
            check_function(definition, catalog)
        except KqlError as error:
            raise query_error(error.kind, error.code, error.message) from error


def _field(context: CommandContext, name: str, field: str, text: str) -> Command:
    def step(database: Database) -> Database:
        changed = replace(function_named(database, name), **{field: text})
        return database.with_function(changed)

    def run() -> CommandResult:
        after = context.change(step)
        return CommandResult(FUNCTION, [_row(after.functions[name])])

    return Command(f"Function{field.capitalize()}Alter", Access.FUNCTION_ADMIN, run)


def _drop(context: CommandContext, names: list[str], if_exists: bool) -> CommandResult:
    def step(database: Database) -> Database:
        for name in names:
            if name in database.functions or not if_exists:
                function_named(database, name)
                database = database.without_function(name)
        return database

    after = context.change(step)
    return CommandResult(FUNCTION, [_row(function) for function in after.functions.values()])


def _row(function: Function) -> tuple[Any, ...]:
    return (
        function.name,
        function.parameters,
        function.body,
        function.folder,
        function.docstring,
    )
