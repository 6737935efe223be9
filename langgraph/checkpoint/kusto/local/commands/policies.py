"""Policy commands: `.alter`, `.alter-merge`, `.delete` and `.show ... policy ...`.

Lives here: reading the part of a command after the word `policy`, and changing the entity. Does not
live here: what a policy's value may be (`local.policies`), and the words before `policy`, which the
commands of each entity read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from .. import policies
from ..cursor import Cursor
from ..errors import entity_not_found, policy_error
from ..kql.values import format_datetime, format_timespan, parse_datetime, parse_timespan
from ..roles import Access
from ..schema import Database, Table, with_entry
from .base import (
    Command,
    CommandContext,
    CommandResult,
    check_current,
    columns,
    command,
    optional_database,
    showing,
    table_named,
    table_reference,
    view_named,
)

POLICY_COLUMNS = columns(
    "PolicyName:string EntityName:string Policy:string ChildEntities:string EntityType:string"
)
# From the present value to the new one; None removes the policy.
Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Target:
    """The entity a policy belongs to."""

    kind: str  # table, tables, database, materialized-view, column
    names: tuple[str, ...]
    column: str = ""


def read_policy(cursor: Cursor, context: CommandContext, verb: str, target: Target) -> Command:
    """Read a policy command from the word `policy` on."""
    cursor.expect("policy")
    name = _policy_name(cursor, verb, target)
    change: Change | None = None
    if verb in ("alter", "alter-merge"):
        change = _value(cursor, context, name, verb, target)
    elif verb == "delete":
        change = _cleared
    kind = policies.NAMES[name] + {"show": "Show", "delete": "Delete"}.get(verb, "Alter")
    if change is None:
        return showing(kind, lambda: _result(context.current, name, target))
    return Command(kind, _access(name, verb, target), lambda: _apply(context, name, target, change))


@command("alter", "column")
def alter_column(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter column T.C policy ...`."""
    return read_policy(cursor, context, "alter", _column_target(cursor))


@command("delete", "column")
def delete_column_policy(cursor: Cursor, context: CommandContext) -> Command:
    """`.delete column T.C policy ...`."""
    return read_policy(cursor, context, "delete", _column_target(cursor))


@command("show", "column")
def show_column_policy(cursor: Cursor, context: CommandContext) -> Command:
    """`.show column T.C policy ...`."""
    return read_policy(cursor, context, "show", _column_target(cursor))


@command("alter", "tables")
def alter_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter tables (A, B) policy ...`."""
    return read_policy(cursor, context, "alter", Target("tables", tuple(cursor.names())))


@command("alter-merge", "tables")
def alter_merge_tables(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter-merge tables (A, B) policy ...`."""
    return read_policy(cursor, context, "alter-merge", Target("tables", tuple(cursor.names())))


@command("alter", "database")
def alter_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter database [D] policy ...`."""
    return read_policy(cursor, context, "alter", _database_target(cursor, context))


