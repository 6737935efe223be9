"""Showing the server itself: version, cluster, capacity, operations, what ran.

Lives here: `.show version`, `.show cluster`, `.show capacity`, `.show operations`, `.show
commands`, `.show queries`, `.show streamingingestion ...`. Does not live here: databases and
tables.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from ..clock import now_ticks
from ..cursor import Cursor
from ..operations import Executed
from ..roles import Access
from .base import Command, CommandContext, CommandResult, columns, command, showing

VERSION = columns("BuildVersion:string BuildTime:datetime ServiceType:string ProductVersion:string")
CLUSTER = columns(
    "NodeId:string Address:string Name:string StartTime:datetime IsAdmin:bool "
    "MachineTotalMemory:long MachineAvailableMemory:long ProcessorCount:int "
    "EnvironmentDescription:string"
)
CAPACITY = columns("Resource:string Total:long Consumed:long Remaining:long")
OPERATIONS = columns(
    "OperationId:guid Operation:string NodeId:string StartedOn:datetime LastUpdatedOn:datetime "
    "Duration:timespan State:string Status:string RootActivityId:guid ShouldRetry:bool "
    "Database:string Principal:string User:string AdminEpochStartTime:datetime "
    "VirtualCluster:string"
)
_RAN = (
    "ClientActivityId:string {kind}Text:string Database:string StartedOn:datetime "
    "LastUpdatedOn:datetime Duration:timespan State:string RootActivityId:guid User:string "
    "FailureReason:string Application:string Principal:string"
)
COMMANDS = columns(_RAN.format(kind="CommandType:string "))
QUERIES = columns(_RAN.format(kind=""))
STREAMING_STATISTICS = columns(
    "Database:string Table:string StartTime:datetime EndTime:datetime Count:long "
    "MinDuration:timespan MaxDuration:timespan AvgDuration:timespan TotalDataSize:long "
    "MinDataSize:long MaxDataSize:long TotalRowCount:long MinRowCount:long MaxRowCount:long "
    "IngestionStatus:string NumOfRowStoresReferences:int Principal:string NodeId:string "
    "IngestionProperties:dynamic"
)
STREAMING_FAILURES = columns(
    "Database:string Table:string Principal:string RootActivityId:guid IngestionProperties:dynamic "
    "Count:long FirstFailureOn:datetime LastFailureOn:datetime FailureKind:string ErrorCode:string "
    "Details:string"
)
NODE = "LocalNode"
PRODUCT = "langgraph-checkpoint-kusto local server"
STARTED = now_ticks()


@command("show", "version")
def show_version(cursor: Cursor, context: CommandContext) -> Command:
    """`.show version`."""
    row = ("1.0.0.0", STARTED, "Engine", PRODUCT)
    return showing("VersionShow", lambda: CommandResult(VERSION, [row]), Access.ANY)


@command("show", "cluster")
def show_cluster(cursor: Cursor, context: CommandContext) -> Command:
    """`.show cluster`."""
    row = (NODE, "", PRODUCT, STARTED, True, 0, 0, os.cpu_count() or 1, platform.platform())
    return showing("ClusterShow", lambda: CommandResult(CLUSTER, [row]), Access.ANY)


@command("show", "capacity")
def show_capacity(cursor: Cursor, context: CommandContext) -> Command:
    """`.show capacity`."""
    cores = os.cpu_count() or 1
    # ingest-data-streaming.md: six concurrent streaming requests per core.
    totals = {"ingestions": cores, "streaming-ingestion-requests": 6 * cores, "queries": 10 * cores}
    rows = [(name, total, 0, total) for name, total in totals.items()]
    return showing("CapacityShow", lambda: CommandResult(CAPACITY, list(rows)), Access.CREATE)


@command("show", "operations")
def show_operations(cursor: Cursor, context: CommandContext) -> Command:
    """`.show operations [id | (id, ...)]`."""
    wanted: list[str] = []
    if cursor.peek().kind == "guid":
        wanted.append(cursor.take().text.lower())
    elif cursor.accept("("):
        while cursor.peek().kind == "guid":
            wanted.append(cursor.take().text.lower())
            cursor.accept(",")
        cursor.expect(")")

    def run() -> CommandResult:
        rows: list[tuple[Any, ...]] = [
            (
                operation.id,
                operation.kind,
                NODE,
                operation.started,
                operation.finished,
                operation.finished - operation.started,
                operation.state,
                operation.status,
                operation.id,
                False,
                operation.database,
                "anonymous",
                "anonymous",
                STARTED,
                "",
            )
            for operation in context.operations.all()
            if not wanted or operation.id in wanted
        ]
        return CommandResult(OPERATIONS, rows)

    return showing("OperationsShow", run, Access.ANY)


@command("show", "commands")
def show_commands(cursor: Cursor, context: CommandContext) -> Command:
    """`.show commands`: the newest thousand of this process."""

    def run() -> CommandResult:
        ran = [one for one in context.operations.executed() if one.kind]
        return CommandResult(COMMANDS, [_ran(one, with_kind=True) for one in ran])

    return showing("CommandsShow", run, Access.ANY)


@command("show", "queries")
def show_queries(cursor: Cursor, context: CommandContext) -> Command:
    """`.show queries`: the newest thousand of this process."""

    def run() -> CommandResult:
        ran = [one for one in context.operations.executed() if not one.kind]
        return CommandResult(QUERIES, [_ran(one, with_kind=False) for one in ran])

    return showing("QueriesShow", run, Access.ANY)


@command("show", "streamingingestion", "statistics")
def show_streaming_statistics(cursor: Cursor, context: CommandContext) -> Command:
    """`.show streamingingestion statistics`: the columns only."""
    return showing(
        "StreamingIngestionStatisticsShow",
        lambda: CommandResult(STREAMING_STATISTICS, []),
        Access.ANY,
    )


@command("show", "streamingingestion", "failures")
def show_streaming_failures(cursor: Cursor, context: CommandContext) -> Command:
    """`.show streamingingestion failures`: the columns only."""
    return showing(
        "StreamingIngestionFailuresShow", lambda: CommandResult(STREAMING_FAILURES, []), Access.ANY
    )


def _ran(one: Executed, *, with_kind: bool) -> tuple[Any, ...]:
    return (
        one.client_request_id,
        *((one.kind,) if with_kind else ()),
        one.text,
        one.database,
        one.started,
        one.finished,
        one.finished - one.started,
        one.state,
        one.activity_id,
        "anonymous",
        one.reason,
        "",
        "anonymous",
    )
