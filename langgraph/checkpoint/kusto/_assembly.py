"""Assembly: from result tables and the overlay to one whole checkpoint, fetching what is missing.

Rules:
- All parts or `MissingPartsError`; the caller decides whether to read again.
- What would pass the limit of a query result (64 MB, 500,000 rows; K/concepts/query-limits) is
  paged.
- A result also tells what the overlay may forget, which epochs are dead, and what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from . import _kql
from ._core import OFF_LOOP_BYTES, Core
from ._pending_writes import (
    PendingWrite,
    WriteSubmission,
    submissions_from_rows,
    winning_writes,
)
from ._requests import Typed
from ._rows import (
    BlobRef,
    CheckpointKey,
    StoredCheckpoint,
    blobs_from_rows,
    inline_from_json,
    refs_from_json,
)
from ._tombstones import Tombstone, killed_epochs, tombstones_from_rows
from ._transport import Table
from ._values import Encoded, base64_chars, decode_value
from .errors import ResultTooLargeError

if TYPE_CHECKING:
    from typing_extensions import LiteralString

RESULT_BYTES = 32 * 1024 * 1024
"""Payload of one query: half of Kusto's 64 MB, because a retried ingest may have doubled rows."""

RESULT_ROWS = 200_000

_PAGE_IDS = 10_000  # about 340 kB; Kusto splits them into a dynamic, whose bound is 1 MiB


@dataclass(frozen=True)
class RawWrite:
    """One pending write, not deserialised."""

    task_id: str
    channel: str
    value: Typed


@dataclass(frozen=True)
class RawCheckpoint:
    """One whole checkpoint, not deserialised."""

    key: CheckpointKey
    parent_checkpoint_id: str
    epoch: str
    checkpoint: Typed
    metadata: Typed
    values: Mapping[str, Typed]
    blobs: Mapping[str, BlobRef]
    writes: Sequence[RawWrite]

    @property
    def size_bytes(self) -> int:
        """Bytes to deserialise."""
        return (
            len(self.checkpoint[1])
            + sum(len(data) for _, data in self.values.values())
            + sum(len(write.value[1]) for write in self.writes)
        )


class MissingPartsError(Exception):
    """Parts of a visible checkpoint are not visible (yet); never leaves the library."""


def learn(core: Core, heads: Table, blobs: Table, writes: Table, stones: Table) -> set[str]:
    """Take what a result tells beyond its values: rows shown, epochs killed, times."""
    memory = core.memory
    tombstones = tombstones_from_rows(stones.records())
    killed = killed_epochs(tombstones)
    memory.epochs.kill(killed)
    _drop_shown(core, heads, blobs, writes, tombstones)
    for thread_id in {stone.thread_id for stone in tombstones}:
        memory.overlay.remove(memory.overlay.dead(thread_id, killed))
    return killed


def _drop_shown(
    core: Core, heads: Table, blobs: Table, writes: Table, tombstones: Iterable[Tombstone]
) -> None:
    """Take out of the overlay what the query showed in full."""
    overlay = core.memory.overlay
    shown = [record["submission_id"] for record in heads.records()]
    shown += [stone.tombstone_id for stone in tombstones]
    for table, identity, part in (
        (blobs, "blob_id", "chunk"),
        (writes, "submission_id", "submission_row"),
    ):
        seen: dict[str, set[int]] = {}
        for record in table.records():
            seen.setdefault(record[identity], set()).add(record[part])
        shown += [name for name, parts in seen.items() if len(parts) == overlay.row_count_of(name)]
    overlay.remove(name for name in shown if overlay.is_acknowledged(name))


def merge_submissions(
    stored: Iterable[WriteSubmission], local: Iterable[WriteSubmission]
) -> list[WriteSubmission]:
    merged = {submission.submission_id: submission for submission in stored}
    for submission in local:
        merged.setdefault(submission.submission_id, submission)
    return list(merged.values())


async def page_writes(core: Core, key: CheckpointKey, killed: set[str]) -> list[WriteSubmission]:
    """Read pending writes too large for one result: whole submissions, or ranges of a large one."""
    where = {"p_thread": key.thread_id, "p_ns": key.checkpoint_ns, "p_id": key.checkpoint_id}
    (sums, *_rest) = await core.query(
        _kql.SUM_WRITES, {**where, "p_killed": ",".join(sorted(killed))}
    )
    rows = []
    for ids, low, high in plan_pages(
        (
            record["submission_id"],
            record["submission_rows"],
            record["all_bytes"],
            record["largest"],
        )
        for record in sums.records()
    ):
        rows.extend(await _read_page(core, _kql.READ_WRITES, where, ids, low, high))
    return submissions_from_rows(rows)


async def _read_page(
    core: Core,
    text: LiteralString,
    where: Mapping[str, str],
    ids: Sequence[str],
    low: int,
    high: int,
) -> list[dict[str, Any]]:
    """Read a page; in halves when it is too large, since rows that landed twice count twice."""
    try:
        (table,) = await core.query(
            text, {**where, "p_ids": ",".join(ids), "p_low": low, "p_high": high}
        )
        return table.records()
    except ResultTooLargeError:
        half, middle = len(ids) // 2, (low + high) // 2
        if half:
            parts = [(ids[:half], low, high), (ids[half:], low, high)]
        elif low < high:
            parts = [(ids, low, middle), (ids, middle + 1, high)]
        else:
            raise
    rows: list[dict[str, Any]] = []
    for part in parts:
        rows.extend(await _read_page(core, text, where, *part))
    return rows


