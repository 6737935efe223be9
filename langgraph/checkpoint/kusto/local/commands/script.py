"""`.execute database script`.

Lives here: running several commands in order. Does not live here: cutting the script
(`text.split_script`) and the commands themselves.

execute-database-script.md: sequential and without rollback; by default the first failure ends the
script and is reported as a row of a successful answer; `.show` commands are skipped.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any

from ..cursor import Cursor, as_bool
from ..errors import ServiceError, bad_request, storage_failed
from ..roles import Access
from ..text import split_script
from .base import Command, CommandContext, CommandResult, columns, command, execute, read

SCRIPT = columns(
    "OperationId:guid CommandType:string CommandText:string Result:string Reason:string"
)


@command("execute", "database", "script")
def execute_script(cursor: Cursor, context: CommandContext) -> Command:
    """`.execute database script [with (ContinueOnErrors | ThrowOnErrors = true)] <| commands`."""
    properties = cursor.properties(
        {"continueonerrors": "ContinueOnErrors", "throwonerrors": "ThrowOnErrors"}
    )
    going_on = as_bool(properties.get("ContinueOnErrors", False))
    throwing = as_bool(properties.get("ThrowOnErrors", False))
    if going_on and throwing:
        raise bad_request("ContinueOnErrors and ThrowOnErrors exclude each other.")
    commands = split_script(cursor.rest())

    def run() -> CommandResult:
        rows: list[tuple[Any, ...]] = []
        for index, text in enumerate(commands):
            row, error = _run_one(index, text, context)
            rows.append(row)
            if error is not None and throwing:
                raise error
            if error is not None and not going_on:
                break
        return CommandResult(SCRIPT, rows)

    return Command("DatabaseScriptExecute", Access.DATABASE_ADMIN, run)


def _run_one(
    index: int, text: str, context: CommandContext
) -> tuple[tuple[Any, ...], ServiceError | None]:
    """Run one command; return its row and its error."""
    kind = "Unknown"
    try:
        parsed, _ = read(text, context)
        kind = parsed.kind
        if kind == "DatabaseScriptExecute":
            raise bad_request("A script cannot hold another script.")
        if parsed.read_only:
            return _row(kind, text, "Skipped", "Read-only commands are not executed"), None
        injected = context.script_error(index)
        if injected is not None:
            raise injected
        _execute(text, context)
    except ServiceError as error:
        first_line = text.partition("\n")[0][:200]
        failed = _row(kind, text, "Failed", error.detail)
        error.detail = f"{error.detail} (in the script's command '{first_line}')"
        return failed, error
    return _row(kind, text, "Completed", ""), None


def _execute(text: str, context: CommandContext) -> None:
    try:
        execute(text, context)
    except sqlite3.OperationalError as error:
        raise storage_failed(str(error)) from error


def _row(kind: str, text: str, result: str, reason: str) -> tuple[Any, ...]:
    return (str(uuid.uuid4()), kind, text, result, reason)
