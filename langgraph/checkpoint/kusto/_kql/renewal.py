"""Texts that read rows with all their columns, to send the same rows again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._schema import BLOBS, CHECKPOINTS, WRITES
from .clauses import (
    DEAD_CHECKPOINTS,
    LAST_END,
    LASTING_WRITES,
    LIVING_CHECKPOINTS,
    TOMBSTONES_OF_THREAD,
)

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# Ids of checkpoints are any text and enter as base64. A row that landed several times comes as
# often when it is read, so it weighs as much; a call of `put_writes` counts only when it is whole.
WEIGH_ANCESTORS: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_heads:string, p_ids:string, p_dead:string,
    p_since:datetime);
"""
    + TOMBSTONES_OF_THREAD
    + DEAD_CHECKPOINTS
    + LAST_END
    + """\
let ids = materialize(print item = split(p_ids, ",")
    | mv-expand item to typeof(string)
    | where isnotempty(item)
    | project checkpoint_id = base64_decode_tostring(substring(item, 1)));
let haunted = Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id in (ids)
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where submission_id in (split(p_heads, ","))
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        row_bytes, blob_ids, refs = iff(blob_refs contains_cs '"values":{', "", blob_refs)
"""
    + LIVING_CHECKPOINTS
    + """\
    | summarize all_bytes = sum(row_bytes) by submission_id, blob_ids, refs;
CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id in (ids)
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        submission_row, submission_rows, row_bytes
"""
    + LASTING_WRITES
    + """\
    | summarize row_bytes = sum(row_bytes) by submission_id, submission_rows, submission_row
    | summarize row_count = count(), all_bytes = sum(row_bytes), largest = max(row_bytes)
        by submission_id, submission_rows
    | where row_count == submission_rows
"""
)
"""The living rows of some ancestors: what they weigh, and which blobs they need. `refs` is the list
of references where it does not stand in the row itself."""

WEIGH_BLOBS: LiteralString = """\
declare query_parameters(p_thread:string, p_ids:string);
CheckpointBlobs
| where thread_id == p_thread and blob_id in (split(p_ids, ","))
| extend landed = coalesce(ingestion_time(), written_at)
| summarize landings = count(), landed = max(landed)
    by blob_id, chunk, chunks, stored_bytes
| summarize row_count = count(), landings = max(landings), ingested = min(landed)
    by blob_id, chunks, stored_bytes
| where row_count == chunks
"""
"""Some blobs: what they weigh, and how old they are."""

_AGAIN = "declare query_parameters(p_thread:string, p_ids:string, p_low:long, p_high:long);\n"

READ_AGAIN: Mapping[str, LiteralString] = {
    CHECKPOINTS: _AGAIN
    + """\
Checkpoints
| where thread_id == p_thread and submission_id in (split(p_ids, ","))
| extend part = 0
| where part between (p_low .. p_high)
| project thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, run_id,
    submission_id, written_at, codec, step, source, metadata = tostring(metadata),
    channel_versions = tostring(channel_versions), row_bytes, total_bytes, blob_rows,
    checkpoint_data, metadata_data, inline_data, blob_refs, blob_ids
""",
    WRITES: _AGAIN
    + """\
CheckpointWrites
| where thread_id == p_thread and submission_id in (split(p_ids, ","))
| where submission_row between (p_low .. p_high)
| project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, submission_row,
    submission_rows, task_id, task_path, idx, channel, value_type, codec, encoding, chunk, chunks,
    value_bytes, value_hash, row_bytes, written_at, data
""",
    BLOBS: _AGAIN
    + """\
CheckpointBlobs
| where thread_id == p_thread and blob_id in (split(p_ids, ","))
| where chunk between (p_low .. p_high)
| project thread_id, blob_id, chunk, chunks, checkpoint_ns, checkpoint_id, epoch, run_id, channel,
    version, value_type, codec, encoding, base_blob_id, frame_depth, value_bytes, value_hash,
    stored_bytes, written_at, data
""",
}
"""A page of rows of a table with all columns: some whole submissions or copies, or a range of the
rows of one."""
