"""The schema: one source, a script that can be run by every front door, and rows that fit it."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from langgraph.checkpoint.kusto import _schema
from langgraph.checkpoint.kusto._schema import TABLES, Table

ROOT = Path(__file__).parents[2]

CHECKPOINTS, BLOBS, WRITES, TOMBSTONES = TABLES
each_table = pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])


def test_provision_kql_is_the_schema() -> None:
    assert (ROOT / "provision.kql").read_text(encoding="utf-8") == _schema.provision_script()


def test_versions_of_what_is_stored() -> None:
    """Rows that are stored carry these; another number is another layout."""
    assert (_schema.SCHEMA_VERSION, _schema.ROW_CODEC) == (1, 1)


def test_the_names_are_fixed() -> None:
    assert [table.name for table in TABLES] == [
        "Checkpoints",
        "CheckpointBlobs",
        "CheckpointWrites",
        "CheckpointTombstones",
    ]
    assert [table.mapping for table in TABLES] == [
        "Checkpoints_v1",
        "CheckpointBlobs_v1",
        "CheckpointWrites_v1",
        "CheckpointTombstones_v1",
    ]
    assert _schema.LATEST == "LatestCheckpoints"
    assert {table.name: table for table in TABLES} == _schema.TABLE_BY_NAME


@each_table
def test_columns(table: Table) -> None:
    names = [column.name for column in table.columns]

    assert len(set(names)) == len(names)
    assert {column.type for column in table.columns} <= {
        "string",
        "int",
        "long",
        "datetime",
        "dynamic",
    }
    assert {"thread_id", "codec", "written_at"} <= set(names)
    assert set(table.row_order) <= set(names)
    # As `let` or column names Microsoft's parser rejects these without quotes.
    reserved = {"latest", "last", "first", "kind", "time", "to", "of", "by", "and", "title"}
    assert not reserved & set(names)


@each_table
def test_encodings(table: Table) -> None:
    """Ids keep an equality index, payload none; only text has either."""
    for column in table.columns:
        if column.name in ("thread_id", "epoch", "run_id", "task_id") or (
            column.name.startswith("checkpoint_") and column.name != "checkpoint_data"
        ):
            assert column.encoding == "Identifier", column
        if column.name in ("data", "ids") or column.name.endswith(("_data", "_refs", "blob_ids")):
            assert column.encoding == "BigObject", column
        assert not column.encoding or column.type == "string"


def test_dynamic_columns_are_only_the_copies_for_people() -> None:
    dynamic = [(t.name, c.name) for t in TABLES for c in t.columns if c.type == "dynamic"]

    assert dynamic == [("Checkpoints", "metadata"), ("Checkpoints", "channel_versions")]


def test_everything_the_first_schema_must_have() -> None:
    """Columns cannot be added later without trouble: also those nothing writes yet."""
    names = {table.name: {column.name for column in table.columns} for table in TABLES}

    assert {"parent_checkpoint_id", "epoch", "run_id", "total_bytes", "metadata"} <= names[
        "Checkpoints"
    ]
    assert {"base_blob_id", "frame_depth", "encoding", "value_hash", "chunk", "chunks"} <= names[
        "CheckpointBlobs"
    ]
    assert {"submission_id", "submission_rows", "task_path", "idx", "chunk"} <= names[
        "CheckpointWrites"
    ]
    assert {"scope", "ids", "through", "part", "parts", "checkpoint_ns"} <= names[
        "CheckpointTombstones"
    ]


def test_retention_outlives_what_needs_the_rows() -> None:
    """The view 90 days, rows 30 more than the view, blobs 30 more than rows."""
    assert (CHECKPOINTS.retention_days, CHECKPOINTS.hot_days) == (120, 30)
    assert WRITES.retention_days == 150
    assert BLOBS.retention_days == 150
    assert TOMBSTONES.retention_days == 365_000
    for table in TABLES:
        assert table.hot_days <= table.retention_days


# ---------------------------------------------------------------------------------------- commands


def test_only_verbs_that_arm_scripts_take() -> None:
    verbs = {command.split()[0] for command in _schema.commands()}

    assert verbs <= {".create", ".create-or-alter", ".create-merge", ".alter", ".alter-merge"}
    assert not any("\n\n" in command for command in _schema.commands())
    assert not any(line.startswith(".") for c in _schema.commands() for line in c.splitlines()[1:])


def test_order_of_the_script() -> None:
    """A table before its encodings, encodings before rows can arrive, streaming last."""
    commands = list(_schema.commands())

    def positions(part: str) -> list[int]:
        found = [place for place, command in enumerate(commands) if part in command]
        assert found
        return found

    assert max(positions(".create-merge table")) < min(positions("policy encoding"))
    assert max(positions("policy encoding")) < min(positions("ingestion json mapping"))
    assert max(positions("ingestion json mapping")) < min(positions("materialized-view"))
    assert positions("policy streamingingestion") == list(range(len(commands) - 4, len(commands)))
    assert max(positions("materialized-view")) < min(positions("function"))


def test_running_it_again_fails_nowhere() -> None:
    for command in _schema.commands():
        if command.startswith(".create "):
            assert command.startswith(".create ifnotexists materialized-view")


@each_table
def test_create_table_names_every_column(table: Table) -> None:
    command = _schema.create_table(table)
    found = re.search(r"\.create-merge table (\w+) \(([^)]*)\) with \(", command)

    assert found is not None
    assert found.group(1) == table.name
    assert found.group(2).split(", ") == [
        f"{column.name}:{column.type}" for column in table.columns
    ]


@each_table
def test_mapping_is_json_with_every_column(table: Table) -> None:
    first, *lines = _schema.create_mapping(table).splitlines()
    quoted = [re.fullmatch(r"'(.*)'", line) for line in lines]
    text = "".join(found.group(1) for found in quoted if found)

    assert first == f'.create-or-alter table {table.name} ingestion json mapping "{table.mapping}"'
    assert all(quoted)
    assert orjson.loads(text) == [
        {"column": column.name, "Properties": {"Path": f"$.{column.name}"}}
        for column in table.columns
    ]


@each_table
def test_policies_of_a_table(table: Table) -> None:
    commands = _schema.commands()
    name = table.name

    assert (
        f".alter-merge table {name} policy retention softdelete = {table.retention_days}d"
        " recoverability = disabled" in commands
    )
    assert f".alter table {name} policy caching hot = {table.hot_days}d" in commands
    assert f".alter table {name} policy streamingingestion enable" in commands
    order = ", ".join(f"{column} asc" for column in table.row_order)
    assert f".alter table {name} policy roworder ({order})" in commands
    for column in table.columns:
        command = f".alter column {name}.{column.name} policy encoding type='{column.encoding}'"
        assert (command in commands) == bool(column.encoding)


def test_the_view_lists_its_columns_and_has_no_payload() -> None:
    (view,) = [command for command in _schema.commands() if " on table " in command]

    assert view == _schema.create_view()
    assert view.count("summarize") == 1
    assert "*" not in view
    assert "_data" not in view
    assert "by thread_id, checkpoint_ns, epoch" in view
    assert "lookback" not in view
    assert "backfill" not in view


def test_the_view_over_rows_that_are_there() -> None:
    view = _schema.create_view(backfill=True)

    assert view.startswith(
        ".create async ifnotexists materialized-view with (backfill=true) LatestCheckpoints on"
        " table Checkpoints {"
    )


def test_the_view_has_policies_of_its_own() -> None:
    view = [c for c in _schema.commands() if c.startswith((".alter materi", ".alter-merge materi"))]

    assert view == [
        ".alter-merge materialized-view LatestCheckpoints policy retention softdelete = 90d"
        " recoverability = disabled",
        ".alter materialized-view LatestCheckpoints policy caching hot = 30d",
    ]


def test_the_functions_for_people() -> None:
    created = "\n".join(c for c in _schema.commands() if "create-or-alter function" in c)

    for name in _schema.FUNCTIONS:
        assert f") {name}(" in created


# ------------------------------------------------------------------------------------------ script


def test_the_script_is_commands_and_comments_only() -> None:
    """Without the comments it is the commands in order, however a front door cuts it."""
    script = _schema.provision_script()
    bare = "\n".join(line for line in script.splitlines() if not line.startswith("//"))
    cut = [part.strip() for part in re.split(r"\n(?=\.)", "\n" + bare) if part.strip()]

    assert cut == list(_schema.commands())
    assert script.endswith("enable\n")
    assert "\t" not in script
    assert not any(line != line.rstrip() for line in script.splitlines())


def test_each_block_says_which_role_and_what_to_change() -> None:
    for block in _schema.blocks():
        assert "Role:" in block.comment
        assert "Change:" in block.comment
        assert block.commands


def test_the_cache_is_cleared_apart_from_the_script() -> None:
    assert _schema.CLEAR_SCHEMA_CACHE not in _schema.commands()
    assert _schema.CLEAR_SCHEMA_CACHE == ".clear database cache streamingingestion schema"
