"""Texts that ask which rows are visible by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._schema import BLOBS, CHECKPOINTS, WRITES

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

_AGAIN = "declare query_parameters(p_ids:string, p_low:long, p_high:long, p_since:datetime);\n"
_LANDED = """\
| where part between (p_low .. p_high)
| where isnull(ingestion_time()) or ingestion_time() >= p_since
| distinct identity, part
| summarize row_count = count() by identity
"""

CONFIRM_AGAIN: Mapping[str, LiteralString] = {
    CHECKPOINTS: _AGAIN
    + """\
Checkpoints
| where submission_id in (split(p_ids, ","))
| extend identity = submission_id, part = 0
"""
    + _LANDED,
    WRITES: _AGAIN
    + """\
CheckpointWrites
| where submission_id in (split(p_ids, ","))
| extend identity = submission_id, part = submission_row
"""
    + _LANDED,
    BLOBS: _AGAIN
    + """\
CheckpointBlobs
| where blob_id in (split(p_ids, ","))
| extend identity = blob_id, part = chunk
"""
    + _LANDED,
}
"""Which rows of a table that were sent once more have landed since: these landed before, too, so
the time of ingestion decides. Where the policy for that time is off, nobody can tell."""
