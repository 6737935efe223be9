"""The stored functions for people who write KQL (pure).

Their texts live here, in the order in which they must be created: each may use those before it.
`_schema.py` puts them into `provision.kql`; no query of the saver stands here (see `_kql`).

Rules:
- Tombstones are read in `Deletions()` alone; every other function asks it.
- No payload in a result, and nothing that has to be read twice to be right: rows that landed twice
  count once, except in `StorageByThread()`, where they take their room.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StoredFunction:
    """One stored function of the database."""

    name: str
    parameters: str
    docstring: str
    body: str

    @property
    def command(self) -> str:
        """The command that creates or replaces it."""
        return (
            f".create-or-alter function with (folder='langgraph', docstring='{self.docstring}')"
            f" {self.name}({self.parameters}) {{\n{self.body}}}"
        )


# A tombstone counts only when all its parts are there, so that a half-visible delete of a thread
# never uncovers an older checkpoint. The items are those of `_tombstones.py`: a letter and base64.
_DELETIONS = """\
    let whole = CheckpointTombstones
        | distinct tombstone_id, part, parts
        | summarize seen = count() by tombstone_id, parts
        | where seen == parts
        | project tombstone_id;
    CheckpointTombstones
    | join kind=leftsemi whole on tombstone_id
    | mv-expand item = split(ids, ",") to typeof(string)
    | where isnotempty(item)
    | extend fields = split(item, "@")
    | extend names = scope == "checkpoints", encoded_ns = substring(tostring(fields[0]), 1)
    | project thread_id, scope, deleted_at = written_at, reason,
        epoch = case(scope == "epochs", item, names, tostring(fields[2]), ""),
        run_id = iff(scope == "runs", base64_decode_tostring(substring(item, 1)), ""),
        checkpoint_ns = iff(names and isnotempty(encoded_ns), base64_decode_tostring(encoded_ns),
            ""),
        checkpoint_id = iff(names, base64_decode_tostring(substring(tostring(fields[1]), 1)), ""),
        through = iff(names, todatetime(tostring(fields[3])), datetime(null))
    | summarize deleted_at = min(deleted_at), reason = take_any(reason), through = max(through)
        by thread_id, scope, epoch, run_id, checkpoint_ns, checkpoint_id
"""

# `epochs`: a copy of a checkpoint that was put again may have another epoch than the newest copy,
# and the writes of either count.
_LIVE_CHECKPOINTS = """\
    let deleted = materialize(Deletions());
    let epochs_dead = deleted | where scope == "epochs" | distinct epoch;
    let runs_dead = deleted | where scope == "runs" | distinct thread_id, run_id;
    let ids_dead = deleted
        | where scope == "checkpoints"
        | project thread_id, checkpoint_ns, checkpoint_id, epoch, through;
    Checkpoints
    | join kind=leftanti epochs_dead on epoch
    | join kind=leftanti runs_dead on thread_id, run_id
    | join kind=leftouter ids_dead on thread_id, checkpoint_ns, checkpoint_id, epoch
    | where isnull(through) or written_at > through
    | extend version = strcat(tostring(written_at), submission_id)
    | summarize arg_max(version, parent_checkpoint_id, epoch, run_id, submission_id, written_at,
        step, source, metadata, channel_versions, total_bytes, blob_rows), epochs = make_set(epoch)
        by thread_id, checkpoint_ns, checkpoint_id
    | project thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, run_id,
        written_at, step, source, metadata, channel_versions, total_bytes, blob_rows,
        submission_id, epochs
