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
from ._retention import Periods, periods_from
from ._schema import CHECKPOINTS, LATEST, TABLES, Table
from ._transport import understood
from .errors import (
    QueryFailedError,
    RetentionTooShortError,
    SchemaTooOldError,
    StreamingDisabledError,
    TableNotFoundError,
)

logger = logging.getLogger(__name__)

_REMEDY = "run provision.kql, or `saver.setup(create=True)` with Database Admin"
_CLEAR_ATTEMPTS = 30
_BACKFILL_POLLS = 600


async def read_periods(core: Core) -> Periods | None:
    """Read how long Kusto keeps what; None when it answers in another form than documented."""
    policies: dict[str, object] = {}
    for command, name in (
        (_kql.SHOW_TABLES, "TableName"),
        (_kql.SHOW_VIEW, "MaterializedViewName"),
    ):
        for record in (await core.command(command)).records():
            policies[str(record.get(name))] = record.get("RetentionPolicy")
    return periods_from(policies)


async def check(core: Core) -> None:
    """Check tables, columns, mappings, the view and streaming.

    Raises:
        TableNotFoundError: A table, the view or a function is missing.
        SchemaTooOldError: A column or an ingestion mapping of this version is missing.
        StreamingDisabledError: A table does not take streaming ingestion, which the saver uses.
        RetentionTooShortError: Threads in use would lose parts.
    """
    with understood():
        await _check(core)


async def _check(core: Core) -> None:
    database = await _read_schema(core)
    missing = _missing(database)
    if missing:
        raise TableNotFoundError(f"the database lacks {', '.join(missing)}; {_REMEDY}")
    for table in TABLES:
        _check_columns(table, database["Tables"][table.name])
    for table in TABLES:
        await _check_mapping(core, table)
        if core.options.ingestion == "streaming":
            await _check_streaming(core, table, str(database["Name"]))
    await _check_retention(core)


def _missing(database: Mapping[str, Any]) -> list[str]:
    """Name the tables, the view and the functions that a database lacks."""
    tables = database.get("Tables") or {}
    views = database.get("MaterializedViews") or {}
    functions = database.get("Functions") or {}
    return [
        *[table.name for table in TABLES if table.name not in tables],
        *([] if LATEST in views else [LATEST]),
        *[name for name in _schema.FUNCTIONS if name not in functions],
    ]


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
        f" `.alter table {table.name} policy streamingingestion enable`; or pass"
        ' ingestion="queued" or "inline"'
    )


async def _check_retention(core: Core) -> None:
    """What a checkpoint needs must outlive it, also when it is stored at an age (`_retention`)."""
    periods = await read_periods(core)
    if periods is None:
        raise QueryFailedError(
            f"`{_kql.SHOW_TABLES}` and `{_kql.SHOW_VIEW}` did not tell how long rows are kept;"
            " report what they answer"
        )
    core.memory.retention.learn(periods, core.now())
    if remedies := periods.remedies():
        raise RetentionTooShortError(
            "what a checkpoint needs would expire before it, so threads in use would lose parts:"
            f" run {'; '.join(remedies)}, or provision.kql"
        )


async def provision(core: Core) -> None:
    """Create what is missing and set what differs; safe to run again and at the same time.

    Streaming ingestion is left as it is when rows are sent another way: switching it on fails on a
    cluster that has it off.
    """
    streaming = core.options.ingestion == "streaming"
    left_out = () if streaming else tuple(_schema.enable_streaming(table) for table in TABLES)
    with understood():
        missing = _missing(await _read_schema(core))
        for command in _schema.commands():
            if command == _schema.create_view():
                await _create_view(core)
            elif command not in left_out:
                await core.command(command)
        if streaming:
            await _clear_schema_cache(core)
        logger.info(
            "the database has what this version needs; created: %s", ", ".join(missing) or "nothing"
        )


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
