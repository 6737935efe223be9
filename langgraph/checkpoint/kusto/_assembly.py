"""Assembly: from result tables and the overlay to one whole checkpoint, fetching what is missing.

Rules:
- All parts or `MissingPartsError`; the caller decides whether to read again.
- What would pass the limit of a query result (64 MB, 500,000 rows; K/concepts/query-limits) is
  paged.
- A result also tells what the overlay may forget, which epochs are dead, and what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _kql
from ._clock import TICKS_PER_DAY, format_ticks
from ._core import Core
from ._frames import Base, base_of, decode_chain
from ._overlay import ThreadView
from ._pending_writes import (
    PendingWrite,
    WriteSubmission,
    submissions_from_rows,
    winners_with_origin,
)
from ._requests import Typed
from ._row_cells import inline_from_json, refs_from_json, with_bases
from ._rows import (
    CheckpointKey,
    StoredCheckpoint,
    all_of_chains,
    blobs_from_rows,
    ingestion_times,
)
from ._threads import run_in_thread
from ._tombstones import Deaths, Tombstone, to_item, tombstones_from_rows
from ._transport import Table
from ._values import OFF_LOOP_BYTES, BlobRef, Encoded, base64_chars, decode_value
from .errors import PartsLostError, ResultTooLargeError

if TYPE_CHECKING:
    from typing_extensions import LiteralString

RESULT_BYTES = 32 * 1024 * 1024
"""Payload of one query: half of Kusto's 64 MB, because a retried ingest may have doubled rows."""

RESULT_ROWS = 200_000

_LOST_AFTER_TICKS = TICKS_PER_DAY  # far longer than any row takes to become visible
_PAGE_IDS = 10_000  # about 340 kB; Kusto splits them into a dynamic, whose bound is 1 MiB


@dataclass(frozen=True)
class RawWrite:
    """One pending write, not deserialised."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Typed
    run_id: str = ""


@dataclass(frozen=True)
class RawCheckpoint:
    """One whole checkpoint, not deserialised."""

    key: CheckpointKey
    parent_checkpoint_id: str
    epoch: str
    run_id: str
    checkpoint: Typed
    metadata: Typed
    values: Mapping[str, Typed]
    blobs: Mapping[str, BlobRef]
    writes: Sequence[RawWrite]
    bases: Mapping[str, Base] = field(default_factory=dict)
    """What the next values of channels may be stored against."""
    base_bytes: Mapping[str, bytes] = field(default_factory=dict)
    """The bytes of those, by identity."""
    frames: Mapping[str, Encoded] = field(default_factory=dict)
    """Frames that ride in the row, by the names in `bases`."""

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


def learn(
    core: Core, heads: Table, blobs: Table, writes: Table, stones: Table, newest_id: str = ""
) -> Deaths:
    """Take what a result tells beyond its values: rows shown, what is dead, times.

    `newest_id` is what the view calls the newest: a row that the table shows and the view does not
    has to stay in the overlay, else the newest checkpoint would be an older one for a moment.
    """
    tombstones = tombstones_from_rows(stones.records("tombstone_id"))
    deaths = learn_deaths(core, tombstones)
    core.memory.manifests.note_ingested(ingestion_times(blobs.records()))
    _drop_shown(core, heads, blobs, writes, tombstones, newest_id)
    for thread_id in {stone.thread_id for stone in tombstones}:
        core.memory.bury(thread_id, deaths)
    return deaths


def learn_deaths(core: Core, tombstones: Sequence[Tombstone]) -> Deaths:
    """Note what tombstones kill, and follow their times: what is put from now on is later."""
    deaths = Deaths.of(tombstones)
    core.memory.epochs.kill(deaths.epochs)
    core.memory.dead_runs.add(deaths.runs)
    if tombstones:
        core.observe(max(stone.written_at for stone in tombstones))
    return deaths


def deaths_parameters(view: ThreadView) -> dict[str, str | int]:
    """What every query that hides the dead is told of the overlay's own tombstones."""
    # `p_since` is not a string: a literal.
    return {"p_dead": view.deaths_parameter, "p_since": f"datetime({since_of(view)})"}


def since_of(view: ThreadView) -> str:
    """The time from which tombstones of checkpoints may concern the overlay's rows."""
    return "9999-12-31" if view.since is None else format_ticks(view.since)


def _drop_shown(
    core: Core,
    heads: Table,
    blobs: Table,
    writes: Table,
    tombstones: Iterable[Tombstone],
    newest_id: str,
) -> None:
    """Take out of the overlay what the query showed in full."""
    overlay = core.memory.overlay
    shown = [
        record["submission_id"]
        for record in heads.records("checkpoint_id")
        if record["checkpoint_id"] <= newest_id
    ]
    shown += [stone.tombstone_id for stone in tombstones]
    for table, identity, part in (
        (blobs, "blob_id", "chunk"),
        (writes, "submission_id", "submission_row"),
    ):
        seen: dict[str, set[int]] = {}
        for record in table.records(identity, part):
            seen.setdefault(record[identity], set()).add(record[part])
        shown += [name for name, parts in seen.items() if len(parts) == overlay.row_count_of(name)]
    overlay.remove(name for name in shown if overlay.is_acknowledged(name))


