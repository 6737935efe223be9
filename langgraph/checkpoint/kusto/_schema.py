"""Tables, columns, ingestion mappings, the view, and the commands that create all of it.

The single source of the schema: `provision.kql` is `provision_script()` written to a file (a test
proves that they are equal) and `setup(create=True)` runs `commands()`. The texts of the stored
functions stand in `_functions.py`, those of the saver in `_kql`; nothing here talks to Kusto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import _functions

SCHEMA_VERSION = 1
"""Version in the names of the ingestion mappings: a library newer than its tables fails loudly."""

ROW_CODEC = 1
"""Layout of the rows this library writes and reads, stored in each row."""

CHECKPOINTS = "Checkpoints"
BLOBS = "CheckpointBlobs"
WRITES = "CheckpointWrites"
TOMBSTONES = "CheckpointTombstones"
LATEST = "LatestCheckpoints"

RETENTION_DAYS = 90
"""Days a thread nobody writes can be resumed, as provisioned: what the view keeps."""

RENEWAL_DAYS = 30
"""What is older than this and still needed by a new checkpoint is stored again. Checkpoints are
kept this much longer than the view, blobs and writes this much longer than checkpoints: what was
younger than this when a checkpoint was put is there as long as that checkpoint, and of an old one
the row goes first (`_retention`)."""

ROW_DAYS = RETENTION_DAYS + RENEWAL_DAYS
BLOB_DAYS = ROW_DAYS + RENEWAL_DAYS

HOT_DAYS = 30
FUNCTIONS = tuple(function.name for function in _functions.FUNCTIONS)
"""Names of the stored functions for people who write KQL."""

FOREVER_DAYS = 365_000  # Kusto's own default for soft delete, 1,000 years


@dataclass(frozen=True)
class Column:
    """One column: its Kusto type and, where it is not the default, its encoding policy.

    `Identifier` keeps an equality index also for ids of one or two characters or without Latin
    letters, which the default term index has no term for; `BigObject` switches the index off and
    raises the bound of a cell from 1 MB to 2 MB (alter-encoding-policy, data types).
    """

    name: str
    type: str
    encoding: str = ""


@dataclass(frozen=True)
class Table:
    """One append-only table and the policies it is provisioned with."""

    name: str
    docstring: str
    columns: tuple[Column, ...]
    retention_days: int
    hot_days: int
    row_order: tuple[str, ...]

    @property
    def mapping(self) -> str:
        """Name of the ingestion mapping, with the schema version in it."""
        return f"{self.name}_v{SCHEMA_VERSION}"


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*line.split()) for line in text.strip().splitlines())


TABLES: tuple[Table, ...] = (
    Table(
        name=CHECKPOINTS,
        docstring="LangGraph checkpoints, one row each; read them through LiveCheckpoints()",
        columns=_columns(
            """
            thread_id string Identifier
            checkpoint_ns string Identifier
            checkpoint_id string Identifier
            parent_checkpoint_id string Identifier
            epoch string Identifier
            run_id string Identifier
            submission_id string Identifier
            written_at datetime
            codec int
            step long
            source string
            metadata dynamic
            channel_versions dynamic
            row_bytes long
            total_bytes long
            blob_rows long
            checkpoint_data string BigObject
            metadata_data string BigObject
            inline_data string BigObject
            blob_refs string BigObject
            blob_ids string BigObject
            """
        ),
        retention_days=ROW_DAYS,
        hot_days=HOT_DAYS,
        row_order=("thread_id", "checkpoint_ns", "checkpoint_id"),
    ),
    Table(
        name=BLOBS,
        docstring="Large values of LangGraph checkpoints, one row per chunk of a stored copy",
        columns=_columns(
            """
            thread_id string Identifier
            blob_id string Identifier
            chunk int
            chunks int
            checkpoint_ns string Identifier
            checkpoint_id string Identifier
            epoch string Identifier
            run_id string Identifier
            channel string
            version string
            value_type string
            codec int
            encoding string
            base_blob_id string Identifier
            frame_depth int
            value_bytes long
            value_hash string
            stored_bytes long
            written_at datetime
            data string BigObject
            """
        ),
        retention_days=BLOB_DAYS,
        hot_days=HOT_DAYS + RENEWAL_DAYS,
        row_order=("thread_id", "blob_id", "chunk"),
    ),
    Table(
        name=WRITES,
        docstring="Pending writes of LangGraph tasks, one row per chunk of a write",
        columns=_columns(
            """
            thread_id string Identifier
            checkpoint_ns string Identifier
            checkpoint_id string Identifier
            epoch string Identifier
            run_id string Identifier
            submission_id string Identifier
            submission_row int
            submission_rows int
            task_id string Identifier
            task_path string
            idx int
            channel string
            value_type string
            codec int
            encoding string
            chunk int
            chunks int
            value_bytes long
            value_hash string
            row_bytes long
            written_at datetime
            data string BigObject
            """
        ),
        retention_days=BLOB_DAYS,
        hot_days=HOT_DAYS,
        row_order=("thread_id", "checkpoint_ns", "checkpoint_id"),
    ),
    Table(
        name=TOMBSTONES,
        docstring="What is deleted: epochs of a thread, runs, checkpoints; kept for ever",
        columns=_columns(
            """
            thread_id string Identifier
            tombstone_id string Identifier
            scope string
            part int
            parts int
            ids string BigObject
            checkpoint_ns string Identifier
            through datetime
            reason string
            codec int
            written_at datetime
            """
        ),
        retention_days=FOREVER_DAYS,
        hot_days=FOREVER_DAYS,
        row_order=("thread_id",),
    ),
)

TABLE_BY_NAME = {table.name: table for table in TABLES}

# Explicit columns: `arg_max(x, *)` would disable the view as soon as a column is added to the
# table. No payload: each materialisation writes the changed rows again.
_VIEW_QUERY = """\
Checkpoints
| summarize arg_max(checkpoint_id, parent_checkpoint_id, written_at, step, source, run_id)
    by thread_id, checkpoint_ns, epoch"""


def create_table(table: Table) -> str:
    """Create the table, or add the columns it lacks."""
    columns = ", ".join(f"{column.name}:{column.type}" for column in table.columns)
    return (
        f".create-merge table {table.name} ({columns})"
        f" with (folder='langgraph', docstring='{table.docstring}')"
    )


def alter_encodings(table: Table) -> Iterator[str]:
    """Set the encoding policies; they hold for rows that arrive later, so this comes first."""
    for column in table.columns:
        if column.encoding:
            yield (
                f".alter column {table.name}.{column.name} policy encoding type='{column.encoding}'"
            )


def alter_retention(table: Table) -> str:
    """Set how long Kusto keeps the rows."""
    return change_retention(table.name, table.retention_days)


def change_retention(table: str, days: int) -> str:
    """Set how many days Kusto keeps the rows of a table."""
    return (
        f".alter-merge table {table} policy retention"
        f" softdelete = {days}d recoverability = disabled"
    )


def alter_caching(table: Table) -> str:
    """Set how long the rows stay in the hot cache."""
    return f".alter table {table.name} policy caching hot = {table.hot_days}d"


def alter_row_order(table: Table) -> str:
    """Order the rows of an extent by the keys that every read filters on."""
    keys = ", ".join(f"{name} asc" for name in table.row_order)
    return f".alter table {table.name} policy roworder ({keys})"


def create_mapping(table: Table) -> str:
    """Create or replace the ingestion mapping of this schema version."""
    fields = [
        f'{{"column":"{column.name}","Properties":{{"Path":"$.{column.name}"}}}}'
        for column in table.columns
    ]
    lines = [f"'{field},'" for field in fields[:-1]] + [f"'{fields[-1]}'"]
    body = "\n".join(["'['", *lines, "']'"])
    return f'.create-or-alter table {table.name} ingestion json mapping "{table.mapping}"\n{body}'


def create_view(*, backfill: bool = False) -> str:
    """Create the view of the newest checkpoint of each thread, namespace and epoch.

    Args:
        backfill: Also materialise the rows that are already there. Kusto then builds the view in
            the background, and queries of the view fail until it is done.
    """
    verb = ".create async ifnotexists" if backfill else ".create ifnotexists"
    options = " with (backfill=true)" if backfill else ""
    return (
        f"{verb} materialized-view{options} {LATEST} on table {CHECKPOINTS} {{\n{_VIEW_QUERY}\n}}"
    )


def alter_view_policies() -> Iterator[str]:
    """Set the view's own retention and caching: it does not inherit those of its table."""
    yield (
        f".alter-merge materialized-view {LATEST} policy retention"
        f" softdelete = {RETENTION_DAYS}d recoverability = disabled"
    )
    yield f".alter materialized-view {LATEST} policy caching hot = {HOT_DAYS}d"


