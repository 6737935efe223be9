"""Clauses the texts share: what readers take from each table, and what they must not see.

Rows of killed epochs, runs and checkpoints are removed before anything is deduplicated, else a
dead row with a later time would hide the living one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# What the readers take from each table, in one place each.
CHECKPOINT_COLUMNS: LiteralString = """thread_id, checkpoint_ns, checkpoint_id,
    parent_checkpoint_id, epoch, run_id, submission_id, written_at, codec, row_bytes, total_bytes,
    checkpoint_data, metadata_data, inline_data, blob_refs, blob_ids"""

# `ingested`: its age as Kusto counts it, which decides whether the copy may still be referred to.
BLOB_COLUMNS: LiteralString = """blob_id, chunk, chunks, value_type, codec, encoding,
    base_blob_id, frame_depth, value_bytes, value_hash, data, ingested = ingestion_time()"""

WRITE_COLUMNS: LiteralString = """thread_id, checkpoint_ns, checkpoint_id, epoch, run_id,
    submission_id, submission_row, submission_rows, task_id, task_path, idx, channel, value_type,
    codec, encoding, chunk, chunks, value_bytes, value_hash, row_bytes, written_at, data"""

TOMBSTONE_COLUMNS: LiteralString = """thread_id, tombstone_id, scope, part, parts, ids, codec,
    written_at, reason"""

# `p_dead`: tombstones of this process that Kusto may not show yet (`deaths_parameter`). Of the
# stored ones only whole tombstones count. Ids in them are any text, hence base64.
_TOLD: LiteralString = """\
let whole = tombstones
    | distinct tombstone_id, part, parts
    | summarize seen = count() by tombstone_id, parts
    | where seen == parts
    | project tombstone_id;
let deaths = materialize(union
    (tombstones | where tombstone_id in (whole) | project thread_id, scope, ids),
    (print line = split(p_dead, ";")
    | mv-expand line to typeof(string)
    | where isnotempty(line)
    | extend fields = split(line, "|")
    | project thread_id = base64_decode_tostring(substring(tostring(fields[1]), 1)),
        scope = tostring(fields[0]), ids = tostring(fields[2])));
"""
_KILLED: LiteralString = """\
let killed = materialize(deaths
    | where scope == "epochs"
    | mv-expand item = split(ids, ",") to typeof(string)
    | where isnotempty(item)
    | distinct item);
"""
# Epochs are unique; still, what is read for many callers lets no thread end the life of another.
_KILLED_BY_THREAD: LiteralString = """\
let killed = materialize(deaths
    | where scope == "epochs"
    | mv-expand item = split(ids, ",") to typeof(string)
    | where isnotempty(item)
    | distinct thread_id, epoch = item);
"""
_DEAD_RUNS: LiteralString = """\
let dead_runs = materialize(deaths
    | where scope == "runs"
    | mv-expand item = split(ids, ",") to typeof(string)
    | where isnotempty(item)
    | distinct thread_id, run_id = base64_decode_tostring(substring(item, 1)));
"""
_DEATHS: LiteralString = _TOLD + _KILLED + _DEAD_RUNS

# Checkpoints that are dead up to a time; `dead_writes` also those writes that have no epoch.
_DEAD_CHECKPOINTS_HEAD: LiteralString = """\
let dead_checkpoints = materialize(deaths
    | where scope == "checkpoints"
"""
_DEAD_CHECKPOINTS_TAIL: LiteralString = """\
    | mv-expand item = split(ids, ",") to typeof(string)
    | where isnotempty(item)
    | extend fields = split(item, "@")
    | extend encoded_ns = substring(tostring(fields[0]), 1)
    | project thread_id,
        checkpoint_ns = iff(isempty(encoded_ns), "", base64_decode_tostring(encoded_ns)),
        checkpoint_id = base64_decode_tostring(substring(tostring(fields[1]), 1)),
        epoch = tostring(fields[2]), through = todatetime(tostring(fields[3]))
    | summarize through = max(through) by thread_id, checkpoint_ns, checkpoint_id, epoch);
let dead_writes = union dead_checkpoints, (dead_checkpoints
    | summarize through = max(through) by thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "");
"""
DEAD_CHECKPOINTS: LiteralString = _DEAD_CHECKPOINTS_HEAD + _DEAD_CHECKPOINTS_TAIL

# Of the one that is read; what is expanded stays small, however many were ever deleted.
DEAD_CHECKPOINT: LiteralString = (
    _DEAD_CHECKPOINTS_HEAD
    + """\
    | where ids contains_cs strcat(p_encoded_ns, "@b", base64_encode_tostring(wanted), "@")
