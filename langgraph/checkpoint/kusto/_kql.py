"""Every query text the library sends, named and explained. Nothing else in the library holds KQL
but the schema (`_schema.py`).

Rules:
- Values enter as query parameters, never as text.
- Lists of our own ids (blobs, epochs, submissions: letters, digits) enter as comma-separated
  strings: a `dynamic` could retype what looks like a number or a date.
- Ids compare with `strcmp`, KQL has no `<` on strings.
- Rows of killed epochs are removed before anything is deduplicated, else a dead row with a later
  time would hide the living one.
- Writes without an epoch arrived before their checkpoint was known; they live and die with it.
- The view is asked for ids only: which of two copies it shows is arbitrary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from ._schema import CLEAR_SCHEMA_CACHE, create_view

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# What the readers take from each table, in one place each.
_CHECKPOINT_COLUMNS: LiteralString = """thread_id, checkpoint_ns, checkpoint_id,
    parent_checkpoint_id, epoch, run_id, submission_id, written_at, codec, row_bytes, total_bytes,
    checkpoint_data, metadata_data, inline_data, blob_refs, blob_ids"""

_BLOB_COLUMNS: LiteralString = """blob_id, chunk, chunks, value_type, codec, encoding,
    base_blob_id, frame_depth, value_bytes, value_hash, data"""

_WRITE_COLUMNS: LiteralString = """thread_id, checkpoint_ns, checkpoint_id, epoch, run_id,
    submission_id, submission_row, submission_rows, task_id, task_path, idx, channel, value_type,
    codec, encoding, chunk, chunks, value_bytes, value_hash, row_bytes, written_at, data"""

_TOMBSTONE_COLUMNS: LiteralString = """thread_id, tombstone_id, scope, part, parts, ids, codec,
    written_at, reason"""

# `killed`: epochs that are dead, as stored (whole tombstones only) or as this process knows.
_KILLED: LiteralString = """\
let parts_seen = tombstones
    | where scope == "epochs"
    | distinct tombstone_id, part, parts
    | summarize seen = count() by tombstone_id, parts
    | where seen == parts
    | project tombstone_id;
let killed = materialize(
    union
        (tombstones | where scope == "epochs" and tombstone_id in (parts_seen) | project ids),
        (print ids = p_killed)
    | mv-expand dead = split(ids, ",") to typeof(string)
    | where isnotempty(dead)
    | distinct dead);
"""

_TOMBSTONES_OF_THREAD: LiteralString = (
    """\
let tombstones = materialize(CheckpointTombstones
    | where thread_id == p_thread
    | project """
    + _TOMBSTONE_COLUMNS
    + """);
"""
    + _KILLED
)

_TOMBSTONES_OF_ALL: LiteralString = (
    """\
let tombstones = materialize(CheckpointTombstones
    | project """
    + _TOMBSTONE_COLUMNS
    + """);
"""
    + _KILLED
)

# What both reads of whole checkpoints weigh and end with. Payload comes along only while the result
# stays under the budget, else the caller pages it; `fits` is one answer for both tables.
_WEIGHT: LiteralString = """\
let write_bytes = toscalar(writes | summarize sum(row_bytes));
let write_rows = toscalar(writes | summarize count());
"""

_WRITES_AND_TOMBSTONES: LiteralString = (
    """\
writes
| where fits
| project """
    + _WRITE_COLUMNS
    + """;
tombstones
"""
)

# One checkpoint whole: its row, blobs, pending writes.
_READ_ONE: LiteralString = (
    """\
let heads = materialize(Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == wanted
    | where epoch !in (killed)
    | top 1 by strcat(tostring(written_at), submission_id) desc
    | project """
    + _CHECKPOINT_COLUMNS
    + """);
let writes = materialize(CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == wanted
    | where epoch !in (killed));
let needed = union (heads | project ids = blob_ids), (print ids = p_blobs)
    | mv-expand needed_id = split(ids, ",") to typeof(string)
    | where isnotempty(needed_id)
    | distinct needed_id;