@command("alter-merge", "database")
def alter_merge_database(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter-merge database [D] policy ...`."""
    return read_policy(cursor, context, "alter-merge", _database_target(cursor, context))


@command("delete", "database")
def delete_database_policy(cursor: Cursor, context: CommandContext) -> Command:
    """`.delete database D policy ...`."""
    check_current(cursor.name(), context)
    return read_policy(cursor, context, "delete", Target("database", (context.database,)))


@command("alter-merge", "materialized-view")
def alter_merge_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter-merge materialized-view V policy ...`."""
    target = Target("materialized-view", (cursor.name(),))
    return read_policy(cursor, context, "alter-merge", target)


@command("delete", "materialized-view")
def delete_view_policy(cursor: Cursor, context: CommandContext) -> Command:
    """`.delete materialized-view V policy ...`; deleting a view's records is refused."""
    name = cursor.name()
    if cursor.at("records"):
        raise cursor.error(
            "Soft delete of a view's records is not supported by the local server, whose views are "
            "computed from their table: delete the table's records"
        )
    return read_policy(cursor, context, "delete", Target("materialized-view", (name,)))


def _policy_name(cursor: Cursor, verb: str, target: Target) -> str:
    allowed = policies.ALLOWED[verb, target.kind]
    word = cursor.peek().text
    if word in allowed:
        return cursor.take().text
    if word in policies.OTHER_NAMES:
        raise cursor.error(
            f"The policy '{word}' is not supported by the local server; it keeps "
            + ", ".join(sorted(policies.NAMES))
        )
    raise cursor.error("Expected one of: " + ", ".join(sorted(allowed)))


def _value(cursor: Cursor, context: CommandContext, name: str, verb: str, target: Target) -> Change:
    """Read a policy's new value."""
    if name == "encoding":
        return _encoding_value(cursor, target)
    if name == "caching":
        return _caching_value(cursor)
    if name == "roworder":
        return _row_order_value(cursor, verb)
    if name == "retention" and verb == "alter-merge" and cursor.at("softdelete", "recoverability"):
        changes = _retention_changes(cursor)
        return lambda before: policies.merged("retention", before, changes)
    if name == "streamingingestion":
        _check_streaming(context)
        if verb == "alter" and cursor.at("enable", "disable"):
            enabled = cursor.take().text == "enable"
            return lambda before: policies.merged(name, None, {"IsEnabled": enabled})
    text = cursor.string()
    return lambda before: policies.from_json(name, text, before, merge=verb == "alter-merge")


def _cleared(before: Any) -> None:
    return None


def _check_streaming(context: CommandContext) -> None:
    if not context.streaming:
        raise policy_error("Admin command cannot be executed as streaming ingestion is not enabled")


def _encoding_value(cursor: Cursor, target: Target) -> Change:
    if target.kind != "column" or cursor.peek().kind == "string":
        raise cursor.error(
            "The JSON form of the encoding policy is not documented; use "
            "'.alter column T.C policy encoding type=...'"
        )
    cursor.expect("type")
    cursor.expect("=")
    policy = policies.encoding(cursor.string())
    return lambda before: policy


def _caching_value(cursor: Cursor) -> Change:
    if cursor.accept("hotdata"):
        data = _timespan(cursor)
        cursor.accept(",")
        cursor.expect("hotindex")
        index = _timespan(cursor)
    else:
        cursor.expect("hot")
        data = index = _timespan(cursor)
    policy: dict[str, Any] = {"DataHotSpan": {"Value": data}, "IndexHotSpan": {"Value": index}}
    windows: list[dict[str, str]] = []
    while cursor.accept(","):
        cursor.expect("hot_window")
        cursor.expect("=")
        first = _datetime(cursor)
        cursor.expect("..")
        windows.append({"MinValue": first, "MaxValue": _datetime(cursor)})
    if windows:
        policy["HotWindows"] = windows
    return lambda before: policy


def _row_order_value(cursor: Cursor, verb: str) -> Change:
    cursor.expect("(")
    keys: list[dict[str, str]] = []
    while True:
        name = cursor.name()
        order = {"asc": "Ascending", "desc": "Descending"}[cursor.expect("asc", "desc")]
        keys.append({"ColumnName": name, "Order": order})
        if not cursor.accept(","):
            break
    cursor.expect(")")
    if verb == "alter":
        return lambda before: keys
    named = {key["ColumnName"] for key in keys}
    return lambda before: [k for k in before or [] if k["ColumnName"] not in named] + keys


def _retention_changes(cursor: Cursor) -> dict[str, str]:
    changes: dict[str, str] = {}
    while cursor.at("softdelete", "recoverability"):
        if cursor.take().text == "softdelete":
            changes["SoftDeletePeriod"] = _timespan(cursor)
        else:
            cursor.expect("=")
            changes["Recoverability"] = cursor.expect("enabled", "disabled").capitalize()
    return changes


def _timespan(cursor: Cursor) -> str:
    cursor.expect("=")
    failed = cursor.error("Expected a timespan")
    ticks = parse_timespan(str(cursor.literal()))
    if ticks is None or ticks < 0:
        raise failed
    return format_timespan(ticks)


def _datetime(cursor: Cursor) -> str:
    failed = cursor.error("Expected a datetime")
    ticks = parse_datetime(str(cursor.literal()))
    if ticks is None:
        raise failed
    return format_datetime(ticks)


def _access(name: str, verb: str, target: Target) -> Access:
    """Return what changing a policy needs; see the pages of the single commands."""
    if target.kind == "database" or (name == "partitioning" and target.kind == "table"):
        return Access.DATABASE_ADMIN
    if target.kind == "materialized-view" and name == "retention" and verb == "alter-merge":
        return Access.DATABASE_ADMIN
    return Access.TABLE_ADMIN


def _apply(context: CommandContext, name: str, target: Target, change: Change) -> CommandResult:
    def step(database: Database) -> Database:
        for entity in target.names:
            database = _changed(database, name, target, entity, change)
        return database

    return _result(context.change(step), name, target)


def _changed(
    database: Database, name: str, target: Target, entity: str, change: Change
) -> Database:
    if target.kind == "database":
        value = change(database.policies.get(name))
        return replace(database, policies=with_entry(database.policies, name, value))
    if target.kind == "materialized-view":
        view = view_named(database, entity)
        value = change(view.policies.get(name))
        return database.with_view(replace(view, policies=with_entry(view.policies, name, value)))
    table = table_named(database, entity)
    if target.kind == "column":
        return database.with_table(_with_column_policy(table, name, target.column, change))
    value = change(table.policies.get(name))
    _check_columns(table, name, value)
    return database.with_table(table.with_policy(name, value))


def _with_column_policy(table: Table, name: str, column_name: str, change: Change) -> Table:
    column = table.column(column_name)
    if column is None:
        raise entity_not_found("Column", f"{table.name}.{column_name}")
    value = change(column.policies.get(name))
    big = name == "encoding" and value and value["Profile"] in ("BigObject", "BigObject32")
    if big and column.type not in ("string", "dynamic"):
        raise policy_error(
            f"The encoding policy {value['Profile']} is for string and dynamic columns, "
            f"'{column_name}' is of type {column.type}."
        )
    policies_ = with_entry(column.policies, name, value)
    return table.with_column(replace(column, policies=policies_))


def _check_columns(table: Table, name: str, value: Any) -> None:
    keys: list[dict[str, Any]] = []
    if name == "roworder":
        keys = value or []
    elif name == "partitioning" and value:
        keys = value["PartitionKeys"]
    for key in keys:
        column = table.column(key["ColumnName"])
        if column is None:
            raise entity_not_found("Column", f"{table.name}.{key['ColumnName']}")
        if key.get("Kind") == "Hash" and column.type not in ("string", "guid"):
            raise policy_error("A Hash partition key must be a string or guid column.")
        if key.get("Kind") == "UniformRange" and column.type != "datetime":
            raise policy_error("A UniformRange partition key must be a datetime column.")


def _result(database: Database, name: str, target: Target) -> CommandResult:
    rows = [_row(database, name, target, entity) for entity in target.names]
    return CommandResult(POLICY_COLUMNS, rows)


def _row(database: Database, name: str, target: Target, entity: str) -> tuple[Any, ...]:
    label = f"[{database.name}].[{entity}]"
    if target.kind == "database":
        value, type_, label = database.policies.get(name), "Database", f"[{database.name}]"
    elif target.kind == "materialized-view":
        value, type_ = view_named(database, entity).policies.get(name), "MaterializedView"
    elif target.kind == "column":
        column = table_named(database, entity).column(target.column)
        if column is None:
            raise entity_not_found("Column", f"{entity}.{target.column}")
        value, type_, label = column.policies.get(name), "Column", f"{label}.[{target.column}]"
    else:
        value, type_ = table_named(database, entity).policies.get(name), "Table"
    return (policies.NAMES[name], label, orjson.dumps(value).decode(), "[]", type_)


def _column_target(cursor: Cursor) -> Target:
    parts = [cursor.name()]
    while cursor.accept("."):
        parts.append(cursor.name())
    if len(parts) < 2:
        raise cursor.error("Expected a column as Table.Column")
    return Target("column", (parts[-2],), parts[-1])


def _database_target(cursor: Cursor, context: CommandContext) -> Target:
    optional_database(cursor, context, "policy")
    return Target("database", (context.database,))


def table_target(cursor: Cursor, context: CommandContext) -> Target:
    """Take a table's name as the target of a policy command."""
    return Target("table", (table_reference(cursor, context),))
