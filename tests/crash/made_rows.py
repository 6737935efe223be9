"""Rows made by hand, as the documents describe them, and sent past the library.

So that a test can make stores that no library would: torn, resurrected, doubled. Nothing of the
library is imported here. No test stands here, and nothing is checked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import ormsgpack
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder

Row = dict[str, Any]

CHUNK_BYTES = 720_000
_FIRST_TICK = "2026-01-01T00:00:00.{:07d}Z"


def moment(number: int) -> str:
    """The time of the row with a number; greater numbers are later."""
    return _FIRST_TICK.format(number)


def serialized(value: Any) -> tuple[str, bytes]:
    """A value as its serializer writes it: tag and bytes."""
    return ("bytes", value) if isinstance(value, bytes) else ("msgpack", ormsgpack.packb(value))


def hash_of(data: bytes) -> str:
    """What a value's bytes are checked against."""
    return f"b{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def cell(value: Any) -> list[Any]:
    """A value that stands in the row itself."""
    tag, data = serialized(value)
    return [tag, "raw", len(data), hash_of(data), b64encode(data).decode()]


def _value_columns(value: Any, chunk: int) -> Row:
    tag, data = serialized(value)
    part = data[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
    return {
        "value_type": tag,
        "codec": 1,
        "encoding": "raw",
        "value_bytes": len(data),
        "value_hash": hash_of(data),
        "chunk": chunk,
        "chunks": chunks_of(value),
        "data": b64encode(part).decode(),
    }


def chunks_of(value: Any) -> int:
    """How many rows a value takes."""
    return max(1, -(-len(serialized(value)[1]) // CHUNK_BYTES))


def checkpoint_row(
    thread_id: str,
    checkpoint_id: str,
    *,
    values: Mapping[str, Any],
    metadata: Mapping[str, Any],
    blobs: Mapping[str, str] | None = None,
    parent: str = "",
    epoch: str = "e1",
    submission_id: str = "",
    at: int = 0,
) -> Row:
    """A checkpoint; `blobs` names the stored copy of each value that does not ride in the row."""
    copies = dict(blobs or {})
    body = {
        "v": 4,
        "id": checkpoint_id,
        "ts": moment(at),
        "channel_versions": dict.fromkeys(values, 1),
        "versions_seen": {},
        "updated_channels": sorted(values),
    }
    refs: dict[str, list[Any]] = {
        name: [blob_id, chunks_of(values[name]), len(serialized(values[name])[1]), moment(at)]
        for name, blob_id in copies.items()
    }
    inline = {name: cell(value) for name, value in values.items() if name not in copies}
    return {
        "thread_id": thread_id,
        "checkpoint_ns": "",
        "checkpoint_id": checkpoint_id,
        "parent_checkpoint_id": parent,
        "epoch": epoch,
        "run_id": "",
        "submission_id": submission_id or f"s-{checkpoint_id}-{at}",
        "written_at": moment(at),
        "codec": 1,
        "metadata": dict(metadata),
        "channel_versions": body["channel_versions"],
        "row_bytes": 1_000,
        "total_bytes": 1_000 + sum(ref[2] * 2 for ref in refs.values()),
        "blob_rows": sum(ref[1] for ref in refs.values()),
        "checkpoint_data": orjson.dumps(cell(body)).decode(),
        "metadata_data": orjson.dumps(cell(dict(metadata))).decode(),
        "inline_data": orjson.dumps(inline).decode(),
        "blob_refs": orjson.dumps({"values": refs}).decode(),
        "blob_ids": ",".join(copies.values()),
    }


def blob_rows(
    thread_id: str, blob_id: str, value: Any, *, epoch: str = "e1", at: int = 0
) -> list[Row]:
    """All chunks of one stored copy."""
    return [
        {
            "thread_id": thread_id,
            "blob_id": blob_id,
            "checkpoint_ns": "",
            "epoch": epoch,
            "stored_bytes": len(serialized(value)[1]),
            "written_at": moment(at),
            **_value_columns(value, chunk),
        }
        for chunk in range(chunks_of(value))
    ]


def write_rows(
    thread_id: str,
    checkpoint_id: str,
    writes: Sequence[tuple[str, Any]],
    *,
    task_id: str = "task",
    epoch: str = "e1",
    submission_id: str = "",
    at: int = 0,
) -> list[Row]:
    """All rows of one `put_writes` call."""
    total, rows = sum(chunks_of(value) for _, value in writes), list[Row]()
    for idx, (channel, value) in enumerate(writes):
        for chunk in range(chunks_of(value)):
            row = {
                "thread_id": thread_id,
                "checkpoint_ns": "",
                "checkpoint_id": checkpoint_id,
                "epoch": epoch,
                "run_id": "",
                "submission_id": submission_id or f"s-{checkpoint_id}-{task_id}-{at}",
                "submission_row": len(rows),
                "submission_rows": total,
                "task_id": task_id,
                "task_path": "",
                "idx": idx,
                "channel": channel,
                "row_bytes": 1_000,
                "written_at": moment(at),
                **_value_columns(value, chunk),
            }
            rows.append(row)
    return rows


def tombstone_row(thread_id: str, epochs: Iterable[str], *, at: int = 0) -> Row:
    """What `delete_thread` writes."""
    return {
        "thread_id": thread_id,
        "tombstone_id": f"t-{thread_id}-{at}",
        "scope": "epochs",
        "part": 0,
        "parts": 1,
        "ids": ",".join(epochs),
        "checkpoint_ns": "",
        "reason": "delete_thread",
        "codec": 1,
        "written_at": moment(at),
    }


class Hand:
    """Sends rows to the tables of a database."""

    def __init__(self, uri: str, database: str) -> None:
        self._client = KustoClient(KustoConnectionStringBuilder.with_no_authentication(uri))
        self._database = database

    def __enter__(self) -> Hand:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()  # type: ignore[no-untyped-call]  # half typed

    def send(self, table: str, *rows: Row) -> None:
        """Stream rows into a table."""
        body = b"\n".join(orjson.dumps(row) for row in rows)
        packed = io.BytesIO(gzip.compress(body))
        self._client.execute_streaming_ingest(
            self._database, table, packed, None, "multijson", mapping_name=f"{table}_v1"
        )
