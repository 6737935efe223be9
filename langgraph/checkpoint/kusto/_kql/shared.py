"""The text that reads the newest checkpoints of several threads, one question for each thread.

It says of each thread what `READ_LATEST` says of one, and every row names its thread. No thread
decides about another: its tombstones kill its own rows only, and payload comes along for as many
threads as fit the budget together, the lightest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clauses import (
    BLOB_COLUMNS,
    CHECKPOINT_COLUMNS,
    DEAD_CHECKPOINTS_WANTED,
    LIVING_CHECKPOINTS_BY_THREAD,
    LIVING_WRITES_BY_THREAD,
    NOT_KILLED_BY_THREAD,
    TOMBSTONE_COLUMNS,
    TOMBSTONES_OF_THREADS,
    WRITE_COLUMNS,
)

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# Ids are any text, hence base64. The other fields are what `p_local`, `p_since` and `p_blobs` are
# to one read, and what those blobs weigh.
_QUESTIONS: LiteralString = """\
declare query_parameters(p_questions:string, p_dead:string, p_budget:long, p_rows:long);
let questions = materialize(print line = split(p_questions, ";")
    | mv-expand line to typeof(string)
    | extend fields = split(line, "|")
    | extend encoded_ns = tostring(fields[1]), encoded_id = tostring(fields[2])
    | project thread_id = base64_decode_tostring(substring(tostring(fields[0]), 1)), encoded_ns,
        checkpoint_ns = iff(encoded_ns == "b", "",
            base64_decode_tostring(substring(encoded_ns, 1))),
        local_id = iff(encoded_id == "b", "", base64_decode_tostring(substring(encoded_id, 1))),
        since = todatetime(tostring(fields[3])), blobs = tostring(fields[4]),
        local_bytes = tolong(tostring(fields[5])));
let threads = questions | project thread_id;
"""

_WANTED: LiteralString = (
    """\
let seen = LatestCheckpoints
    | where thread_id in (threads)
    | join kind=leftsemi questions on thread_id, checkpoint_ns
"""
    + NOT_KILLED_BY_THREAD
    + """\
    | summarize arg_max(checkpoint_id, epoch) by thread_id
    | project thread_id, seen_id = checkpoint_id;
let wanted = materialize(questions
    | join kind=leftouter seen on thread_id
    | extend checkpoint_id = iff(strcmp(local_id, seen_id) > 0, local_id, seen_id)
    | project thread_id, checkpoint_ns, encoded_ns, checkpoint_id, seen_id);
let wanted_ids = wanted | project checkpoint_id;
"""
)

_PARTS: LiteralString = (
    """\
let present = materialize(Checkpoints
    | where thread_id in (threads) and checkpoint_id in (wanted_ids)
    | join kind=leftsemi wanted on thread_id, checkpoint_ns, checkpoint_id
    | project """
    + CHECKPOINT_COLUMNS
    + """);
let heads = materialize(present
"""
    + LIVING_CHECKPOINTS_BY_THREAD
    + """\
    | summarize arg_max(strcat(tostring(written_at), submission_id), *) by thread_id
    | project """
    + CHECKPOINT_COLUMNS
    + """);
let haunted = materialize(present
    | join kind=leftsemi killed on thread_id, epoch
    | project thread_id, checkpoint_ns, checkpoint_id, epoch = "");
let calls = materialize(CheckpointWrites
    | where thread_id in (threads) and checkpoint_id in (wanted_ids)
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        row_bytes
    | join kind=leftsemi wanted on thread_id, checkpoint_ns, checkpoint_id
"""
    + LIVING_WRITES_BY_THREAD
    + """\
    | summarize row_count = count(), all_bytes = sum(row_bytes)
        by thread_id, checkpoint_ns, checkpoint_id, submission_id);
let stones = materialize(tombstones
    | join kind=inner (questions | project thread_id, since) on thread_id
    | where scope != "checkpoints" or written_at >= since
    | project """
    + TOMBSTONE_COLUMNS
    + """);
"""
)

# The lightest first, so that one heavy thread makes no other ask again. In an order without ties:
# the same threads have to fit wherever this is looked at.
_ANSWERS: LiteralString = (
    """\
let facts = union
    (questions
        | project thread_id, weight = local_bytes, row_count = 0, head = 0, haunt = 0, living = 0),
    (heads | project thread_id, weight = total_bytes, head = 1),
    (calls | project thread_id, weight = all_bytes, row_count),
    (stones | project thread_id, weight = strlen(ids)),
    (tombstones | project thread_id, last_delete = written_at),
    (haunted | project thread_id, haunt = 1),
    (present
"""
    + NOT_KILLED_BY_THREAD
    + """\
        | project thread_id, living = 1);
let answers = materialize(wanted
    | join kind=inner (facts
        | summarize weight = sum(weight), write_rows = sum(row_count), head_rows = sum(head),
            haunts = sum(haunt), lives = sum(living), last_delete = max(last_delete) by thread_id
        ) on thread_id
    | order by weight asc, thread_id asc
    | extend all_bytes = row_cumsum(weight), all_rows = row_cumsum(write_rows)
    | project thread_id, checkpoint_ns, wanted_id = checkpoint_id, seen_id,
        fits = all_bytes <= p_budget and all_rows <= p_rows,
        hidden = lives > 0 and head_rows == 0, present = lives + haunts > 0, haunted = haunts > 0,
        last_delete, head_rows, write_rows);
let fitting = answers | where fits | project thread_id;
let needed = materialize(union (heads | project thread_id, listed = blob_ids),
    (questions | project thread_id, listed = blobs)
    | where thread_id in (fitting)
    | mv-expand blob_id = split(listed, ",") to typeof(string)
    | where isnotempty(blob_id)
    | distinct thread_id, blob_id);
"""
)

READ_LATEST_SHARED: LiteralString = (
    _QUESTIONS
    + TOMBSTONES_OF_THREADS
    + _WANTED
    + DEAD_CHECKPOINTS_WANTED
    + _PARTS
    + _ANSWERS
    + """\
answers;
heads
| where thread_id in (fitting);
CheckpointBlobs
| where thread_id in (fitting) and blob_id in ((needed | project blob_id))
| project thread_id, """
    + BLOB_COLUMNS
    + """
| join kind=leftsemi needed on thread_id, blob_id;
CheckpointWrites
| where thread_id in (fitting) and checkpoint_id in (wanted_ids)
| join kind=leftsemi calls on thread_id, checkpoint_ns, checkpoint_id, submission_id
| project """
    + WRITE_COLUMNS
    + """;
stones
| where thread_id in (fitting)
"""
)
"""The newest checkpoints of several threads. The first table says what is wanted of each, whether
its payload is in the others, and how many rows that has; what did not fit is read alone."""
