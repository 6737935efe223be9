"""Setup: check that the database has what this library needs, or create it.

Reading needs Database Viewer; creating needs Database Admin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from . import _kql, _schema
from ._core import Core
from ._schema import CHECKPOINTS, LATEST, TABLES, Table
from ._transport import understood
from .errors import (
    QueryFailedError,
    SchemaTooOldError,
    StreamingDisabledError,
    TableNotFoundError,
)

logger = logging.getLogger(__name__)

_REMEDY = "run provision.kql, or `saver.setup(create=True)` with Database Admin"
_CLEAR_ATTEMPTS = 30
_BACKFILL_POLLS = 600


async def check(core: Core) -> None:
    """Check tables, columns, mappings, the view and streaming.

    Raises:
        TableNotFoundError: A table, the view or a function is missing.
        SchemaTooOldError: A column or an ingestion mapping of this version is missing.
        StreamingDisabledError: A table does not take streaming ingestion.
    """
    with understood():
        await _check(core)


async def _check(core: Core) -> None:
    database = await _read_schema(core)
    tables = database.get("Tables") or {}
    views = database.get("MaterializedViews") or {}
    functions = database.get("Functions") or {}
    missing = [table.name for table in TABLES if table.name not in tables]
    missing += [] if LATEST in views else [LATEST]
    missing += [name for name in _schema.FUNCTIONS if name not in functions]
    if missing:
        raise TableNotFoundError(f"the database lacks {', '.join(missing)}; {_REMEDY}")
    for table in TABLES:
        _check_columns(table, tables[table.name])
    for table in TABLES:
        await _check_mapping(core, table)
        await _check_streaming(core, table, str(database["Name"]))


async def _read_schema(core: Core) -> Mapping[str, Any]:
    answer = await core.command(_kql.SHOW_SCHEMA)
    body = orjson.loads(answer.rows[0][0])
    databases = body.get("Databases") or {}
    if len(databases) != 1:
        raise QueryFailedError(
            "`.show database schema as json` did not describe one database; check the database name"
        )
    database: Mapping[str, Any] = next(iter(databases.values()))
    return database


def _check_columns(table: Table, found: Mapping[str, Any]) -> None:
    types = {
        column["Name"]: column.get("CslType") or column.get("Type")
        for column in found.get("OrderedColumns") or ()
    }
    for column in table.columns:
        if column.name not in types:
            raise SchemaTooOldError(
                f"table {table.name} has no column {column.name}: it was made for an older version"
                f" of this library; {_REMEDY}"
            )
        if types[column.name] != column.type:
            raise SchemaTooOldError(
                f"column {table.name}.{column.name} is {types[column.name]}, not {column.type};"
                " this library did not create it: use another database"
            )


async def _check_mapping(core: Core, table: Table) -> None:
    answer = await core.command(_kql.show_mappings(table.name))
    mappings = {record["Name"]: record.get("Mapping") for record in answer.records()}
    if table.mapping not in mappings:
        raise SchemaTooOldError(
            f"table {table.name} has no ingestion mapping {table.mapping}: it was made for another"
            f" version of this library; {_REMEDY}"
        )
    paths = _paths_by_column(mappings[table.mapping])
    names = [column.name for column in table.columns]
    lost = [name for name in names if paths.get(name) not in ("", f"$.{name}", f"$['{name}']")]
    if paths and lost:
        raise SchemaTooOldError(
            f"the ingestion mapping {table.mapping} was changed: what belongs in {', '.join(lost)}"
            f" of table {table.name} would be dropped without an error; {_REMEDY}"
        )


def _paths_by_column(mapping: object) -> dict[str, str]:
    """Read an ingestion mapping; an empty path, or no columns, where it has another form.

    Source: `json-mapping`, whose examples spell the keys in two ways.
    """
    try:
        entries = orjson.loads(str(mapping))
    except orjson.JSONDecodeError:
        return {}
    paths: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        keys = _in_lower_case(entry)
        path = (keys | _in_lower_case(keys.get("properties"))).get("path")
        if isinstance(keys.get("column"), str):
            paths[keys["column"]] = path if isinstance(path, str) else ""
    return paths


def _in_lower_case(value: object) -> dict[str, Any]:
    return {key.lower(): item for key, item in value.items()} if isinstance(value, dict) else {}


async def _check_streaming(core: Core, table: Table, database: str) -> None:
    """A policy of the table wins over that of the database; Fabric enables it by default."""
    own, inherited = _kql.show_streaming(table.name), _kql.show_database_streaming(database)
    for command in (own, inherited):
        answer = await core.command(command)
        policy = next((record.get("Policy") for record in answer.records()), None)
        if policy and policy != "null":
            if orjson.loads(policy).get("IsEnabled"):
                return
            break
    raise StreamingDisabledError(
        f"table {table.name} does not take streaming ingestion; switch it on for the cluster (Azure"
        " portal: cluster, Settings, Configurations), then"
        f" `.alter table {table.name} policy streamingingestion enable`"
    )


async def provision(core: Core) -> None:
    """Create what is missing and set what differs; safe to run again and at the same time."""
    with understood():
        for command in _schema.commands():
            if command == _schema.create_view():
                await _create_view(core)
            else:
                await core.command(command)
        await _clear_schema_cache(core)


async def _create_view(core: Core) -> None:
    """Create the view; over a table that has rows already it is built in the background."""
    views = (await _read_schema(core)).get("MaterializedViews") or {}
    counted = await core.query(_kql.COUNT_CHECKPOINTS, {})
    if LATEST in views or not counted[0].rows[0][0]:
        await core.command(_schema.create_view())
        return
    logger.info("building %s from the rows %s already has", LATEST, CHECKPOINTS)
    answer = await core.command(_schema.create_view(backfill=True))
    operation = answer.records()[0].get("OperationId")
    for _ in range(_BACKFILL_POLLS):
        states = await core.command(_kql.show_operation(str(operation)))
        state = states.records()[0].get("State")
        if state == "Completed":
            return
        if state not in ("InProgress", "Scheduled"):
            raise QueryFailedError(f"building {LATEST} ended as {state}; see .show operations")
        await asyncio.sleep(1.0)
    raise QueryFailedError(f"building {LATEST} takes long; wait for .show operations, run again")


async def _clear_schema_cache(core: Core) -> None:
    """Repeat until every node says that it succeeded (clear-schema-cache-command)."""
    for _ in range(_CLEAR_ATTEMPTS):
        answer = await core.command(_schema.CLEAR_SCHEMA_CACHE)
        failed = [record for record in answer.records() if record.get("Status") != "Succeeded"]
        if not failed:
            return
        logger.info("%d nodes have not taken the new schema yet", len(failed))
        await asyncio.sleep(1.0)
    logger.warning("some nodes may use the old schema for up to five minutes")