let head_bytes = toscalar(heads | summarize sum(total_bytes));
"""
    + _WEIGHT
    + """\
let fits = coalesce(head_bytes, 0) + coalesce(write_bytes, 0) <= p_budget and write_rows <= p_rows;
print wanted_id = wanted, seen_id = seen, fits = fits;
heads;
CheckpointBlobs
| where thread_id == p_thread and blob_id in (needed) and fits
| project """
    + _BLOB_COLUMNS
    + """;
"""
    + _WRITES_AND_TOMBSTONES
)
READ_LATEST: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_local:string, p_killed:string,
    p_blobs:string, p_budget:long, p_rows:long);
"""
    + _TOMBSTONES_OF_THREAD
    + """\
let seen = coalesce(toscalar(LatestCheckpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where epoch !in (killed)
    | top 1 by checkpoint_id desc
    | project checkpoint_id), "");
let wanted = iff(strcmp(p_local, seen) > 0, p_local, seen);
"""
    + _READ_ONE
)
"""The newest checkpoint of a namespace: the greatest id among the view's living epochs and
`p_local`, the greatest id this process has and that may not be visible yet."""

READ_BY_ID: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_id:string, p_killed:string,
    p_blobs:string, p_budget:long, p_rows:long);
"""
    + _TOMBSTONES_OF_THREAD
    + """\
let seen = "";
let wanted = p_id;
"""
    + _READ_ONE
)
"""The checkpoint with an id, in the copy that was written last."""

READ_BLOBS: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ids:string, p_low:long, p_high:long);
CheckpointBlobs
| where thread_id == p_thread and blob_id in (split(p_ids, ","))
| where chunk between (p_low .. p_high)
| project """
    + _BLOB_COLUMNS
    + """
"""
)
"""A page of blobs: some whole ones, or a range of the chunks of one."""

SUM_WRITES: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_id:string, p_killed:string);
"""
    + _TOMBSTONES_OF_THREAD
    + """\
CheckpointWrites
| where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
| where epoch !in (killed)
| summarize row_count = count(), largest = max(row_bytes), all_bytes = sum(row_bytes),
    submission_rows = max(submission_rows)
    by submission_id
| sort by submission_id asc
"""
)
"""What the pending writes of a checkpoint weigh, by submission, to plan pages."""

READ_WRITES: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_id:string, p_ids:string, p_low:long,
    p_high:long);
CheckpointWrites
| where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
| where submission_id in (split(p_ids, ","))
| where submission_row between (p_low .. p_high)
| project """
    + _WRITE_COLUMNS
    + """
"""
)
"""A page of pending writes: some whole submissions, or a range of the rows of one."""

READ_EPOCHS: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_killed:string);
"""
    + _TOMBSTONES_OF_THREAD
    + """\
union
    (Checkpoints | where thread_id == p_thread | distinct epoch),
    (CheckpointWrites | where thread_id == p_thread | distinct epoch)
| where isnotempty(epoch)
| where epoch !in (killed)
| distinct epoch;
tombstones
"""
)
"""The living epochs of a thread: what a delete kills."""

FIND_EPOCH: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_id:string);
Checkpoints
| where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
| distinct epoch;
CheckpointTombstones
| where thread_id == p_thread
| project """
    + _TOMBSTONE_COLUMNS
    + """
"""
)
"""The epochs a checkpoint was stored under, dead ones included: what its children inherit."""

CONFIRM: LiteralString = """\
declare query_parameters(p_since:datetime, p_checkpoints:string, p_blobs:string, p_writes:string,
    p_tombstones:string);
Checkpoints
| where written_at >= p_since and submission_id in (split(p_checkpoints, ","))
| distinct submission_id;
CheckpointBlobs
| where written_at >= p_since and blob_id in (split(p_blobs, ","))
| distinct blob_id, chunk
| summarize row_count = count() by blob_id;
CheckpointWrites
| where written_at >= p_since and submission_id in (split(p_writes, ","))
| distinct submission_id, submission_row
| summarize row_count = count() by submission_id;
CheckpointTombstones
| where written_at >= p_since and tombstone_id in (split(p_tombstones, ","))
| distinct tombstone_id, part
| summarize row_count = count() by tombstone_id
"""
"""Which of the rows this process keeps in its overlay are visible by now. The time is that of the
oldest row asked for: it spares Kusto the extents from before."""

