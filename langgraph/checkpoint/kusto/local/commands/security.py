"""Security role commands: `.add`, `.set`, `.drop database D <role>`, and showing principals.

Lives here: recording principals. Does not live here: what a role may do (`roles`): callers of the
local server cannot be told apart, so recorded principals change nothing for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..cursor import Cursor
from ..roles import Access
from ..schema import Database, Principal
from .base import (
    Command,
    CommandContext,
    CommandResult,
    check_current,
    columns,
    command,
    showing,
    table_named,
    table_reference,
)

PRINCIPAL = columns(
    "Role:string PrincipalType:string PrincipalDisplayName:string PrincipalObjectId:string "
    "PrincipalFQN:string Notes:string RoleAssignmentIdentifier:string"
)
PRINCIPAL_ROLES = columns("Scope:string DisplayName:string AADObjectID:string Role:string")
DATABASE_ROLES = {
    "admins": "Admin",
    "users": "User",
    "viewers": "Viewer",
    "unrestrictedviewers": "UnrestrictedViewer",
    "ingestors": "Ingestor",
    "monitors": "Monitor",
}
TABLE_ROLES = {"admins": "Admin", "ingestors": "Ingestor"}
_PRINCIPAL = "a principal such as 'aadapp=<id>;<tenant>'"
_TYPES = {
    "aadapp": "AAD Application",
    "aaduser": "AAD User",
    "aadgroup": "AAD Group",
    "msauser": "MSA User",
}


@command("add", "database")
def add_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.add database D <role> ('principal', ...) [skip-results] ['notes']`."""
    check_current(cursor.name(), context)
    return _read(cursor, context, "add", "")


@command("set", "database")
def set_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.set database D <role> none | ('principal', ...)`."""
    check_current(cursor.name(), context)
    return _read(cursor, context, "set", "")


@command("drop", "database")
def drop_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop database D <role> ('principal', ...)`."""
    check_current(cursor.name(), context)
    return _read(cursor, context, "drop", "")


@command("add", "table")
def add_table(cursor: Cursor, context: CommandContext) -> Command:
    """`.add table T <role> ('principal', ...)`."""
    return _read(cursor, context, "add", table_reference(cursor, context))


@command("set", "table")
def set_table_role(cursor: Cursor, context: CommandContext) -> Command:
    """`.set table T <role> none | ('principal', ...)`."""
    return _read(cursor, context, "set", table_reference(cursor, context))


@command("show", "principal", "roles")
def show_principal_roles(cursor: Cursor, context: CommandContext) -> Command:
    """`.show principal roles`: those of the caller."""
    return principal_roles(context)


def show_principals(context: CommandContext, scope: str) -> Command:
    """Return the command that lists who has a role in the database or a table."""

    def run() -> CommandResult:
        if scope:
            table_named(context.current, scope)
        return CommandResult(PRINCIPAL, _rows(context.current, scope))

    return showing("PrincipalsShow", run)


def principal_roles(context: CommandContext) -> Command:
    """Return the command that lists the caller's own roles."""

    def run() -> CommandResult:
        scope = f"Database {context.current.name}"
        rows = [
            (scope, "anonymous", "", f"Database {role.capitalize()}")
            for role in sorted(context.roles)
        ]
        return CommandResult(PRINCIPAL_ROLES, list(rows))

    return showing("PrincipalRolesShow", run, Access.ANY)


def _read(cursor: Cursor, context: CommandContext, verb: str, scope: str) -> Command:
    roles = TABLE_ROLES if scope else DATABASE_ROLES
    role = roles[cursor.expect(*roles)]
    named: list[str] = []
    if not (verb == "set" and cursor.accept("none")):
        cursor.expect("(")
        named.append(cursor.single_string(_PRINCIPAL))
        while cursor.accept(","):
            named.append(cursor.single_string(_PRINCIPAL))
        cursor.expect(")")
    skip = bool(cursor.accept("skip-results"))
    notes = cursor.string() if cursor.peek().kind == "string" else ""

    def step(database: Database) -> Database:
        if scope:
            table_named(database, scope)
        kept = [
            p
            for p in database.principals
            if (p.scope, p.role) != (scope, role) or (verb != "set" and p.fqn not in named)
        ]
        new = [] if verb == "drop" else [Principal(role, fqn, notes, scope) for fqn in named]
        return replace(database, principals=(*kept, *new))

    def run() -> CommandResult:
        after = context.change(step)
        return CommandResult(PRINCIPAL, [] if skip else _rows(after, scope))

    entity = "Table" if scope else "Database"
    access = Access.TABLE_ADMIN if scope else Access.DATABASE_ADMIN
    return Command(f"{entity}{verb.capitalize()}Principals", access, run)


def _rows(database: Database, scope: str) -> list[tuple[Any, ...]]:
    entity = f"Table {scope}" if scope else f"Database {database.name}"
    return [
        (
            f"{entity} {p.role}",
            _TYPES.get(p.fqn.partition("=")[0].lower(), "Unknown"),
            p.fqn,
            p.fqn.partition("=")[2].partition(";")[0],
            p.fqn,
            p.notes,
            "",
        )
        for p in database.principals
        if p.scope == scope
    ]