"""

# The rules of `_pending_writes.py`: a call counts when all its rows are there; then, for one task
# and index, the first call wins, and for the special channels (index below 0) the last one. Within
# one call only special channels can share an index. A write that came before its checkpoint has no
# epoch and lives with it: not when the checkpoint was deleted since, nor when it has a copy in a
# deleted epoch, which the write was meant for.
_LIVE_PENDING_WRITES = """\
    let live = LiveCheckpoints() | project thread_id, checkpoint_ns, checkpoint_id, epochs;
    let deleted = materialize(Deletions());
    let runs_dead = deleted | where scope == "runs" | distinct thread_id, run_id;
    let ids_dead = deleted
        | where scope == "checkpoints"
        | project thread_id, checkpoint_ns, checkpoint_id, epoch, through;
    let dead_until = union ids_dead, (ids_dead
        | summarize through = max(through) by thread_id, checkpoint_ns, checkpoint_id
        | extend epoch = "");
    let haunted = Checkpoints
        | join kind=leftsemi (deleted | where scope == "epochs" | distinct epoch) on epoch
        | distinct thread_id, checkpoint_ns, checkpoint_id
        | extend epoch = "";
    let whole = CheckpointWrites
        | distinct submission_id, submission_row, submission_rows
        | summarize seen = count() by submission_id, submission_rows
        | where seen == submission_rows
        | project submission_id;
    let written = materialize(CheckpointWrites
        | where chunk == 0
        | join kind=inner live on thread_id, checkpoint_ns, checkpoint_id
        | where isempty(epoch) or set_has_element(epochs, epoch)
        | join kind=leftanti haunted on thread_id, checkpoint_ns, checkpoint_id, epoch
        | join kind=leftanti runs_dead on thread_id, run_id
        | join kind=leftouter dead_until on thread_id, checkpoint_ns, checkpoint_id, epoch
        | where isnull(through) or written_at > through
        | join kind=leftsemi whole on submission_id
        | summarize arg_max(submission_row, run_id, task_path, channel, value_type, value_bytes,
            written_at)
            by thread_id, checkpoint_ns, checkpoint_id, task_id, idx, submission_id
        | extend version = strcat(tostring(written_at), submission_id));
    union
        (written
        | where idx >= 0
        | summarize arg_min(version, run_id, task_path, channel, value_type, value_bytes,
            written_at, submission_id)
            by thread_id, checkpoint_ns, checkpoint_id, task_id, idx),
        (written
        | where idx < 0
        | summarize arg_max(version, run_id, task_path, channel, value_type, value_bytes,
            written_at, submission_id)
            by thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    | project thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, run_id,
        written_at, value_type, value_bytes, submission_id
"""

_FAILED_TASKS = """\
    LivePendingWrites()
    | where channel == "__error__"
    | project thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id,
        failed_at = written_at
"""

_THREAD_TIMELINE = """\
    let pending = LivePendingWrites()
        | where thread_id == thread
        | summarize tasks = count_distinct(task_id), channels = make_set(channel, 100),
            errors = countif(channel == "__error__"),
            interrupts = countif(channel == "__interrupt__")
            by checkpoint_ns, checkpoint_id;
    LiveCheckpoints()
    | where thread_id == thread
    | join kind=leftouter pending on checkpoint_ns, checkpoint_id
    | sort by written_at asc, checkpoint_id asc
    | extend since_previous = iff(row_number() == 1, timespan(null), written_at - prev(written_at))
    | project written_at, since_previous, checkpoint_ns, step, source, checkpoint_id,
        parent_checkpoint_id, run_id, tasks = coalesce(tasks, 0), channels,
        errors = coalesce(errors, 0), interrupts = coalesce(interrupts, 0), total_bytes
"""

# An inner join: without its parent (the first of a thread, or expired) a step has no duration.
_STEP_DURATIONS = """\
    let parents = LiveCheckpoints()
        | project thread_id, checkpoint_ns, parent_checkpoint_id = checkpoint_id,
            parent_written_at = written_at;
    LiveCheckpoints()
    | where isnotempty(parent_checkpoint_id)
    | join kind=inner parents on thread_id, checkpoint_ns, parent_checkpoint_id
    | project thread_id, checkpoint_ns, step, source, duration = written_at - parent_written_at,
        written_at, checkpoint_id, parent_checkpoint_id, run_id
"""

# Every row as it lies. A large value is alive when a living row names it; a row whose list of names
# was too large for it has no `values` in it, and then what was stored with that checkpoint counts.
# Sizes are of what was sent: of a value its share of the base64, without reading it.
_STORAGE_BY_THREAD = """\
    let live = LiveCheckpoints()
        | project thread_id, checkpoint_ns, checkpoint_id, submission_id, epochs;
    let rows = Checkpoints
        | join kind=leftouter (live | project submission_id, checkpoint_lives = true)
            on submission_id
        | project thread_id, checkpoint_ns, checkpoint_id, epoch, row_bytes, blob_ids,
            lives = coalesce(checkpoint_lives, false),
            spilled = blob_refs !contains_cs '"values":{';
    let named = rows
        | where lives
        | mv-expand blob_id = split(blob_ids, ",") to typeof(string)
        | distinct thread_id, blob_id
        | extend is_named = true;
    let unnamed = rows
        | where lives and spilled
        | distinct thread_id, checkpoint_ns, checkpoint_id, epoch
        | extend is_unnamed = true;
    let blobs = CheckpointBlobs
        | project thread_id, checkpoint_ns, checkpoint_id, epoch, blob_id,
            bytes = stored_bytes * 4 / (3 * chunks)
        | join kind=leftouter named on thread_id, blob_id
        | join kind=leftouter unnamed on thread_id, checkpoint_ns, checkpoint_id, epoch
        | project thread_id, bytes,
            lives = coalesce(is_named, false) or coalesce(is_unnamed, false);
    let writes = CheckpointWrites
        | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, bytes = row_bytes
        | join kind=leftouter live on thread_id, checkpoint_ns, checkpoint_id
        | join kind=leftouter (Deletions() | where scope == "runs"
            | project thread_id, run_id, run_is_dead = true) on thread_id, run_id
        | project thread_id, bytes, lives = isnotempty(checkpoint_id1)
            and (isempty(epoch) or set_has_element(epochs, epoch))
            and not(coalesce(run_is_dead, false));
    union
        (rows | project thread_id, table_name = "Checkpoints", bytes = row_bytes, lives),
        (blobs | extend table_name = "CheckpointBlobs"),
        (writes | extend table_name = "CheckpointWrites")
    | summarize live_rows = countif(lives), live_bytes = sumif(bytes, lives),
        dead_rows = countif(not(lives)), dead_bytes = sumif(bytes, not(lives))
        by thread_id, table_name
"""

FUNCTIONS: tuple[StoredFunction, ...] = (
    StoredFunction(
        "Deletions",
        "",
        "What is deleted: epochs of a thread, runs, checkpoints up to a time; one row each",
        _DELETIONS,
    ),
    StoredFunction(
        "LiveCheckpoints",
        "",
        "Checkpoints that are not deleted, one row each, without payload",
        _LIVE_CHECKPOINTS,
    ),
    StoredFunction(
        "LivePendingWrites",
        "",
        "Pending writes of living checkpoints as readers see them, one row each, without payload",
        _LIVE_PENDING_WRITES,
    ),
    StoredFunction(
        "ThreadTimeline",
        "thread:string",
        "Steps of one thread in the order they were written",
        _THREAD_TIMELINE,
    ),
    StoredFunction(
        "FailedTasks",
        "",
        "Tasks that failed on a living checkpoint, and when",
        _FAILED_TASKS,
    ),
    StoredFunction(
        "StepDurations",
        "",
        "Time between each living checkpoint and its parent",
        _STEP_DURATIONS,
    ),
    StoredFunction(
        "StorageByThread",
        "",
        "Rows and bytes of each thread in each table, alive and dead",
        _STORAGE_BY_THREAD,
    ),
)
"""In the order in which they must be created."""
