"""Materialized views: creating, altering, enabling, disabling, dropping and showing.

Lives here: reading and storing views. Does not live here: checking and evaluating their queries,
which the KQL engine does: a view is always fresh, computed from the rows of its source it may see;
and its retention (`expiry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..catalog import newest_lost
from ..cursor import Cursor, as_bool
from ..errors import bad_request, entity_exists, query_error
from ..kql import KqlError, ViewDef, check_view
from ..kql.values import parse_datetime, parse_timespan
from ..roles import Access
from ..schema import Database, View
from ..tables import QueryCatalog
from .base import (
    Command,
    CommandContext,
    CommandResult,
    as_operation,
    columns,
    command,
    showing,
    table_named,
    view_named,
)
from .policies import Target, read_policy

VIEW = columns(
    "Name:string SourceTable:string Query:string MaterializedTo:datetime LastRun:datetime "
    "LastRunResult:string IsHealthy:bool IsEnabled:bool Folder:string DocString:string "
    "AutoUpdateSchema:bool EffectiveDateTime:datetime Lookback:timespan LookbackColumn:string"
)
VIEW_FAILURES = columns(
    "OperationId:guid Name:string StartedOn:datetime FailureKind:string Details:string"
)
_PROPERTIES: dict[str, str] = {
    name.lower(): name
    for name in (
        "backfill",
        "effectiveDateTime",
        "updateExtentsCreationTime",
        "lookback",
        "lookback_column",
        "autoUpdateSchema",
        "dimensionTables",
        "folder",
        "docString",
        "allowMaterializedViewsWithoutRowLevelSecurity",
        "move_extents_from",
        "source_ingestion_time_from",
        "MaxSourceRecordsForSingleIngest",
        "Concurrency",
    )
}
_REFUSED = ("dimensionTables", "move_extents_from", "source_ingestion_time_from")


@command("create", "materialized-view")
def create_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.create materialized-view [with (...)] V on table T { ... }`."""
    return _read_create(cursor, context)


@command("create", "async")
def create_async(cursor: Cursor, context: CommandContext) -> Command:
    """`.create async [ifnotexists] materialized-view ...`."""
    if_not_exists = bool(cursor.accept("ifnotexists"))
    cursor.expect("materialized-view")
    return _read_create(cursor, context, if_not_exists=if_not_exists, is_async=True)


@command("create", "ifnotexists")
def create_if_not_exists(cursor: Cursor, context: CommandContext) -> Command:
    """`.create ifnotexists materialized-view ...`."""
    cursor.expect("materialized-view")
    return _read_create(cursor, context, if_not_exists=True)


@command("create-or-alter", "materialized-view")
def create_or_alter_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.create-or-alter materialized-view [with (...)] V on table T { ... }`."""
    view = _definition(cursor, context, backfill_allowed=False)

    def step(database: Database) -> Database:
        old = database.views.get(view.name)
        if old is None:
            return _placed(database, replace(view, created=context.catalog.clock.next()))
        # Rows the old definition had taken stay; new filters hold for all rows here, because the
        # view is computed anew at each query.
        return _placed(
            database, replace(view, since=old.since, created=old.created, policies=old.policies)
        )

    def run() -> CommandResult:
        _check(context, view)
        after = context.change(step)
        return CommandResult(VIEW, [_row(context, after.views[view.name])])

    exists = view.name in context.current.views
    access = Access.VIEW_ADMIN if exists else Access.DATABASE_ADMIN
    return Command("MaterializedViewCreateOrAlter", access, run)


@command("alter", "materialized-view")
def alter_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.alter materialized-view V docstring | folder | autoUpdateSchema | policy`."""
    name = cursor.name()
    if cursor.at("policy"):
        return read_policy(cursor, context, "alter", Target("materialized-view", (name,)))
    if cursor.at("docstring", "folder"):
        field = cursor.take().text
        text = cursor.string()
        if field == "folder":
            return _alteration(context, name, lambda view: replace(view, folder=text))
        return _alteration(context, name, lambda view: replace(view, docstring=text))
    if cursor.accept("autoUpdateSchema"):
        value = cursor.expect("true", "false") == "true"
        return _alteration(context, name, lambda view: replace(view, auto_update_schema=value))
    raise cursor.error(
        "Expected policy, docstring, folder or autoUpdateSchema; to change a view's query use "
        "'.create-or-alter materialized-view'"
    )


@command("enable", "materialized-view")
def enable_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.enable materialized-view V`."""
    return _alteration(context, cursor.name(), lambda view: replace(view, enabled=True))


