"""Texts about a whole thread: its epochs, runs, chain of checkpoints, history of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .clauses import (
    BLOB_COLUMNS,
    CHECKPOINT_COLUMNS,
    DEAD_CHECKPOINTS,
    LAST_END,
    LASTING_WRITES,
    LIVING_CHECKPOINTS,
    LIVING_WRITES,
    SHOW_TOMBSTONES,
    TOMBSTONE_COLUMNS,
    TOMBSTONES_OF_THREAD,
    WRITE_COLUMNS,
)

if TYPE_CHECKING:
    from typing_extensions import LiteralString

READ_EPOCHS: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_dead:string);
"""
    + TOMBSTONES_OF_THREAD
    + """\
union
    (Checkpoints | where thread_id == p_thread | distinct epoch),
    (CheckpointWrites | where thread_id == p_thread | distinct epoch)
| where isnotempty(epoch)
| where epoch !in (killed)
| distinct epoch;
tombstones
| where scope == "epochs"
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
| where thread_id == p_thread and scope == "epochs"
| project """
    + TOMBSTONE_COLUMNS
    + """
"""
)
"""The epochs a checkpoint was stored under, dead ones included: what its children inherit."""

FIND_COPIES: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_id:string, p_dead:string,
    p_since:datetime);
"""
    + TOMBSTONES_OF_THREAD
    + DEAD_CHECKPOINTS
    + """\
Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, written_at
"""
    + LIVING_CHECKPOINTS
    + """\
    | summarize written_at = max(written_at) by epoch;
CheckpointWrites
| where thread_id == p_thread and checkpoint_ns == p_ns and checkpoint_id == p_id
| summarize written_at = max(written_at);
"""
    + SHOW_TOMBSTONES
)
"""The epochs a checkpoint lives in with the latest time of each, and the latest of its writes."""

FIND_RUNS: LiteralString = """\
declare query_parameters(p_runs:string);
let wanted = materialize(print item = split(p_runs, ",")
    | mv-expand item to typeof(string)
    | where isnotempty(item)
    | project wanted_id = base64_decode_tostring(substring(item, 1)));
union
    (Checkpoints | where run_id in (wanted) | distinct thread_id, run_id),
    (CheckpointWrites | where run_id in (wanted) | distinct thread_id, run_id)
| distinct thread_id, run_id
"""
"""The threads some runs wrote to."""

CHAIN_PAGE_ROWS = 50_000
"""Rows of one page of `list_chain`, the number in its text."""


def list_chain(*, cursor: bool) -> LiteralString:
    """A page of the living checkpoints of a thread, without payload, one row for each epoch.

    Comes with the latest time of the writes of each. By namespace, and in it from the greatest id.
    `delta`: perhaps it has delta channels (by the copy of the metadata; it may say so too often).

    Args:
        cursor: Only what comes after the last one of the page before.
    """
    text: LiteralString = (
        "declare query_parameters(p_thread:string, p_dead:string, p_since:datetime"
    )
    if cursor:
        text += ", p_cursor_ns:string, p_cursor_id:string, p_cursor_epoch:string"
    text += ");\n"
    text += TOMBSTONES_OF_THREAD
    text += DEAD_CHECKPOINTS
    text += "let page = materialize(Checkpoints\n    | where thread_id == p_thread\n"
    if cursor:
        text += """\
    | extend after_ns = strcmp(checkpoint_ns, p_cursor_ns),
        after_id = strcmp(checkpoint_id, p_cursor_id), after_epoch = strcmp(epoch, p_cursor_epoch)
    | where after_ns > 0 or (after_ns == 0 and (after_id < 0 or (after_id == 0
        and after_epoch > 0)))
"""
    text += """\
    | extend copied = tostring(metadata)
    | extend delta = isempty(copied) or copied has "counters_since_delta_snapshot"
        or copied has "_left_out"
    | project thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, run_id,
        submission_id, written_at, total_bytes, source, delta
"""
    text += LIVING_CHECKPOINTS
    text += """\
    | summarize arg_max(strcat(tostring(written_at), submission_id), parent_checkpoint_id, run_id,
        submission_id, written_at, total_bytes, source, delta)
        by checkpoint_ns, checkpoint_id, epoch
    | order by checkpoint_ns asc, checkpoint_id desc, epoch asc
    | take 50000);
page
| project checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, run_id, submission_id,
    written_at, total_bytes, source, delta
| order by checkpoint_ns asc, checkpoint_id desc, epoch asc;
CheckpointWrites
| where thread_id == p_thread
| join kind=leftsemi page on checkpoint_ns, checkpoint_id
| summarize last_write = max(written_at) by checkpoint_ns, checkpoint_id;
"""
    text += SHOW_TOMBSTONES
    return text


# Names of channels enter as base64, a comma between them: they are any text.
_CHANNELS: LiteralString = """\
let channels = materialize(print item = split(p_channels, ",")
    | mv-expand item to typeof(string)
    | where isnotempty(item)
    | project channel = iff(item == "b", "", base64_decode_tostring(substring(item, 1))));