# Keys of a page of a list. The exact metadata comes along only when a filter has to look at it, and
# only while a page of it stays far under the limit of a result.
_LIST_HEAD: LiteralString = """\
| where epoch !in (killed)
"""
_LIST_TAIL: LiteralString = """\
| order by checkpoint_id desc, thread_id asc, checkpoint_ns asc
| take 200
"""
_LIST_KEYS: LiteralString = """\
| summarize arg_max(strcat(tostring(written_at), submission_id), submission_id, written_at,
    total_bytes) by thread_id, checkpoint_ns, checkpoint_id
| project thread_id, checkpoint_ns, checkpoint_id, submission_id, written_at, total_bytes
"""
_LIST_METADATA: LiteralString = """\
| summarize arg_max(strcat(tostring(written_at), submission_id), submission_id, written_at,
    total_bytes, metadata_data) by thread_id, checkpoint_ns, checkpoint_id
| project thread_id, checkpoint_ns, checkpoint_id, submission_id, written_at, total_bytes,
    metadata_data = iff(strlen(metadata_data) <= 65536, metadata_data, "")
"""
_CURSOR: LiteralString = """\
| extend after_id = strcmp(checkpoint_id, p_cursor_id), after_thread = strcmp(thread_id,
    p_cursor_thread), after_ns = strcmp(checkpoint_ns, p_cursor_ns)
| where after_id < 0 or (after_id == 0 and (after_thread > 0 or (after_thread == 0
    and after_ns > 0)))
"""

LIST_PAGE_ROWS = 200
"""Rows of one page of keys, the number in `_LIST_TAIL`."""


def list_keys(
    *, thread: bool, namespace: bool, by_id: bool, before: bool, cursor: bool, metadata: bool
) -> LiteralString:
    """A page of checkpoint keys, newest first, living epochs only, one row for each checkpoint.

    Args:
        thread: Only one thread (`p_thread`), else all.
        namespace: Only one namespace (`p_ns`), else all.
        by_id: Only one checkpoint id (`p_id`).
        before: Only ids less than `p_before`.
        cursor: Only keys after the last one of the page before.
        metadata: With the exact metadata.
    """
    text: LiteralString = "declare query_parameters(p_killed:string"
    if thread:
        text += ", p_thread:string"
    if namespace:
        text += ", p_ns:string"
    if by_id:
        text += ", p_id:string"
    if before:
        text += ", p_before:string"
    if cursor:
        text += ", p_cursor_id:string, p_cursor_thread:string, p_cursor_ns:string"
    text += ");\n"
    text += _TOMBSTONES_OF_THREAD if thread else _TOMBSTONES_OF_ALL
    text += "Checkpoints\n"
    if thread:
        text += "| where thread_id == p_thread\n"
    if namespace:
        text += "| where checkpoint_ns == p_ns\n"
    if by_id:
        text += "| where checkpoint_id == p_id\n"
    if before:
        text += "| where strcmp(checkpoint_id, p_before) < 0\n"
    text += _LIST_HEAD
    if cursor:
        text += _CURSOR
    text += _LIST_METADATA if metadata else _LIST_KEYS
    text += _LIST_TAIL
    text += ";\ntombstones\n"
    return text