@command("disable", "materialized-view")
def disable_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.disable materialized-view V`."""
    return _alteration(context, cursor.name(), lambda view: replace(view, enabled=False))


@command("drop", "materialized-view")
def drop_view(cursor: Cursor, context: CommandContext) -> Command:
    """`.drop materialized-view V [ifexists]`."""
    name = cursor.name()
    if_exists = bool(cursor.accept("ifexists"))

    def step(database: Database) -> Database:
        if if_exists and name not in database.views:
            return database
        view_named(database, name)
        return database.without_view(name)

    def run() -> CommandResult:
        after = context.change(step)
        return CommandResult(VIEW, [_row(context, view) for view in after.views.values()])

    return Command("MaterializedViewDrop", Access.VIEW_ADMIN, run)


@command("show", "materialized-views")
def show_views(cursor: Cursor, context: CommandContext) -> Command:
    """`.show materialized-views`."""

    def run() -> CommandResult:
        return CommandResult(VIEW, [_row(context, view) for view in context.current.views.values()])

    return showing("MaterializedViewsShow", run)


def show_view(context: CommandContext, name: str) -> CommandResult:
    """Return the row of `.show materialized-view V`."""
    return CommandResult(VIEW, [_row(context, view_named(context.current, name))])


def view_failures(context: CommandContext, name: str) -> CommandResult:
    """Return the failures of a view's materialization: there is nothing that could fail."""
    view_named(context.current, name)
    return CommandResult(VIEW_FAILURES, [])


def _read_create(
    cursor: Cursor,
    context: CommandContext,
    *,
    if_not_exists: bool = False,
    is_async: bool = False,
) -> Command:
    view = _definition(cursor, context, backfill_allowed=is_async)

    def step(database: Database) -> Database:
        if view.name in database.views:
            if if_not_exists:
                # materialized-view-create.md: no change, even if the definition differs.
                return database
            raise entity_exists("MaterializedView", view.name)
        created = replace(view, created=context.catalog.clock.next())
        return _placed(database, _over_present_rows(created, context))

    def run() -> CommandResult:
        if view.name not in context.current.views:
            _check(context, view)
        after = context.change(step)
        return CommandResult(VIEW, [_row(context, after.views[view.name])])

    kind = "MaterializedViewCreate"
    return Command(
        kind, Access.DATABASE_ADMIN, as_operation(run, context, kind) if is_async else run
    )


def _definition(cursor: Cursor, context: CommandContext, *, backfill_allowed: bool) -> View:
    """Read `[with (...)] V on table T { query }`; `since` is -1 where creation decides it."""
    properties = cursor.properties(_PROPERTIES)
    for refused in _REFUSED:
        if refused in properties:
            raise bad_request(
                f"The property '{refused}' of materialized views is not supported by the local "
                "server; leave it out."
            )
    name = cursor.name()
    cursor.expect("on")
    if cursor.accept("materialized-view"):
        raise bad_request(
            "A materialized view over a materialized view is not supported by the local server; "
            "define it on the table."
        )
    cursor.expect("table")
    source = cursor.name()
    query = cursor.block("{")[1:-1].strip()
    backfill = as_bool(properties.get("backfill", False))
    if backfill and not backfill_allowed:
        raise bad_request("Backfill requires the command to be 'async'.")
    return View(
        name=name,
        source=source,
        query=query,
        since=_since(properties) if backfill else -1,
        created=0,
        folder=str(properties.get("folder", "")),
        docstring=str(properties.get("docString", "")),
        auto_update_schema=as_bool(properties.get("autoUpdateSchema", False)),
        lookback=_lookback(properties),
        lookback_column=str(properties.get("lookback_column", "")),
    )


def _since(properties: dict[str, Any]) -> int:
    """Return from when a backfilled view takes rows: `effectiveDateTime`, else from the first."""
    given = properties.get("effectiveDateTime")
    if given is None:
        return 0
    ticks = parse_datetime(str(given))
    if ticks is None:
        raise bad_request(f"effectiveDateTime is not a datetime: '{given}'.")
    return max(ticks - 1, 0)


def _lookback(properties: dict[str, Any]) -> int | None:
    given = properties.get("lookback")
    if given is None:
        return None
    ticks = parse_timespan(str(given))
    if ticks is None:
        raise bad_request(f"lookback is not a timespan: '{given}'.")
    return ticks


def _over_present_rows(view: View, context: CommandContext) -> View:
    """Let a backfill take what the source has now, not what retention took from it."""
    source = context.current.tables.get(view.source)
    if view.since < 0 or source is None or not source.past:
        return view
    with context.storage.reading() as reader:
        return replace(view, since=max(view.since, newest_lost(reader, source)))


def _placed(database: Database, view: View) -> Database:
    """Return the database with a view whose name is free and whose source exists.

    A view without backfill (`since` is -1) sees only rows ingested after its creation.
    """
    table_named(database, view.source)
    for kind, names in (("Table", database.tables), ("Function", database.functions)):
        if view.name in names:
            raise entity_exists(kind, view.name)
    since = view.created if view.since < 0 else view.since
    return database.with_view(replace(view, since=since))


def _check(context: CommandContext, view: View) -> None:
    table_named(context.current, view.source)
    definition = ViewDef(view.name, view.source, view.query)
    with (
        context.storage.reading() as reader,
        QueryCatalog(context.current, reader) as catalog,
    ):
        try:
            check_view(definition, catalog)
        except KqlError as error:
            raise query_error(error.kind, error.code, error.message) from error


def _alteration(context: CommandContext, name: str, change: Callable[[View], View]) -> Command:
    def step(database: Database) -> Database:
        return database.with_view(change(view_named(database, name)))

    def run() -> CommandResult:
        after = context.change(step)
        return CommandResult(VIEW, [_row(context, after.views[name])])

    return Command("MaterializedViewAlter", Access.VIEW_ADMIN, run)


def _row(context: CommandContext, view: View) -> tuple[Any, ...]:
    # An enabled view is computed at each query, so it is materialized to this very moment.
    moment = context.now() if view.enabled else view.created
    return (
        view.name,
        view.source,
        view.query,
        moment,
        moment,
        "Completed",
        view.enabled,
        view.enabled,
        view.folder,
        view.docstring,
        view.auto_update_schema,
        view.created,
        view.lookback,
        view.lookback_column,
    )