"""


_NUMBERS: tuple[LiteralString, ...] = (
    *("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"),
)
HISTORY_CHANNELS = len(_NUMBERS)
"""Channels of one `history_chain`."""

HISTORY_ROWS = 100_000
"""Checkpoints of one `history_chain`, the number in its text."""


def history_chain(channels: int) -> LiteralString:
    """The ancestors of a checkpoint that a walk may need, and what the writes among them weigh.

    `holds` numbers the channels a row has a value for, by the marks of their names in its text; a
    row whose list of values stands elsewhere (`spilled`) may hold all. `begins` numbers those that
    had never been written, by the copy of the versions. `ingested` is the last landing of the row;
    of the writes, all channels, the earliest of theirs comes in a table of its own, since a channel
    is as old as the oldest part it is rebuilt from. Only living, complete calls count there: what a
    renewal would not send must not make it due. The rows begin at the nearest one that holds each
    channel, unless `p_whole` asks for all of the namespace; `p_below` continues what was cut.

    Args:
        channels: How many; each has its mark in a parameter `p_mark0`, `p_mark1`, ... and its name
            in `p_name0`, ...
    """
    numbers = _NUMBERS[:channels]
    text: LiteralString = """\
declare query_parameters(p_thread:string, p_ns:string, p_target:string, p_below:string,
    p_channels:string, p_whole:bool, p_dead:string, p_since:datetime"""
    for number in numbers:
        text += ", p_mark" + number + ":string, p_name" + number + ":string"
    text += ");\n"
    text += TOMBSTONES_OF_THREAD
    text += DEAD_CHECKPOINTS
    text += _CHANNELS
    text += _chain_rows(numbers)
    text += _chain_page(numbers)
    text += _CHAIN_WRITES
    text += SHOW_TOMBSTONES
    return text


def _chain_rows(numbers: Sequence[LiteralString]) -> LiteralString:
    """The living rows of a namespace, the copy of each that counts, with what it holds.

    A mark is found where a key begins, which is after `{` or `,`: a quote inside a name is escaped,
    and so is never preceded by either. In `blob_refs` the channels come last.
    """
    text: LiteralString = """\
let rows = materialize(Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where p_whole or strcmp(checkpoint_id, p_target) <= 0
    | where isempty(p_below) or strcmp(checkpoint_id, p_below) < 0
    | extend values_at = indexof(blob_refs, '"values":{')
    | extend spilled = isempty(inline_data) or values_at < 0
    | extend large = iff(values_at < 0, "", substring(blob_refs, values_at + 9))
    | extend holds = strcat(","
"""
    for number in numbers:
        mark: LiteralString = "p_mark" + number
        first: LiteralString = "strcat('{', " + mark + ")"
        later: LiteralString = "strcat(',', " + mark + ")"
        text += "        , iff(spilled or inline_data contains_cs " + first
        text += " or inline_data contains_cs " + later + "\n            or large contains_cs "
        text += first + " or large contains_cs " + later + ", '" + number + ",', '')\n"
    text += """\
        )
    | extend counted = tostring(channel_versions) !in ("", "{}", "null")
        and isempty(tostring(channel_versions["_left_out"]))
    | extend begins = strcat(","
"""
    for number in numbers:
        text += "        , iff(counted and isempty(tostring(channel_versions[p_name" + number
        text += "])), '" + number + ",', '')\n"
    text += """\
        )
    | project thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, run_id,
        submission_id, written_at, holds, refs = iff(holds == ",", "", blob_refs), spilled, begins,
        ingested = coalesce(ingestion_time(), written_at)
"""
    text += LIVING_CHECKPOINTS
    text += """\
    | summarize arg_max(strcat(tostring(written_at), submission_id, tostring(ingested)),
        parent_checkpoint_id, submission_id, written_at, holds, refs, spilled, begins, ingested)
        by checkpoint_id
    | project checkpoint_id, parent_checkpoint_id, submission_id, written_at, holds, refs, spilled,
        begins, ingested);
"""
    return text


def _chain_page(numbers: Sequence[LiteralString]) -> LiteralString:
    """From the target down to the nearest row that holds each channel."""
    text: LiteralString = """\
let above = rows | where strcmp(checkpoint_id, p_target) < 0;
let floors = materialize(union
"""
    for number in numbers:
        text += "    " if number == "0" else "    , "
        text += "(above | where holds contains_cs '," + number + ",'"
        text += " | top 1 by checkpoint_id desc | project floor_id = checkpoint_id)\n"
    text += "    );\nlet found = toscalar(floors | count);\n"
    count = len(numbers)
    text += "let low = iff(p_whole or found < " + (_NUMBERS[count] if count < 16 else "16")
    text += """, "",
    toscalar(floors | top 1 by floor_id asc | project floor_id));
let page = materialize(rows
    | where strcmp(checkpoint_id, low) >= 0
    | top 100000 by checkpoint_id desc);
page
| order by checkpoint_id desc;
"""
    return text


# The times of the writes are those of the whole range, not of the rows found in it: a checkpoint
# that is put again may have writes that outlived its old row, and its new one may not show yet.
_CHAIN_WRITES: LiteralString = (
    LAST_END
    + """\
CheckpointWrites
| where thread_id == p_thread and checkpoint_ns == p_ns and channel in (channels)
| where checkpoint_id in ((page | project checkpoint_id))
| summarize row_count = count(), all_bytes = sum(row_bytes) by checkpoint_id;
let bottom = iff(toscalar(page | count) < 100000, low,
    toscalar(page | top 1 by checkpoint_id asc | project checkpoint_id));
let haunted = Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where p_whole or strcmp(checkpoint_id, p_target) <= 0
    | where isempty(p_below) or strcmp(checkpoint_id, p_below) < 0
    | where strcmp(checkpoint_id, bottom) >= 0
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id, written_at,
        submission_row, submission_rows, landed = coalesce(ingestion_time(), written_at)
"""
    + LASTING_WRITES
    + """\
    | summarize landed = max(landed)
        by checkpoint_id, submission_id, submission_rows, submission_row
    | summarize seen = count(), landed = min(landed)
        by checkpoint_id, submission_id, submission_rows
    | where seen == submission_rows
    | summarize ingested = min(landed) by checkpoint_id;
"""
)


READ_HISTORY: LiteralString = (
    """\
declare query_parameters(p_thread:string, p_ns:string, p_channels:string, p_low:string,
    p_high:string, p_fresh:string, p_heads:string, p_blobs:string, p_dead:string,
    p_since:datetime);
"""
    + TOMBSTONES_OF_THREAD
    + DEAD_CHECKPOINTS
    + _CHANNELS
    + """\
let fresh = materialize(print item = split(p_fresh, ",")
    | mv-expand item to typeof(string)
    | where isnotempty(item)
    | project fresh_id = base64_decode_tostring(substring(item, 1)));
let haunted = Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where strcmp(checkpoint_id, p_low) >= 0 and strcmp(checkpoint_id, p_high) <= 0
    | where epoch in (killed)
    | distinct thread_id, checkpoint_ns, checkpoint_id
    | extend epoch = "";
let checkpoints = Checkpoints
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where strcmp(checkpoint_id, p_low) >= 0 and strcmp(checkpoint_id, p_high) <= 0
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, written_at
"""
    + LIVING_CHECKPOINTS
    + """\
    | distinct checkpoint_id;
let living = materialize(CheckpointWrites
    | where thread_id == p_thread and checkpoint_ns == p_ns
    | where strcmp(checkpoint_id, p_low) >= 0 and strcmp(checkpoint_id, p_high) <= 0
    | project thread_id, checkpoint_ns, checkpoint_id, epoch, run_id, submission_id,
        submission_row, submission_rows, task_id, idx, chunk, channel, written_at
"""
    + LIVING_WRITES
    + """\
    );
let complete = living
    | distinct submission_id, submission_row, submission_rows
    | summarize seen = count() by submission_id, submission_rows
    | where seen == submission_rows
    | project submission_id;
let slots = materialize(living
    | where chunk == 0 and submission_id in (complete)
    | extend padded = strcat("000000", tostring(submission_row))
    | extend version = strcat(tostring(written_at), submission_id,
        substring(padded, strlen(padded) - 7, 7)));
let chosen = union
    (slots | where idx >= 0 | summarize arg_min(version, submission_id, submission_row, channel)
        by checkpoint_id, task_id, idx),
    (slots | where idx < 0 | summarize arg_max(version, submission_id, submission_row, channel)
        by checkpoint_id, task_id, idx)
    | where channel in (channels) or checkpoint_id in (fresh)
    | distinct submission_id, first_row = submission_row;
Checkpoints
| where thread_id == p_thread and submission_id in (split(p_heads, ","))
| project """
    + CHECKPOINT_COLUMNS
    + """;
CheckpointBlobs
| where thread_id == p_thread and blob_id in (split(p_blobs, ","))
| project """
    + BLOB_COLUMNS
    + """;
CheckpointWrites
| where thread_id == p_thread and checkpoint_ns == p_ns
| where strcmp(checkpoint_id, p_low) >= 0 and strcmp(checkpoint_id, p_high) <= 0
| extend first_row = toint(submission_row - chunk)
| join kind=leftsemi chosen on submission_id, first_row
| project """
    + WRITE_COLUMNS
    + """;
checkpoints;
haunted
| project checkpoint_id;
"""
    + SHOW_TOMBSTONES
)
"""The writes of some channels to a range of checkpoints, winners only, with rows and blobs of the
checkpoints that hold their values. Of checkpoints in `p_fresh`, to which this process has writes
that Kusto may not show yet, the winners for every channel. Then the ids in the range that are alive
by now: the chain was read a moment before."""