def create_functions() -> Iterator[str]:
    """Create or replace the stored functions for people who write KQL."""
    for function in _functions.FUNCTIONS:
        yield function.command


def enable_streaming(table: Table) -> str:
    """Let the table take streaming ingestion."""
    return f".alter table {table.name} policy streamingingestion enable"


CLEAR_SCHEMA_CACHE = ".clear database cache streamingingestion schema"
"""Make every node see new tables, mappings and policies at once instead of within 5 minutes."""


@dataclass(frozen=True)
class Block:
    """Commands of the script that belong together, and the comment above them."""

    comment: str
    commands: tuple[str, ...]


def blocks() -> tuple[Block, ...]:
    """The script in order: encodings before any row can arrive, streaming last."""
    return (
        Block(
            "Tables. Role: Database User for new tables, Table Admin to add columns to old ones.\n"
            "Change: nothing; the names are fixed (two environments use two databases).",
            tuple(create_table(table) for table in TABLES),
        ),
        Block(
            "Encoding of the columns. Role: Table Admin.\n"
            "Change: nothing. It holds only for rows that arrive later, hence before the rest.",
            tuple(command for table in TABLES for command in alter_encodings(table)),
        ),
        Block(
            "Retention: a thread nobody writes can be resumed as long as the view keeps it, which\n"
            "comes further down: 90 days. Checkpoints are kept 30 days more, writes and blobs\n"
            "another 30, tombstones for ever. Role: Table Admin. Change: the days, together with\n"
            "those of the view; keep the differences of 30 days and CheckpointTombstones as it is.",
            tuple(alter_retention(table) for table in TABLES),
        ),
        Block(
            "Hot cache. Role: Table Admin.\n"
            "Change: the days, as long as threads are usually resumed within them.",
            tuple(alter_caching(table) for table in TABLES),
        ),
        Block(
            "Row order. Role: Table Admin. Change: nothing.",
            tuple(alter_row_order(table) for table in TABLES),
        ),
        Block(
            "Ingestion mappings. Role: Table Ingestor. Change: nothing; the version in the name\n"
            "lets a library that is newer than these tables fail loudly.",
            tuple(create_mapping(table) for table in TABLES),
        ),
        Block(
            "The newest checkpoint of each thread, namespace and epoch. Role: Database Admin.\n"
            "Change: when Checkpoints already has rows and this view does not exist, write\n"
            "`.create async ifnotexists materialized-view with (backfill=true) ...` instead, wait\n"
            "until `.show operations` says Completed, then run the script again.",
            (create_view(),),
        ),
        Block(
            "The view's own retention and hot cache; it does not inherit them from its table.\n"
            "Role: Database Admin. Change: the days, together with those of the tables.",
            tuple(alter_view_policies()),
        ),
        Block(
            "Functions for people who write KQL. Role: Database User, Function Admin to replace.\n"
            "Change: nothing; copy them under another name to change them.",
            tuple(create_functions()),
        ),
        Block(
            "Streaming ingestion, last because it fails where the cluster has it switched off\n"
            "(Azure portal: cluster, Settings, Configurations, Streaming ingestion; always on in\n"
            "Fabric and on free clusters). Role: Table Admin. Change: nothing.",
            tuple(enable_streaming(table) for table in TABLES),
        ),
    )


