"""A database that lacks something, or has it otherwise: each part is named, and how to get it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared.copies import THREAD, StartCopy, make_template, starting_copies
from shared.places import Place, command, local_place, query
from shared.refusals import refused
from shared.savers import SyncMethodsSaver, of_kind
from shared.threads import config_of, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

pytestmark = pytest.mark.local_only

FAST: dict[str, Any] = {"max_retries": 1, "retry_backoff": 0.001, "visibility_timeout": 0.01}
REMEDY = "run provision.kql, or `saver.setup(create=True)` with Database Admin"
TABLES = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones")

PUT, BIG, WRITES, GET, LIST, DELETE = "put", "big put", "put_writes", "get", "list", "delete"

CALLS: dict[str, Callable[[Any], Any]] = {
    PUT: lambda saver: saver.aput(config_of("t"), new_checkpoint({"a": 1}), {}, {"a": 1}),
    BIG: lambda saver: saver.aput(
        config_of("t"), new_checkpoint({"a": noise(50_000)}), {}, {"a": 1}
    ),
    # Of a checkpoint that is about to be put; of others Kusto is asked.
    WRITES: lambda saver: saver.aput_writes(
        config_of("t", "", new_checkpoint()["id"]), [("a", 1)], "task"
    ),
    GET: lambda saver: saver.aget_tuple(config_of(THREAD)),
    LIST: lambda saver: listed(saver, None),
    DELETE: lambda saver: saver.adelete_thread(THREAD),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "kusto.db")


@pytest.fixture
def start(template: Path, tmp_path: Path) -> Iterator[StartCopy]:
    with starting_copies(template, tmp_path) as start:
        yield start


@pytest.fixture
def place(start: StartCopy) -> Place:
    return start()


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, FAST)


def on(place: Place, **options: Any) -> AsyncKustoSaver:
    return AsyncKustoSaver(place.uri, place.database, **{**FAST, **options})


async def repair(saver: Any) -> None:
    """`setup(create=True)` brings back what is missing, and all goes on."""
    await saver.setup(create=True)
    await saver.setup()
    stored = await CALLS[BIG](saver)
    await saver.aput_writes(stored, [("a", 1)], "task")
    found = await saver.aget_tuple(config_of("t"))
    assert found.checkpoint["channel_values"] == {"a": noise(50_000)}
    assert found.pending_writes == [("task", "a", 1)]
    await saver.adelete_thread("t")
    assert await saver.aget_tuple(config_of("t")) is None


async def test_tables_that_are_not_there(make_saver: Callable[..., Any], place: Place) -> None:
    with local_place(provisioned=False) as bare:
        async with on(bare) as saver:
            for call in CALLS.values():
                await refused(call(saver), "TableNotFoundError", "a table for the ", REMEDY)
            await refused(
                saver.setup(),
                "TableNotFoundError",
                f"the database lacks {', '.join(TABLES)}, LatestCheckpoints, Deletions,"
                " LiveCheckpoints, ",
                REMEDY,
            )
            assert saver.stats()["retries"] == 0
            await repair(saver)


# -- one part is missing ---------------------------------------------------------------------------

Expected = dict[str, tuple[str, str]]
"""Which calls fail, and how; the others go on."""


def missing_table(*calls: str) -> Expected:
    return dict.fromkeys(calls, ("TableNotFoundError", f"is missing; {REMEDY}: "))


def missing_column(*calls: str) -> Expected:
    text = f"is missing, so the tables are older than this library; {REMEDY}: "
    return dict.fromkeys(calls, ("SchemaTooOldError", text))


def missing_mapping(*calls: str) -> Expected:
    text = "is missing, so the tables are older than this library (or minutes young); "
    return dict.fromkeys(calls, ("SchemaTooOldError", f"{text}{REMEDY}: "))


def rejected(*calls: str) -> Expected:
    text = "; check that the tables are those of provision.kql: "
    return dict.fromkeys(calls, ("RowsRejectedError", text))


def no_streaming(table: str, *calls: str) -> Expected:
    text = f"then for the table (`.alter table {table} policy streamingingestion enable`)"
    return dict.fromkeys(calls, ("StreamingDisabledError", text))


def lacks(*names: str) -> tuple[str, str]:
    return "TableNotFoundError", f"the database lacks {', '.join(names)}; {REMEDY}"


def no_column(table: str, column: str) -> tuple[str, str]:
    return "SchemaTooOldError", (
        f"table {table} has no column {column}: it was made for an older version of this library;"
        f" {REMEDY}"
    )


def no_mapping(table: str) -> tuple[str, str]:
    return "SchemaTooOldError", (
        f"table {table} has no ingestion mapping {table}_v1: it was made for another version of"
        f" this library; {REMEDY}"
    )


def no_streaming_at(table: str) -> tuple[str, str]:
    return "StreamingDisabledError", (
        f"table {table} does not take streaming ingestion; switch it on for the cluster (Azure"
        " portal: cluster, Settings, Configurations), then"
        f" `.alter table {table} policy streamingingestion enable`"
    )


# The damage, what `setup()` says, and the calls that fail.
DAMAGES: dict[str, tuple[list[str], tuple[str, str], Expected]] = {
    "no view": (
        [".drop materialized-view LatestCheckpoints"],
        lacks("LatestCheckpoints"),
        missing_table(GET),
    ),
    "no function": ([".drop function LiveCheckpoints"], lacks("LiveCheckpoints"), {}),
    "no checkpoints": (
        [".drop materialized-view LatestCheckpoints", ".drop table Checkpoints"],
        lacks("Checkpoints", "LatestCheckpoints"),
        missing_table(PUT, BIG, GET, LIST, DELETE),
    ),
    "no blobs": (
        [".drop table CheckpointBlobs"],
        lacks("CheckpointBlobs"),
        missing_table(BIG, GET, LIST),
    ),
    "no writes": (
        [".drop table CheckpointWrites"],
        lacks("CheckpointWrites"),
        missing_table(WRITES, GET, LIST, DELETE),
    ),
    "no tombstones": (
        [".drop table CheckpointTombstones"],
        lacks("CheckpointTombstones"),
        missing_table(GET, LIST, DELETE),
    ),
    "no mapping of checkpoints": (
        ['.drop table Checkpoints ingestion json mapping "Checkpoints_v1"'],
        no_mapping("Checkpoints"),
        missing_mapping(PUT, BIG),
    ),
    "no mapping of blobs": (
        ['.drop table CheckpointBlobs ingestion json mapping "CheckpointBlobs_v1"'],
        no_mapping("CheckpointBlobs"),
        missing_mapping(BIG),
    ),
    "no mapping of writes": (
        ['.drop table CheckpointWrites ingestion json mapping "CheckpointWrites_v1"'],
        no_mapping("CheckpointWrites"),
        missing_mapping(WRITES),
    ),
    "no mapping of tombstones": (
        ['.drop table CheckpointTombstones ingestion json mapping "CheckpointTombstones_v1"'],
        no_mapping("CheckpointTombstones"),
        missing_mapping(DELETE),
    ),
    "no column of checkpoints": (
        [".drop column Checkpoints.codec"],
        no_column("Checkpoints", "codec"),
        rejected(PUT, BIG) | missing_column(GET, LIST),
    ),
    "no column of blobs": (
        [".drop column CheckpointBlobs.chunk"],
        no_column("CheckpointBlobs", "chunk"),
        rejected(BIG) | missing_column(GET, LIST),
    ),
    "no column of writes": (
        [".drop column CheckpointWrites.task_path"],
        no_column("CheckpointWrites", "task_path"),
        rejected(WRITES) | missing_column(GET, LIST),
    ),
    "no column of tombstones": (
        [".drop column CheckpointTombstones.ids"],
        no_column("CheckpointTombstones", "ids"),
        missing_column(GET, LIST, DELETE),
    ),
    "no streaming of checkpoints": (
        [".alter table Checkpoints policy streamingingestion disable"],
        no_streaming_at("Checkpoints"),
        no_streaming("Checkpoints", PUT, BIG),
    ),
    "no streaming of blobs": (
        [".alter table CheckpointBlobs policy streamingingestion disable"],
        no_streaming_at("CheckpointBlobs"),
        no_streaming("CheckpointBlobs", BIG),
    ),
    "no streaming of writes": (
        [".alter table CheckpointWrites policy streamingingestion disable"],
        no_streaming_at("CheckpointWrites"),
        no_streaming("CheckpointWrites", WRITES),
    ),
    "no streaming of tombstones": (
        [".alter table CheckpointTombstones policy streamingingestion disable"],
        no_streaming_at("CheckpointTombstones"),
        no_streaming("CheckpointTombstones", DELETE),
    ),
}


async def check_damage(place: Place, saver: Any, damage: str) -> None:
    commands, said_by_setup, failing = DAMAGES[damage]
    for text in commands:
        command(place, text)
    for name, call in CALLS.items():
        if name in failing:
            await refused(call(saver), *failing[name])
        else:
            await call(saver)
    await refused(saver.setup(), *said_by_setup)
    assert saver.stats()["retries"] == 0


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_database_that_lacks_something(place: Place, damage: str) -> None:
    async with on(place) as saver:
        await check_damage(place, saver, damage)
    async with on(place) as saver:
        await repair(saver)


@pytest.mark.parametrize("damage", ["no view", "no mapping of writes", "no column of tombstones"])
async def test_the_sync_saver_says_so_too(
    place: Place, sync_saver: Callable[..., KustoSaver], damage: str
) -> None:
    await check_damage(place, SyncMethodsSaver(sync_saver(**FAST)), damage)
    await repair(SyncMethodsSaver(sync_saver(**FAST)))


# -- it is there, and something else ---------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
async def test_a_mapping_that_somebody_changed(place: Place, table: str) -> None:
    """Kusto takes the rows and drops what has no column: no request fails."""
    paths = {"thread_id": "$.thread_id", "codec": "$.other"}
    entries = [{"column": name, "Properties": {"Path": path}} for name, path in paths.items()]
    command(
        place,
        f'.create-or-alter table {table} ingestion json mapping "{table}_v1"'
        f" '{json.dumps(entries)}'",
    )
    async with on(place) as saver:
        error = await refused(
            saver.setup(),
            "SchemaTooOldError",
            f"the ingestion mapping {table}_v1 was changed: what belongs in ",
            "codec",
            f" of table {table} would be dropped without an error; {REMEDY}",
        )
        assert "thread_id" not in str(error)
        await repair(saver)


@pytest.mark.parametrize("key", ["column", "Column"])
@pytest.mark.parametrize("path", ["$.{}", "$['{}']"])
async def test_a_mapping_that_only_looks_different(place: Place, key: str, path: str) -> None:
    schema = query(place, "CheckpointTombstones | getschema | project ColumnName")
    entries = [
        {key: row["ColumnName"], "Properties": {"Path": path.format(row["ColumnName"])}}
        for row in schema
    ]
    text = json.dumps(entries).replace("'", "\\'")
    name = "CheckpointTombstones"
    command(place, f".create-or-alter table {name} ingestion json mapping \"{name}_v1\" '{text}'")
    async with on(place) as saver:
        await saver.setup()
        await saver.adelete_thread(THREAD)
    async with on(place) as other:
        assert await other.aget_tuple(config_of(THREAD)) is None


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_of_somebody_else(place: Place, table: str) -> None:
    if table == "Checkpoints":
        command(place, ".drop materialized-view LatestCheckpoints")
    command(place, f".drop table {table}")
    command(place, f".create table {table} (thread_id:long, other:string)")
    async with on(place) as saver:
        said = f"the database lacks LatestCheckpoints; {REMEDY}"
        if table == "Checkpoints":
            await refused(saver.setup(), "TableNotFoundError", said)
        else:
            await refused(
                saver.setup(),
                "SchemaTooOldError",
                f"column {table}.thread_id is long, not string; this library did not create it:"
                " use another database",
            )
        await refused(
            saver.setup(create=True),
            "QueryFailedError",
            "; check that the tables are those of provision.kql: ",
            "thread_id",
        )


async def test_setup_may_run_again_and_at_the_same_time(place: Place) -> None:
    async with on(place) as saver, on(place) as other:
        await CALLS[PUT](saver)
        await asyncio.gather(*[item.setup(create=True) for item in (saver, other)])
        assert await values_of(other, config_of("t")) == {"a": 1}


async def test_the_view_is_built_over_rows_that_are_there_already(place: Place) -> None:
    command(place, ".drop materialized-view LatestCheckpoints")
    async with on(place) as saver:
        await saver.setup(create=True)
    async with on(place) as other:
        assert await values_of(other, config_of(THREAD)) == {"a": 1}


# -- rows of somebody else -------------------------------------------------------------------------


async def test_a_row_of_a_newer_version_is_refused(
    place: Place, make_saver: Callable[..., Any]
) -> None:
    columns = ", ".join(
        row["ColumnName"] for row in query(place, "Checkpoints | getschema | project ColumnName")
    )
    command(
        place,
        ".set-or-append Checkpoints <| Checkpoints | extend codec = int(99),"
        f' submission_id = strcat("z", submission_id) | project {columns}',
    )
    saver = make_saver()
    for call in (CALLS[GET], CALLS[LIST]):
        await refused(
            call(saver),
            "UnknownCodecError",
            f"of thread '{THREAD}' was written with row codec 99, this version knows 1; upgrade"
            " langgraph-checkpoint-kusto",
        )


async def test_a_row_that_is_not_ours_is_refused(
    place: Place, make_saver: Callable[..., Any]
) -> None:
    command(place, '.ingest inline into table Checkpoints <| "their thread",,"7"')
    saver = make_saver()
    await refused(
        CALLS[LIST](saver),
        "UnknownCodecError",
        "checkpoint '7' of thread 'their thread' has no written_at: this library did not write it,"
        " or with a changed ingestion mapping; see `saver.setup()`",
    )
    await refused(
        saver.aget_tuple(config_of("their thread")),
        "UnknownCodecError",
        "checkpoint '7' of thread 'their thread' was written with row codec None",
    )
    assert await values_of(saver, config_of(THREAD)) == {"a": 1}