def read_many(*, thread: bool) -> LiteralString:
    """Some checkpoints whole, by the submission ids of their rows, with blobs and pending writes.

    Args:
        thread: All of one thread (`p_thread`), else of any.
    """
    text: LiteralString = "declare query_parameters(p_killed:string, p_submissions:string"
    if thread:
        text += ", p_thread:string"
    text += ", p_budget:long, p_rows:long);\n"
    text += _TOMBSTONES_OF_THREAD if thread else _TOMBSTONES_OF_ALL
    text += "let heads = materialize(Checkpoints\n"
    if thread:
        text += "    | where thread_id == p_thread\n"
    text += "    | where submission_id in (split(p_submissions, ','))\n    | project "
    text += _CHECKPOINT_COLUMNS
    text += _MANY_PARTS
    text += _WRITES_AND_TOMBSTONES
    return text


_MANY_PARTS: LiteralString = (
    """);
let threads = heads | distinct thread_id;
let writes = materialize(CheckpointWrites
    | where thread_id in (threads) and checkpoint_id in ((heads | distinct checkpoint_id))
    | where epoch !in (killed)
    | join kind=leftsemi heads on thread_id, checkpoint_ns, checkpoint_id);
let needed = heads
    | mv-expand needed_id = split(blob_ids, ",") to typeof(string)
    | where isnotempty(needed_id)
    | distinct needed_id;
"""
    + _WEIGHT
    + """\
let fits = coalesce(write_bytes, 0) <= p_budget and write_rows <= p_rows;
print fits = fits;
heads;
CheckpointBlobs
| where thread_id in (threads) and blob_id in (needed) and fits
| project """
    + _BLOB_COLUMNS
    + """;
"""
)


SHOW_SCHEMA: LiteralString = ".show database schema as json"
"""Tables with their columns, functions and views of the database."""

COUNT_CHECKPOINTS: LiteralString = "Checkpoints | take 1 | count"
"""Whether the table has rows, so that the view has to be built from them."""


def show_mappings(table: str) -> str:
    """List the ingestion mappings of one of our tables."""
    return f".show table {quote_name(table)} ingestion json mappings"


def show_streaming(table: str) -> str:
    """Show the streaming policy of one of our tables."""
    return f".show table {quote_name(table)} policy streamingingestion"


def show_database_streaming(database: str) -> str:
    """Show the streaming policy that holds where a table has none."""
    return f".show database {quote_name(database)} policy streamingingestion"


def show_operation(operation_id: str) -> str:
    """Show how an operation in the background is doing; the id is Kusto's own."""
    return f".show operations {UUID(operation_id)}"


def quote_name(name: str) -> str:
    """Quote an entity name for a management command, the only texts that take no parameters."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def all_texts() -> Iterator[tuple[str, str]]:
    """Every text the library can send, with every optional clause both ways (for the lint)."""
    yield "READ_LATEST", READ_LATEST
    yield "READ_BY_ID", READ_BY_ID
    yield "READ_BLOBS", READ_BLOBS
    yield "SUM_WRITES", SUM_WRITES
    yield "READ_WRITES", READ_WRITES
    yield "READ_EPOCHS", READ_EPOCHS
    yield "FIND_EPOCH", FIND_EPOCH
    yield "CONFIRM", CONFIRM
    names = ("thread", "namespace", "by_id", "before", "cursor", "metadata")
    for bits in range(2 ** len(names)):
        flags = {name: bool(bits >> place & 1) for place, name in enumerate(names)}
        label = ",".join(name for name, chosen in flags.items() if chosen)
        yield f"list_keys({label})", list_keys(**flags)
    yield "SHOW_SCHEMA", SHOW_SCHEMA
    yield "show_database_streaming", show_database_streaming("database")
    yield "COUNT_CHECKPOINTS", COUNT_CHECKPOINTS
    yield "show_mappings", show_mappings("Checkpoints")
    yield "show_streaming", show_streaming("Checkpoints")
    yield "show_operation", show_operation("00000000-0000-0000-0000-000000000001")
    yield "create_view(backfill)", create_view(backfill=True)
    yield "CLEAR_SCHEMA_CACHE", CLEAR_SCHEMA_CACHE
    for thread in (False, True):
        yield f"read_many(thread={thread})", read_many(thread=thread)