def plan_pages(
    items: Iterable[tuple[str, int, int, int]],
) -> list[tuple[list[str], int, int]]:
    """Group (id, rows, bytes, largest row) into pages under the limit: many, or ranges of one.

    Gives (ids, first row, last row).
    """
    pages: list[tuple[list[str], int, int]] = []
    group: list[str] = []
    size = count = 0
    for name, rows, all_bytes, largest in items:
        if all_bytes > RESULT_BYTES or rows > RESULT_ROWS:
            step = max(1, min(RESULT_ROWS, RESULT_BYTES // max(largest, 1)))
            pages += [([name], low, low + step - 1) for low in range(0, rows, step)]
            continue
        full = size + all_bytes > RESULT_BYTES or count + rows > RESULT_ROWS
        if group and (full or len(group) == _PAGE_IDS):
            pages.append((group, 0, RESULT_ROWS))
            group, size, count = [], 0, 0
        group.append(name)
        size += all_bytes
        count += rows
    if group:
        pages.append((group, 0, RESULT_ROWS))
    return pages


async def fetch_blobs(
    core: Core, thread_id: str, refs: Mapping[str, BlobRef]
) -> dict[str, Encoded]:
    """Read blobs by id, paged."""
    sizes = [
        (
            ref.blob_id,
            ref.chunks,
            base64_chars(ref.stored_bytes) + 1_000 * ref.chunks,
            base64_chars(ref.stored_bytes // ref.chunks) + 1_000_000,
        )
        for ref in refs.values()
    ]
    rows = []
    for ids, low, high in plan_pages(sizes):
        where = {"p_thread": thread_id}
        rows.extend(await _read_page(core, _kql.READ_BLOBS, where, ids, low, high))
    return blobs_from_rows(rows)


async def assemble(
    core: Core,
    head: StoredCheckpoint,
    blobs: dict[str, Encoded],
    submissions: Sequence[WriteSubmission],
) -> RawCheckpoint:
    """Put a checkpoint together, fetching what the first result did not hold."""
    # Writes too: what is put after having read them must also count as later.
    for moment in {head.written_at, *(submission.written_at for submission in submissions)}:
        core.observe(moment)
    await _require(core, head, {ref.blob_id: ref for ref in head.direct_refs()}, blobs)
    where = f"checkpoint {head.key.checkpoint_id!r} of thread {head.key.thread_id!r}"
    refs = head.blobs
    if isinstance(refs, BlobRef):  # the reference list itself was too large for the row
        refs = refs_from_json(decode_value(blobs[refs.blob_id], where), where)
        await _require(core, head, {ref.blob_id: ref for ref in refs.values()}, blobs)
    winners = winning_writes(submissions)
    decode = partial(_decode, head, blobs, refs, winners, where)
    size = head.total_bytes + sum(write.value.chars for write in winners)
    return await anyio.to_thread.run_sync(decode) if size > OFF_LOOP_BYTES else decode()


async def _require(
    core: Core, head: StoredCheckpoint, needed: Mapping[str, BlobRef], blobs: dict[str, Encoded]
) -> None:
    missing = {blob_id: ref for blob_id, ref in needed.items() if blob_id not in blobs}
    if missing:
        blobs |= await fetch_blobs(core, head.key.thread_id, missing)
    lost = [blob_id for blob_id in missing if blob_id not in blobs]
    if lost:
        names = (
            []
            if isinstance(head.blobs, BlobRef)
            else [channel for channel, ref in head.blobs.items() if ref.blob_id in lost]
        )
        raise MissingPartsError(
            f"checkpoint {head.key.checkpoint_id} needs {len(lost)} blobs that are not visible"
            + (f", of channels {', '.join(map(repr, names[:5]))}" if names else "")
        )


def _decode(
    head: StoredCheckpoint,
    blobs: Mapping[str, Encoded],
    refs: Mapping[str, BlobRef],
    winners: Sequence[PendingWrite],
    where: str,
) -> RawCheckpoint:
    def typed(part: Encoded | BlobRef, what: str) -> Typed:
        value = blobs[part.blob_id] if isinstance(part, BlobRef) else part
        return value.value_type, decode_value(value, f"{what} of {where}")

    inline = head.inline
    if isinstance(inline, BlobRef):
        inline = inline_from_json(decode_value(blobs[inline.blob_id], where), where)
    parts: dict[str, Encoded | BlobRef] = {**inline, **refs}
    values = {channel: typed(part, f"channel {channel!r}") for channel, part in parts.items()}
    return RawCheckpoint(
        key=head.key,
        parent_checkpoint_id=head.parent_checkpoint_id,
        epoch=head.epoch,
        checkpoint=typed(head.checkpoint, "the body"),
        metadata=typed(head.metadata, "the metadata"),
        values=values,
        blobs=refs,
        writes=[
            RawWrite(
                write.task_id,
                write.channel,
                typed(write.value, f"write {write.idx} of task {write.task_id!r}"),
            )
            for write in winners
        ],
    )
