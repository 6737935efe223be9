"""Texts that read one checkpoint, or pages of its payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clauses import (
    BLOB_COLUMNS,
    CHECKPOINT_COLUMNS,
    DEAD_CHECKPOINT,
    DEAD_CHECKPOINTS,
    LIVING_CHECKPOINTS,
    LIVING_WRITES,
    TOMBSTONES_OF_THREAD,
    WEIGHT,
    WRITE_COLUMNS,
    WRITES_AND_TOMBSTONES,
)

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# One checkpoint whole: its row, blobs, pending writes.
_READ_ONE: LiteralString = (
    """\
let present = materialize(Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == wanted
    | project """
    + CHECKPOINT_COLUMNS
    + """);
let heads = materialize(present
"""
    + LIVING_CHECKPOINTS
    + """\
    | top 1 by strcat(tostring(written_at), submission_id) desc
    | project """
    + CHECKPOINT_COLUMNS
    + """);
let found = toscalar(present | where epoch !in (killed) | count) > 0;
let hidden = found and toscalar(heads | count) == 0;
let haunted = present
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
let calls = materialize(CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == wanted
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        row_bytes
"""
    + LIVING_WRITES
    + """\
    | summarize row_count = count(), all_bytes = sum(row_bytes) by submission_id);
let writes = CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == wanted
    | where submission_id in ((calls | project submission_id));
let needed = union (heads | project ids = blob_ids), (print ids = p_blobs)
    | mv-expand needed_id = split(ids, ",") to typeof(string)
    | where isnotempty(needed_id)
    | distinct needed_id;
let head_bytes = toscalar(heads | summarize sum(total_bytes));
"""
    + WEIGHT
    + """\
let fits = coalesce(head_bytes, 0) + coalesce(write_bytes, 0) <= p_budget and write_rows <= p_rows;
print wanted_id = wanted, seen_id = seen, fits = fits, hidden = hidden,
    present = toscalar(present | count) > 0, haunted = toscalar(haunted | count) > 0,
    last_delete = toscalar(tombstones | summarize max(written_at));
heads;
CheckpointBlobs
| where thread_id == p_thread and blob_id in (needed) and fits
| project """
    + BLOB_COLUMNS
    + """;
"""
    + WRITES_AND_TOMBSTONES
)
_READ_LATEST_PARAMETERS: LiteralString = """\
declare query_parameters(p_thread:string, p_ns:string, p_encoded_ns:string, p_local:string,
    p_dead:string, p_since:datetime, p_blobs:string, p_budget:long, p_rows:long);
"""
READ_LATEST: LiteralString = (
    _READ_LATEST_PARAMETERS
    + TOMBSTONES_OF_THREAD
    + """\
let seen = coalesce(toscalar(LatestCheckpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where epoch !in (killed)
    | top 1 by checkpoint_id desc
    | project checkpoint_id), "");
let wanted = iff(strcmp(p_local, seen) > 0, p_local, seen);
"""
    + DEAD_CHECKPOINT
    + _READ_ONE
)
"""The newest checkpoint of a namespace: the greatest id among the view's living epochs and
`p_local`, the greatest id this process has and that may not be visible yet."""

READ_LATEST_UNHIDDEN: LiteralString = (
    _READ_LATEST_PARAMETERS
    + TOMBSTONES_OF_THREAD
    + DEAD_CHECKPOINTS
    + """\
let seen = coalesce(toscalar(Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, written_at
"""
    + LIVING_CHECKPOINTS
    + """\
    | top 1 by checkpoint_id desc
    | project checkpoint_id), "");
let wanted = iff(strcmp(p_local, seen) > 0, p_local, seen);
"""
    + _READ_ONE
)
"""The same from the table, when the view's newest is deleted: the view cannot know the next one."""

READ_BY_ID: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_encoded_ns:string, p_id:string,
    p_dead:string, p_since:datetime, p_blobs:string, p_budget:long, p_rows:long);
"""
    + TOMBSTONES_OF_THREAD
    + """\
let seen = "";
let wanted = p_id;
"""
    + DEAD_CHECKPOINT
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
    + BLOB_COLUMNS
    + """
"""
)
"""A page of blobs: some whole ones, or a range of the chunks of one."""

SUM_WRITES: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_encoded_ns:string, p_id:string,
    p_dead:string);
"""
    + TOMBSTONES_OF_THREAD
    + """\
let wanted = p_id;
"""
    + DEAD_CHECKPOINT
    + """\
let haunted = Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
"""
    + LIVING_WRITES
    + """\
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
    + WRITE_COLUMNS
    + """
"""
)
"""A page of pending writes: some whole submissions, or a range of the rows of one."""