def merge_submissions(
    stored: Iterable[WriteSubmission], local: Iterable[WriteSubmission]
) -> list[WriteSubmission]:
    """Add the overlay's submissions to those a query showed."""
    merged = {submission.submission_id: submission for submission in stored}
    for submission in local:
        merged.setdefault(submission.submission_id, submission)
    return list(merged.values())


async def page_writes(core: Core, key: CheckpointKey, view: ThreadView) -> list[WriteSubmission]:
    """Read pending writes too large for one result: whole submissions, or ranges of a large one."""
    where = {"p_thread": key.thread_id, "p_ns": key.checkpoint_ns, "p_id": key.checkpoint_id}
    parameters = {
        **where,
        "p_encoded_ns": to_item(key.checkpoint_ns),
        "p_dead": view.deaths_parameter,
    }
    (sums, *_rest) = await core.query(_kql.SUM_WRITES, parameters)
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
        rows.extend(await read_page(core, _kql.READ_WRITES, where, ids, low, high))
    return submissions_from_rows(rows)


async def read_page(
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
        rows.extend(await read_page(core, text, where, *part))
    return rows


def plan_pages(
    items: Iterable[tuple[str, int, int, int]], page_bytes: int = RESULT_BYTES
) -> list[tuple[list[str], int, int]]:
    """Group (id, rows, bytes, largest row) into pages under the limit: many, or ranges of one.

    Gives (ids, first row, last row).
    """
    pages: list[tuple[list[str], int, int]] = []
    group: list[str] = []
    size = count = 0
    for name, rows, all_bytes, largest in items:
        if all_bytes > page_bytes or rows > RESULT_ROWS:
            step = max(1, min(RESULT_ROWS, page_bytes // max(largest, 1)))
            pages += [([name], low, low + step - 1) for low in range(0, rows, step)]
            continue
        full = size + all_bytes > page_bytes or count + rows > RESULT_ROWS
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
        rows.extend(await read_page(core, _kql.READ_BLOBS, where, ids, low, high))
    core.memory.manifests.note_ingested(ingestion_times(rows))
    return blobs_from_rows(rows)


async def assemble(
    core: Core,
    head: StoredCheckpoint,
    blobs: dict[str, Encoded],
    submissions: Sequence[WriteSubmission],
    decoded: dict[str, bytes] | None = None,
) -> RawCheckpoint:
    """Put a checkpoint together, fetching what the first result did not hold.

    `decoded` holds the bytes of bases, by blob id, and gets those found here: checkpoints that are
    read together share them.
    """
    # Writes too: what is put after having read them must also count as later.
    for moment in {head.written_at, *(submission.written_at for submission in submissions)}:
        core.observe(moment)
    await _require(core, head, head.direct_refs(), blobs)
    where = f"checkpoint {head.key.checkpoint_id!r} of thread {head.key.thread_id!r}"
    inline, refs = await _resolve(core, head, blobs, where)
    winners = winners_with_origin(submissions)
    decoded = {} if decoded is None else decoded
    _recall(core, decoded, _needed([*inline.values(), *refs.values()]))
    parts: dict[str, Encoded | BlobRef] = {**inline, **refs}
    decode = partial(_decode, head, blobs, parts, winners, decoded, where)
    size = head.total_bytes + sum(write.value.chars for _, write in winners)
    return await run_in_thread(decode) if size > OFF_LOOP_BYTES else decode()


async def channel_value(
    core: Core, head: StoredCheckpoint, blobs: dict[str, Encoded], channel: str
) -> Typed | None:
    """Read the value of one channel of a checkpoint; None when it has none."""
    where = f"checkpoint {head.key.checkpoint_id!r}"
    spilled = [part for part in (head.inline, head.blobs) if isinstance(part, BlobRef)]
    await _require(core, head, spilled, blobs)
    inline, refs = _references(head, blobs, where)
    part = inline.get(channel) or refs.get(channel)
    if part is None:
        return None
    await _require(core, head, needed := _needed([part]), blobs)
    decoded: dict[str, bytes] = {}
    _recall(core, decoded, needed)
    return _decode_part(part, blobs, decoded, f"channel {channel!r} of {where}")


async def _resolve(
    core: Core, head: StoredCheckpoint, blobs: dict[str, Encoded], where: str
) -> tuple[Mapping[str, Encoded], Mapping[str, BlobRef]]:
    """Read where all values are, and see to it that they are here."""
    inline, refs = _references(head, blobs, where)
    if isinstance(head.blobs, BlobRef) or isinstance(head.inline, BlobRef):
        await _require(core, head, _needed([*inline.values(), *refs.values()]), blobs)
    return inline, refs


def _references(
    head: StoredCheckpoint, blobs: Mapping[str, Encoded], where: str
) -> tuple[Mapping[str, Encoded], Mapping[str, BlobRef]]:
    """The values that ride in the row and the references, be their lists too large for it."""
    inline, refs, bases = head.inline, head.blobs, head.bases
    if isinstance(refs, BlobRef):
        refs, bases = refs_from_json(decode_value(blobs[refs.blob_id], where), where)
    if isinstance(inline, BlobRef):
        inline = inline_from_json(decode_value(blobs[inline.blob_id], where), where)
    return with_bases(inline, bases, where), refs


def _needed(parts: Iterable[Encoded | BlobRef]) -> list[BlobRef]:
    """The stored copies that some values need."""
    refs = (part if isinstance(part, BlobRef) else part.base for part in parts)
    return all_of_chains(ref for ref in refs if ref is not None)


def _recall(core: Core, decoded: dict[str, bytes], refs: Iterable[BlobRef]) -> None:
    """Take the bytes of bases that this process has decoded before."""
    for ref in refs:
        known = None if ref.blob_id in decoded else core.memory.base_bytes.get(ref.blob_id)
        if known is not None:
            decoded[ref.blob_id] = known


async def _require(
    core: Core, head: StoredCheckpoint, needed: Iterable[BlobRef], blobs: dict[str, Encoded]
) -> None:
    missing = {ref.blob_id: ref for ref in needed if ref.blob_id not in blobs}
    if missing:
        blobs |= await fetch_blobs(core, head.key.thread_id, missing)
    lost = {blob_id: ref for blob_id, ref in missing.items() if blob_id not in blobs}
    if not lost:
        return
    names = (
        []
        if isinstance(head.blobs, BlobRef)
        else [channel for channel, ref in head.blobs.items() if ref.blob_id in lost]
    )
    what = f"checkpoint {head.key.checkpoint_id} needs {len(lost)} blobs" + (
        f", of channels {', '.join(map(repr, names[:5]))}," if names else ""
    )
    if min(ref.written_at for ref in lost.values()) < core.now() - _LOST_AFTER_TICKS:
        raise PartsLostError(
            f"{what} that were written more than a day ago and are not there; if retention or a"
            " purge took them, this checkpoint cannot be read any more: go back to another one of"
            f" thread {head.key.thread_id!r}, or delete the thread"
        )
    raise MissingPartsError(f"{what} that are not visible")


def _decode_part(
    part: Encoded | BlobRef, blobs: Mapping[str, Encoded], decoded: dict[str, bytes], where: str
) -> Typed:
    """The bytes of a value, which may have been stored against others."""
    step = partial(_decode_step, where)
    if isinstance(part, Encoded):
        return part.value_type, decode_chain(part, blobs, step, decoded)
    value = replace(blobs[part.blob_id], base=part.base)
    if part.blob_id not in decoded:
        decoded[part.blob_id] = decode_chain(value, blobs, step, decoded)
    return value.value_type, decoded[part.blob_id]


def _decode_step(where: str, stored: Encoded, base: bytes | None) -> bytes:
    return decode_value(stored, where, base)


def _decode(
    head: StoredCheckpoint,
    blobs: Mapping[str, Encoded],
    parts: Mapping[str, Encoded | BlobRef],
    winners: Sequence[tuple[WriteSubmission, PendingWrite]],
    decoded: dict[str, bytes],
    where: str,
) -> RawCheckpoint:
    def typed(part: Encoded | BlobRef, what: str) -> Typed:
        return _decode_part(part, blobs, decoded, f"{what} of {where}")

    values = {channel: typed(part, f"channel {channel!r}") for channel, part in parts.items()}
    frames = {
        channel: part
        for channel, part in parts.items()
        if isinstance(part, Encoded) and part.base is not None
    }
    bases: dict[str, Base] = {}
    base_bytes: dict[str, bytes] = {}
    bases_needed = {ref.blob_id for ref in _needed(frames.values())}
    for channel, part in parts.items():
        base = base_of(part, *values[channel], f"{head.submission_id} {channel}")
        if base is not None:
            bases[channel] = base
            if channel not in frames:  # its own bytes, and those of a keyframe it was made from
                base_bytes[base.identity] = values[channel][1]
            if isinstance(part, BlobRef):
                bases_needed.add(part.keyframe.blob_id)
    base_bytes |= {name: decoded[name] for name in bases_needed if name in decoded}
    return RawCheckpoint(
        key=head.key,
        parent_checkpoint_id=head.parent_checkpoint_id,
        epoch=head.epoch,
        run_id=head.run_id,
        checkpoint=typed(head.checkpoint, "the body"),
        metadata=typed(head.metadata, "the metadata"),
        values=values,
        blobs={channel: part for channel, part in parts.items() if isinstance(part, BlobRef)},
        writes=[
            RawWrite(
                write.task_id,
                write.task_path,
                write.idx,
                write.channel,
                typed(write.value, f"write {write.idx} of task {write.task_id!r}"),
                submission.run_id,
            )
            for submission, write in winners
        ],
        bases=bases,
        base_bytes=base_bytes,
        frames={bases[name].frame: frame for name, frame in frames.items() if name in bases},
    )
