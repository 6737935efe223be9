"""Checkpoint rows and blob rows: written as JSON for ingestion, read from query results (pure).

Rules:
- Cells that hold bytes are base64 inside JSON text in `string` columns. `dynamic` columns and the
  scalars beside them are copies for people who write KQL and are never read back as truth.
- Everything stored has an identity of its own (`submission_id`, `blob_id`) which a retry keeps, so
  that a row that landed twice is recognised.
- The checkpoint row is the commit record: it names every blob it needs, and goes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

from ._clock import format_ticks, parse_ticks
from ._row_cells import (
    encoded_from_list,
    encoded_to_list,
    inline_from_json,
    inline_to_json,
    json_object,
    reading,
    ref_from_list,
    ref_to_list,
    refs_from_dict,
    refs_to_dict,
    refs_to_json,
    with_bases,
)
from ._schema import ROW_CODEC
from ._values import (
    BlobRef,
    ChunkRow,
    Encoded,
    Line,
    base64_chars,
    choose_inline,
    chunk_count,
    encode_value,
    join_chunks,
)
from .errors import UnknownCodecError

Row = Mapping[str, Any]
"""One row of a query result, by column."""

_ROW_BYTES = 4_000_000
"""Longest row: one request has room for it (`_batch.MAX_BATCH_BYTES`)."""

_CELL_CHARS = 480_000  # half of what a cell may hold
# Sizes as they stand in the row. What stays in it always is under `_ROW_BYTES`: five ids of the
# greatest length in characters that JSON escapes sixfold are 1,966,080; values, references and
# their ids at most 1,200,000; the copies for people who write KQL 160,000.
_INLINE_CELL_CHARS = 720_000
_REFS_CHARS = 240_000  # Kusto splits `blob_ids` into a dynamic, whose bound is 1 MiB
_VERSION_CHARS = 4_096  # of the copy for people who write KQL
_SIZE_FIELD_BYTES = 64
_BLOB_ROW_BYTES = 1_000  # the columns beside the data, in a result

_JSON = "json"  # type tag of parts that are our own JSON, not the serializer's


class CheckpointKey(NamedTuple):
    """What names a checkpoint."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str


@dataclass(frozen=True)
class BlobCopy:
    """One stored copy of a large value."""

    key: CheckpointKey
    epoch: str
    run_id: str
    channel: str | None
    """None for a part of the row itself."""
    version: str
    value: Encoded
    ref: BlobRef

    def to_rows(self) -> list[Line]:
        """One row for each chunk."""
        chunks = range(self.ref.chunks)
        return [ChunkRow(self._columns(chunk), self.value.payload, chunk) for chunk in chunks]

    def _columns(self, chunk: int) -> dict[str, object]:
        return {
            "thread_id": self.key.thread_id,
            "blob_id": self.ref.blob_id,
            "chunk": chunk,
            "chunks": self.ref.chunks,
            "checkpoint_ns": self.key.checkpoint_ns,
            "checkpoint_id": self.key.checkpoint_id,
            "epoch": self.epoch,
            "run_id": self.run_id,
            "channel": self.channel or "",
            "version": self.version,
            "value_type": self.value.value_type,
            "codec": ROW_CODEC,
            "encoding": self.value.encoding,
            "base_blob_id": "" if self.ref.base is None else self.ref.base.blob_id,
            "frame_depth": self.ref.depth,
            "value_bytes": self.value.value_bytes,
            "value_hash": self.value.value_hash,
            "stored_bytes": self.ref.stored_bytes,
            "written_at": format_ticks(self.ref.written_at),
        }


