"""Checkpoints planned, ingested as Kusto would, read back and compared. No test stands here."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from langgraph.checkpoint.kusto._batch import MAX_BATCH_BYTES
from langgraph.checkpoint.kusto._row_cells import inline_from_json, refs_from_json, with_bases
from langgraph.checkpoint.kusto._rows import (
    BlobCopy,
    CheckpointKey,
    CheckpointParts,
    CheckpointPlan,
    StoredCheckpoint,
    blobs_from_rows,
    checkpoint_from_row,
    plan_checkpoint,
)
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME
from langgraph.checkpoint.kusto._values import (
    CHUNK_BYTES,
    BlobRef,
    Encoded,
    base64_chars,
    decode_value,
    encode_value,
)

KEY = CheckpointKey("thread", "", "1ef4f797-8335-6428-8001-8a1503f9b875")
NOW = 639_000_000_123_456_789


def from_kusto(table: str, line: bytes) -> dict[str, Any]:
    """What Kusto shows of an ingested row, with its silent truncations turned into failures."""
    body = orjson.loads(bytes(line))
    columns = {column.name: column for column in TABLE_BY_NAME[table].columns}
    assert set(body) <= set(columns), "a property without a column is dropped in silence"
    assert len(line) <= MAX_BATCH_BYTES, "a row has to fit a request"
    row: dict[str, Any] = {}
    for name, column in columns.items():
        value = body.get(name)
        if column.type == "string":
            assert value is None or isinstance(value, str), name
            assert len((value or "").encode()) <= 1_000_000, f"{name} would be truncated"
            row[name] = value or ""
            continue
        if column.type == "dynamic":
            assert len(orjson.dumps(value)) < 2**20, f"{name} would become null"
        elif column.type == "int":
            assert value is None or (type(value) is int and -(2**31) <= value < 2**31), name
        elif column.type == "long":
            assert value is None or (type(value) is int and -(2**63) <= value < 2**63), name
        row[name] = value
    return row


def counter() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"b{next(numbers):032x}"


def raw(size: int, seed: int = 0) -> Encoded:
    """A value that does not compress."""
    return encode_value("msgpack", random.Random(seed).randbytes(size))


def make_parts(**changes: Any) -> CheckpointParts:
    parts = CheckpointParts(
        key=KEY,
        parent_checkpoint_id="1ef4f797-8335-6428-8000-000000000000",
        epoch="e1",
        run_id="run",
        submission_id="s1",
        written_at=NOW,
        checkpoint=encode_value("msgpack", b"checkpoint"),
        metadata=encode_value("msgpack", b"metadata"),
        values={},
        reused={},
    )
    return replace(parts, **changes)


def copy_of(payload: bytes, blob_id: str) -> BlobCopy:
    value = encode_value("msgpack", payload)
    ref = BlobRef(blob_id, max(1, -(-len(value.payload) // CHUNK_BYTES)), len(value.payload), NOW)
    return BlobCopy(KEY, "e1", "run", "c", "1", value, ref)


def shown(plan: CheckpointPlan) -> tuple[StoredCheckpoint, dict[str, Encoded]]:
    """Ingest everything of a plan and read it back."""
    blob_rows = [
        from_kusto("CheckpointBlobs", bytes(line))
        for copy in plan.copies
        for line in copy.to_rows()
    ]
    random.Random(1).shuffle(blob_rows)
    return (
        checkpoint_from_row(from_kusto("Checkpoints", plan.row_json)),
        blobs_from_rows(blob_rows),
    )


def without_bases(row: StoredCheckpoint) -> StoredCheckpoint:
    """A row as it is while nobody knows what its frames were stored against."""
    if isinstance(row.inline, BlobRef):
        return row
    inline = {channel: replace(value, base=None) for channel, value in row.inline.items()}
    return replace(row, inline=inline)


def whole_values(row: StoredCheckpoint, blobs: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """The channel values, wherever the plan put them; fails when a part is not reachable."""
    refs, bases = row.blobs, row.bases
    if isinstance(refs, BlobRef):
        refs, bases = refs_from_json(decode_value(blobs[refs.blob_id], "refs"), "refs")
    inline = row.inline
    if isinstance(inline, BlobRef):
        inline = inline_from_json(decode_value(blobs[inline.blob_id], "inline"), "inline")
    assert not inline.keys() & refs.keys()
    inline = with_bases(inline, bases, "x")
    return {
        **inline,
        **{
            channel: replace(blobs[ref.blob_id], base=ref.base, spent=ref.spent)
            for channel, ref in refs.items()
        },
    }


def check_plan(parts: CheckpointParts) -> CheckpointPlan:
    """Plan, ingest, read back, compare everything; return the plan for more assertions."""
    plan = plan_checkpoint(parts, counter())
    row, blobs = shown(plan)
    body = orjson.loads(plan.row_json)

    # Readers do not ask for the source; what frames were stored against may stand in a blob.
    assert without_bases(row) == without_bases(replace(plan.row, source=""))
    assert {
        copy.ref.blob_id: replace(copy.value, base=None, spent=0) for copy in plan.copies
    } == blobs
    reused = {ref.blob_id: raw(3, seed) for seed, ref in enumerate(parts.reused.values())}
    values = whole_values(row, {**blobs, **reused})
    assert values == {
        **parts.values,
        **{
            channel: replace(reused[ref.blob_id], base=ref.base, spent=ref.spent)
            for channel, ref in parts.reused.items()
        },
    }
    for part, stored in ((parts.checkpoint, row.checkpoint), (parts.metadata, row.metadata)):
        assert part == (blobs[stored.blob_id] if isinstance(stored, BlobRef) else stored)
    bases = [value.base for value in parts.values.values() if value.base is not None]
    outer = [*parts.reused.values(), *bases]
    needed = {part.blob_id: part for ref in outer for part in ref.chain()}
    # What one query is told to fetch along with the row, and what the result will weigh.
    listed = [item for item in body["blob_ids"].split(",") if item]
    assert listed == [ref.blob_id for ref in row.direct_refs()]
    if isinstance(row.blobs, BlobRef):  # the list of the channels is in a blob itself
        assert row.blobs.blob_id in listed
    else:
        assert set(listed) == blobs.keys() | needed.keys()
    framed = {name for name, value in parts.values.items() if value.base is not None}
    assert plan.bases == [parts.values[name].base for name in plan.riding if name in framed]
    assert body["row_bytes"] >= len(plan.row_json)
    fetched = sum(copy.ref.chunks for copy in plan.copies)
    fetched += sum(ref.chunks for ref in needed.values())
    assert body["blob_rows"] == fetched
    payload = sum(base64_chars(copy.ref.stored_bytes) for copy in plan.copies)
    payload += sum(base64_chars(ref.stored_bytes) for ref in needed.values())
    assert body["total_bytes"] == row.total_bytes >= body["row_bytes"] + payload
    return plan
