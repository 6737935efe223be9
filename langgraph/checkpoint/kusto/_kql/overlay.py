"""The text that asks which rows of the overlay are visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import LiteralString

CONFIRM: LiteralString = """\
declare query_parameters(p_since:datetime, p_checkpoints:string, p_blobs:string, p_writes:string,
    p_tombstones:string);
let shown = materialize(Checkpoints
    | where written_at >= p_since and submission_id in (split(p_checkpoints, ","))
    | distinct submission_id, thread_id, checkpoint_ns, epoch, checkpoint_id);
shown
| join kind=inner (LatestCheckpoints
    | where thread_id in ((shown | distinct thread_id))
    | project thread_id, checkpoint_ns, epoch, newest_id = checkpoint_id)
    on thread_id, checkpoint_ns, epoch
| where strcmp(newest_id, checkpoint_id) >= 0
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
"""Which of the rows this process keeps in its overlay are visible by now, checkpoints in the view,
too. The time is that of the oldest row asked for: it spares Kusto the extents from before."""