@dataclass(frozen=True)
class StoredCheckpoint:
    """One checkpoint row: each part is in the row, or a reference to a blob."""

    key: CheckpointKey
    parent_checkpoint_id: str
    epoch: str
    run_id: str
    submission_id: str
    written_at: int
    checkpoint: Encoded | BlobRef
    metadata: Encoded | BlobRef
    inline: Mapping[str, Encoded] | BlobRef
    blobs: Mapping[str, BlobRef] | BlobRef
    bases: Mapping[str, BlobRef] = field(default_factory=dict)
    """What frames that ride in the row were stored against, by channel; nothing, when the list of
    references is a blob itself."""
    total_bytes: int = 0
    source: str = ""
    """The copy of `metadata["source"]`, of a row that was made here."""

    @property
    def order(self) -> tuple[int, str]:
        """Which of two copies of the same checkpoint was written last."""
        return (self.written_at, self.submission_id)

    def direct_refs(self) -> list[BlobRef]:
        """References that stand in the row itself: what one query can fetch along with it."""
        parts: list[object] = [self.checkpoint, self.metadata, self.inline]
        parts.extend([self.blobs] if isinstance(self.blobs, BlobRef) else self.blobs.values())
        parts.extend(self.bases.values())
        return all_of_chains(part for part in parts if isinstance(part, BlobRef))


def all_of_chains(refs: Iterable[BlobRef]) -> list[BlobRef]:
    """References and everything that their values were stored against, each once."""
    found = {part.blob_id: part for ref in refs for part in ref.chain()}
    return list(found.values())