"""
    + _DEAD_CHECKPOINTS_TAIL
)

# The same of those that several threads want (`wanted`), for each thread its own.
DEAD_CHECKPOINTS_WANTED: LiteralString = (
    _DEAD_CHECKPOINTS_HEAD
    + """\
    | join kind=inner (wanted
        | project thread_id,
            mark = strcat(encoded_ns, "@b", base64_encode_tostring(checkpoint_id), "@"))
        on thread_id
    | where ids contains_cs mark
"""
    + _DEAD_CHECKPOINTS_TAIL
)

_NOT_KILLED: LiteralString = """\
    | where epoch !in (killed)
"""
NOT_KILLED_BY_THREAD: LiteralString = """\
    | join kind=leftanti killed on thread_id, epoch
"""
_OTHERWISE_LIVING_CHECKPOINTS: LiteralString = """\
    | join kind=leftanti dead_runs on thread_id, run_id
    | join kind=leftouter dead_checkpoints on thread_id, checkpoint_ns, checkpoint_id, epoch
    | where isnull(through) or written_at > through
"""
LIVING_CHECKPOINTS: LiteralString = _NOT_KILLED + _OTHERWISE_LIVING_CHECKPOINTS
LIVING_CHECKPOINTS_BY_THREAD: LiteralString = NOT_KILLED_BY_THREAD + _OTHERWISE_LIVING_CHECKPOINTS

# `haunted`: checkpoints that have a copy in a dead epoch. A write without an epoch was meant for
# that one, not for a copy that was made of another thread since.
_OTHERWISE_LIVING_WRITES: LiteralString = """\
    | join kind=leftanti dead_runs on thread_id, run_id
    | join kind=leftouter dead_writes on thread_id, checkpoint_ns, checkpoint_id, epoch
    | where isnull(through) or written_at > through
    | join kind=leftanti haunted on thread_id, checkpoint_ns, checkpoint_id, epoch
"""
LIVING_WRITES: LiteralString = _NOT_KILLED + _OTHERWISE_LIVING_WRITES
LIVING_WRITES_BY_THREAD: LiteralString = NOT_KILLED_BY_THREAD + _OTHERWISE_LIVING_WRITES

# What a renewal sends again. A write without an epoch dies with its checkpoint, by the dead row of
# that; but the row may expire before it. So it is not kept beyond its own period when the thread
# was deleted after it, else it would belong to what is put under the same id for ever.
LAST_END: LiteralString = """\
let ended = toscalar(tombstones
    | where scope == "epochs" and tombstone_id in (whole)
    | summarize max(written_at));
"""

LASTING_WRITES: LiteralString = (
    LIVING_WRITES
    + """\
    | where isnotempty(epoch) or isnull(ended) or written_at > ended
"""
)

TOMBSTONES_OF_THREAD: LiteralString = (
    """\
let tombstones = materialize(CheckpointTombstones
    | where thread_id == p_thread
    | project """
    + TOMBSTONE_COLUMNS
    + """);
"""
    + _DEATHS
)

# Of the threads in `threads`; what they kill is told by thread.
TOMBSTONES_OF_THREADS: LiteralString = (
    """\
let tombstones = materialize(CheckpointTombstones
    | where thread_id in (threads)
    | project """
    + TOMBSTONE_COLUMNS
    + """);
"""
    + _TOLD
    + _KILLED_BY_THREAD
    + _DEAD_RUNS
)

TOMBSTONES_OF_ALL: LiteralString = (
    """\
let tombstones = materialize(CheckpointTombstones
    | project """
    + TOMBSTONE_COLUMNS
    + """);
"""
    + _DEATHS
)

# Of tombstones of checkpoints only those that may kill a row of the overlay: a tombstone is later
# than what it kills.
SHOW_TOMBSTONES: LiteralString = """\
tombstones
| where scope != "checkpoints" or written_at >= p_since
"""

# What both reads of whole checkpoints weigh and end with. `calls` are the living calls of
# `put_writes` without payload; all rows of a call live or die together. Payload comes along only
# while the result stays under the budget, else the caller pages it; `fits` is one answer for both.
WEIGHT: LiteralString = """\
let write_bytes = coalesce(toscalar(calls | summarize sum(all_bytes)), 0);
let write_rows = coalesce(toscalar(calls | summarize sum(row_count)), 0);
"""

WRITES_AND_TOMBSTONES: LiteralString = (
    """\
writes
| where fits
| project """
    + WRITE_COLUMNS
    + """;
"""
    + SHOW_TOMBSTONES
)
