"""Texts of a list: a page of keys, then the payload of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clauses import (
    BLOB_COLUMNS,
    CHECKPOINT_COLUMNS,
    DEAD_CHECKPOINTS,
    LIVING_CHECKPOINTS,
    LIVING_WRITES,
    SHOW_TOMBSTONES,
    TOMBSTONES_OF_ALL,
    TOMBSTONES_OF_THREAD,
    WEIGHT,
    WRITES_AND_TOMBSTONES,
)

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# Keys of a page of a list. The exact metadata comes along only when a filter has to look at it, and
# only while a page of it stays far under the limit of a result.
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
    text: LiteralString = "declare query_parameters(p_dead:string, p_since:datetime"
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
    text += TOMBSTONES_OF_THREAD if thread else TOMBSTONES_OF_ALL
    text += DEAD_CHECKPOINTS
    text += "Checkpoints\n"
    if thread:
        text += "| where thread_id == p_thread\n"
    if namespace:
        text += "| where checkpoint_ns == p_ns\n"
    if by_id:
        text += "| where checkpoint_id == p_id\n"
    if before:
        text += "| where strcmp(checkpoint_id, p_before) < 0\n"
    if cursor:
        text += _CURSOR
    text += LIVING_CHECKPOINTS
    text += _LIST_METADATA if metadata else _LIST_KEYS
    text += _LIST_TAIL
    text += ";\n"
    text += SHOW_TOMBSTONES
    return text


def read_many(*, thread: bool) -> LiteralString:
    """Some checkpoints whole, by the submission ids of their rows, with blobs and pending writes.

    Args:
        thread: All of one thread (`p_thread`), else of any.
    """
    text: LiteralString = """\
declare query_parameters(p_dead:string, p_since:datetime, p_submissions:string"""
    if thread:
        text += ", p_thread:string"
    text += ", p_budget:long, p_rows:long);\n"
    text += TOMBSTONES_OF_THREAD if thread else TOMBSTONES_OF_ALL
    text += DEAD_CHECKPOINTS
    text += "let heads = materialize(Checkpoints\n"
    if thread:
        text += "    | where thread_id == p_thread\n"
    text += "    | where submission_id in (split(p_submissions, ','))\n"
    text += LIVING_CHECKPOINTS
    text += "    | project "
    text += CHECKPOINT_COLUMNS
    text += _MANY_PARTS
    text += WRITES_AND_TOMBSTONES
    return text


_MANY_PARTS: LiteralString = (
    """);
let threads = heads | distinct thread_id;
let haunted = Checkpoints
    | where thread_id in (threads) and checkpoint_id in ((heads | distinct checkpoint_id))
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
let calls = materialize(CheckpointWrites
    | where thread_id in (threads) and checkpoint_id in ((heads | distinct checkpoint_id))
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        row_bytes
    | join kind=leftsemi heads on thread_id, checkpoint_ns, checkpoint_id
"""
    + LIVING_WRITES
    + """\
    | summarize row_count = count(), all_bytes = sum(row_bytes) by submission_id);
let writes = CheckpointWrites
    | where thread_id in (threads) and checkpoint_id in ((heads | distinct checkpoint_id))
    | where submission_id in ((calls | project submission_id));
let needed = heads
    | mv-expand needed_id = split(blob_ids, ",") to typeof(string)
    | where isnotempty(needed_id)
    | distinct needed_id;
"""
    + WEIGHT
    + """\
let fits = coalesce(write_bytes, 0) <= p_budget and write_rows <= p_rows;
print fits = fits;
heads;
haunted;
CheckpointBlobs
| where thread_id in (threads) and blob_id in (needed) and fits
| project """
    + BLOB_COLUMNS
    + """;
"""
)