@dataclass(frozen=True)
class CheckpointParts:
    """What a `put` was given, serialised: the material of a plan."""

    key: CheckpointKey
    parent_checkpoint_id: str
    epoch: str
    run_id: str
    submission_id: str
    written_at: int
    checkpoint: Encoded
    metadata: Encoded
    values: Mapping[str, Encoded]
    reused: Mapping[str, BlobRef]
    versions: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The copies for people who write KQL: step, source, metadata, channel_versions."""
    apart: frozenset[str] = frozenset()
    """Channels whose value does not ride in the row, small as it may be."""


@dataclass(frozen=True)
class CheckpointPlan:
    """Everything one `put` sends: blobs first, then the row that refers to them."""

    row: StoredCheckpoint
    copies: tuple[BlobCopy, ...]
    row_json: bytes
    riding: Mapping[str, Encoded]
    """The values that ride in the row."""

    @property
    def bases(self) -> list[BlobRef]:
        """What the frames in the row were stored against."""
        return [value.base for value in self.riding.values() if value.base is not None]


class _Spill:
    """Collects the parts of one checkpoint that go to blobs."""

    def __init__(self, parts: CheckpointParts, new_blob_id: Callable[[], str]) -> None:
        self._parts = parts
        self._new_blob_id = new_blob_id
        self.copies: list[BlobCopy] = []

    def add(self, channel: str | None, value: Encoded) -> BlobRef:
        parts, payload = self._parts, value.payload
        chunks = chunk_count(payload)
        ref = BlobRef(
            self._new_blob_id(), chunks, len(payload), parts.written_at, value.base, value.spent
        )
        version = "" if channel is None else parts.versions.get(channel, "")[:_VERSION_CHARS]
        self.copies.append(
            BlobCopy(parts.key, parts.epoch, parts.run_id, channel, version, value, ref)
        )
        return ref

    def fit(self, value: Encoded) -> Encoded | BlobRef:
        return value if value.chars <= _CELL_CHARS else self.add(None, value)

    def longest(self, row: StoredCheckpoint) -> StoredCheckpoint:
        """Take the longer of the body and the metadata out of a row, if one is in there."""
        parts = {"checkpoint": row.checkpoint, "metadata": row.metadata}
        inside = {name: part for name, part in parts.items() if isinstance(part, Encoded)}
        if not inside:
            return row
        name = max(inside, key=lambda item: inside[item].chars)
        spilled: dict[str, Any] = {name: self.add(None, inside[name])}
        return replace(row, **spilled)


def plan_checkpoint(parts: CheckpointParts, new_blob_id: Callable[[], str]) -> CheckpointPlan:
    """Decide what rides in the row and what goes to blobs, and encode the row.

    Whatever the state, no cell passes Kusto's 1 MB and the row stays under one request: small
    values ride within a budget, every other part spills when it is over its own, and of the body
    and the metadata the longer one first, for as long as the row is over `_ROW_BYTES`.
    """
    spill = _Spill(parts, new_blob_id)
    chosen = choose_inline(
        {name: value.chars for name, value in parts.values.items() if name not in parts.apart},
        frames={name for name, value in parts.values.items() if value.base is not None},
    )
    small = {channel: value for channel, value in parts.values.items() if channel in chosen}
    blobs = dict(parts.reused)
    for channel, value in parts.values.items():
        if channel not in chosen:
            blobs[channel] = spill.add(channel, value)
    inline_json = inline_to_json(small)
    inline: Mapping[str, Encoded] | BlobRef = small
    if _is_over(inline_json, _INLINE_CELL_CHARS):  # very many names, or very long ones
        inline = spill.add(None, encode_value(_JSON, inline_json))
    refs: Mapping[str, BlobRef] | BlobRef = blobs
    bases = {name: value.base for name, value in small.items() if value.base is not None}
    refs_json = refs_to_json(blobs, bases)
    if _is_over(refs_json, _REFS_CHARS):
        refs = spill.add(None, encode_value(_JSON, refs_json))
    row = StoredCheckpoint(
        key=parts.key,
        parent_checkpoint_id=parts.parent_checkpoint_id,
        epoch=parts.epoch,
        run_id=parts.run_id,
        submission_id=parts.submission_id,
        written_at=parts.written_at,
        checkpoint=spill.fit(parts.checkpoint),
        metadata=spill.fit(parts.metadata),
        inline=inline,
        blobs=refs,
        bases={} if isinstance(refs, BlobRef) else bases,
        source=str(parts.columns.get("source") or ""),
    )
    inline_cell = "" if isinstance(inline, BlobRef) else inline_json.decode()
    outer = [*blobs.values(), *bases.values()]
    row_json, total = _encode_row(row, inline_cell, outer, parts.columns)
    while len(row_json) > _ROW_BYTES and (shorter := spill.longest(row)) is not row:
        row = shorter
        row_json, total = _encode_row(row, inline_cell, outer, parts.columns)
    return CheckpointPlan(replace(row, total_bytes=total), tuple(spill.copies), row_json, small)


def _encode_row(
    row: StoredCheckpoint,
    inline_cell: str,
    outer: Sequence[BlobRef],
    columns: Mapping[str, Any],
) -> tuple[bytes, int]:
    """Encode the row; give its size with that of all it and the channels need, too."""
    needed = all_of_chains([*row.direct_refs(), *outer])
    blob_rows = sum(ref.chunks for ref in needed)
    body = orjson.dumps(
        {
            "thread_id": row.key.thread_id,
            "checkpoint_ns": row.key.checkpoint_ns,
            "checkpoint_id": row.key.checkpoint_id,
            "parent_checkpoint_id": row.parent_checkpoint_id,
            "epoch": row.epoch,
            "run_id": row.run_id,
            "submission_id": row.submission_id,
            "written_at": format_ticks(row.written_at),
            "codec": ROW_CODEC,
            **columns,
            "blob_rows": blob_rows,
            "checkpoint_data": _part_cell(row.checkpoint),
            "metadata_data": _part_cell(row.metadata),
            "inline_data": inline_cell,
            "blob_refs": _row_refs_json(row),
            "blob_ids": ",".join(ref.blob_id for ref in row.direct_refs()),
        }
    )
    size = len(body) + _SIZE_FIELD_BYTES
    total = size + blob_rows * _BLOB_ROW_BYTES
    total += sum(base64_chars(ref.stored_bytes) for ref in needed)
    # The sizes are known only now; the text ends with a brace.
    return b'%b,"row_bytes":%d,"total_bytes":%d}' % (body[:-1], size, total), total


def _is_over(text: bytes, bound: int) -> bool:
    """Whether JSON text as a string inside JSON, where quotes and backslashes double, is longer."""
    if 2 * len(text) <= bound:  # almost always, and counting takes its time
        return False
    return len(text) + text.count(b'"') + text.count(b"\\") > bound


def _part_cell(part: Encoded | BlobRef) -> str:
    return "" if isinstance(part, BlobRef) else orjson.dumps(encoded_to_list(part)).decode()


def _row_refs_json(row: StoredCheckpoint) -> str:
    """The reference list: parts of the row that spilled, and the channels (or where they are)."""
    body: dict[str, object] = {}
    for name, part in (
        ("checkpoint", row.checkpoint),
        ("metadata", row.metadata),
        ("inline", row.inline),
        ("refs", row.blobs),
    ):
        if isinstance(part, BlobRef):
            body[name] = ref_to_list(part)
    if not isinstance(row.blobs, BlobRef):
        body["values"] = refs_to_dict(row.blobs)
        if row.bases:
            body["bases"] = refs_to_dict(row.bases)
    return orjson.dumps(body).decode()


def check_codec(row: Row, where: str) -> None:
    """Refuse a row that a newer version of this library wrote."""
    if row["codec"] != ROW_CODEC:
        raise UnknownCodecError(
            f"{where} was written with row codec {row['codec']}, this version knows {ROW_CODEC};"
            " upgrade langgraph-checkpoint-kusto"
        )


def checkpoint_from_row(row: Row) -> StoredCheckpoint:
    """Read a checkpoint row.

    Raises:
        UnknownCodecError: The row is of a newer version of this library.
        CorruptValueError: A cell is not what this library wrote.
    """
    key = CheckpointKey(row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"])
    where = f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r}"
    check_codec(row, where)
    refs = json_object(row["blob_refs"], where)
    with reading(where):
        bases = refs_from_dict(refs.get("bases") or {})
        return StoredCheckpoint(
            key=key,
            parent_checkpoint_id=row["parent_checkpoint_id"],
            epoch=row["epoch"],
            run_id=row["run_id"],
            submission_id=row["submission_id"],
            written_at=parse_ticks(row["written_at"]),
            checkpoint=_part(row, refs, "checkpoint", where),
            metadata=_part(row, refs, "metadata", where),
            inline=ref_from_list(refs["inline"])
            if "inline" in refs
            else with_bases(inline_from_json(row["inline_data"], where), bases, where),
            blobs=ref_from_list(refs["refs"]) if "refs" in refs else refs_from_dict(refs["values"]),
            bases=bases,
            total_bytes=row["total_bytes"],
        )


def _part(row: Row, refs: Mapping[str, Any], name: str, where: str) -> Encoded | BlobRef:
    if name in refs:
        return ref_from_list(refs[name])
    return _part_from_cell(row[f"{name}_data"], name, where)


def _part_from_cell(cell: str, name: str, where: str) -> Encoded:
    with reading(f"{name} of {where}"):
        return encoded_from_list(orjson.loads(cell), f"{name} of {where}")


def metadata_from_cell(cell: str, where: str) -> Encoded | None:
    """Read the metadata of a checkpoint row from its cell alone; None when it is not in there."""
    return None if not cell else _part_from_cell(cell, "metadata", where)


def ingestion_times(rows: Iterable[Row]) -> dict[str, int]:
    """When stored copies were ingested: of each chunk the last landing, of a copy the earliest."""
    chunks: dict[str, dict[int, int]] = {}
    for row in rows:
        if row["ingested"]:
            moments = chunks.setdefault(row["blob_id"], {})
            moment = parse_ticks(row["ingested"])
            moments[row["chunk"]] = max(moment, moments.get(row["chunk"], 0))
    return {blob_id: min(moments.values()) for blob_id, moments in chunks.items()}


def blobs_from_rows(rows: Iterable[Row]) -> dict[str, Encoded]:
    """Put stored copies together from their chunks; copies that lack a chunk are left out."""
    chunks: dict[str, dict[int, Row]] = {}
    for row in rows:
        check_codec(row, f"blob {row['blob_id']!r}")
        chunks.setdefault(row["blob_id"], {})[row["chunk"]] = row
    whole: dict[str, Encoded] = {}
    for blob_id, found in chunks.items():
        first = next(iter(found.values()))
        if len(found) == first["chunks"]:
            cells = [found[number]["data"] for number in range(first["chunks"])]
            whole[blob_id] = Encoded(
                first["value_type"],
                first["encoding"],
                first["value_bytes"],
                first["value_hash"],
                join_chunks(cells, f"blob {blob_id!r}"),
            )
    return whole