def commands() -> tuple[str, ...]:
    """Every management command of the script, in order."""
    return tuple(command for block in blocks() for command in block.commands)


_HEADER = f"""\
langgraph-checkpoint-kusto, schema version {SCHEMA_VERSION}.

Creates the tables, policies, mappings, view and functions the checkpoint saver needs. Safe to run
again: it adds what is missing, replaces mappings and functions, and sets policies to the values
below. Needs Database Admin for all of it; each block says what it needs for itself. Running the
saver needs only Database Viewer and Database Ingestor.

Azure Data Explorer Web UI and Fabric: put this line first, select all, run:
  .execute database script with (ThrowOnErrors=true) <|
Azure CLI (one line), or an ARM script resource with the content of this file:
  az kusto script create --cluster-name C --database-name D --resource-group G --name langgraph
    --script-content "$(cat provision.kql)"

After a change of an existing database the streaming nodes may use the old schema for up to five
minutes; `.clear database cache streamingingestion schema` (Database Ingestor) ends that. It is not
part of this file because ARM scripts do not allow the verb; `setup(create=True)` runs it."""


def _comment(text: str) -> str:
    return "\n".join(f"// {line}".rstrip() for line in text.splitlines())


def provision_script() -> str:
    """The text of `provision.kql`."""
    parts = [_comment(_HEADER)]
    for block in blocks():
        parts.append(_comment(block.comment) + "\n" + "\n\n".join(block.commands))
    return "\n\n".join(parts) + "\n"
