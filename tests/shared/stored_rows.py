"""What stands in the tables, read with plain KQL through Microsoft's SDK and decoded by hand.

A second opinion on what a saver stored: nothing of the library is imported here, so that a mistake
in its encoding, its queries or its rules cannot hide itself. No test stands here.
"""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import ormsgpack
from azure.kusto.data import ClientRequestProperties, KustoClient, KustoConnectionStringBuilder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Row = dict[str, Any]

UNREADABLE = (ValueError, KeyError, TypeError, zstd.ZstdError)
"""What `joined` and `decoded` raise of parts that are missing or not what was stored."""

CHECKPOINTS = """
declare query_parameters(p_thread:string);
Checkpoints
| where thread_id == p_thread
| project checkpoint_id, submission_id, checkpoint_data, metadata_data, inline_data, blob_refs
"""

BLOB = """
declare query_parameters(p_thread:string, p_blob:string);
CheckpointBlobs
| where thread_id == p_thread and blob_id == p_blob
| project chunk, chunks, value_type, encoding, base_blob_id, value_bytes, value_hash, data
"""

WRITES = """
declare query_parameters(p_thread:string, p_id:string);
CheckpointWrites
| where thread_id == p_thread and checkpoint_id == p_id
| project submission_id, submission_row, submission_rows, task_id, idx, channel, chunk, chunks,
    value_type, encoding, value_bytes, value_hash, data
"""

WRITTEN_TO = """
declare query_parameters(p_thread:string);
CheckpointWrites | where thread_id == p_thread | distinct checkpoint_id
"""

BLOB_CHUNKS = """
CheckpointBlobs
| distinct thread_id, blob_id, chunk, chunks
| summarize found = count() by thread_id, blob_id, chunks
| summarize whole = countif(found == chunks), partial = countif(found != chunks)
"""


def digest(values: Mapping[str, Any]) -> str:
    """What the values of a checkpoint must add up to."""
    seen = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        seen.update(
            name.encode() + b"\0" + (value if isinstance(value, bytes) else repr(value).encode())
        )
    return seen.hexdigest()


@dataclass
class Acknowledged:
    """What a writer heard was stored, by (thread, checkpoint): the digest of the values."""

    puts: dict[tuple[str, str], str] = field(default_factory=dict)
    writes: dict[tuple[str, str], str] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take in a line of a writer."""
        word, *rest = line.split()
        if word in ("ack", "ackw"):
            thread_id, checkpoint_id, stored = rest
            (self.puts if word == "ack" else self.writes)[thread_id, checkpoint_id] = stored

    def of_thread(self, thread_id: str) -> Acknowledged:
        """The part that concerns one thread."""
        return Acknowledged(
            {key: stored for key, stored in self.puts.items() if key[0] == thread_id},
            {key: stored for key, stored in self.writes.items() if key[0] == thread_id},
        )


@dataclass
class Findings:
    """What was looked at, and what was wrong with it."""

    checkpoints: int = 0
    unacknowledged: int = 0
    blobs: int = 0
    frames: int = 0
    submissions: int = 0
    repeated_rows: int = 0
    partial_submissions: int = 0
    partial_blobs: int = 0
    value_bytes: int = 0
    wrong: list[str] = field(default_factory=list)


class Tables:
    """Reads the tables of one database."""

    def __init__(self, uri: str, database: str) -> None:
        self._client = KustoClient(KustoConnectionStringBuilder.with_no_authentication(uri))
        self._database = database
        self._values: dict[str, bytes] = {}
        self._tags: dict[str, str] = {}
        self.findings = Findings()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()  # type: ignore[no-untyped-call]  # half typed

    def check_thread(self, thread_id: str, acknowledged: Acknowledged) -> None:
        """Look at every row of a thread, acknowledged or not, and note what is wrong."""
        self._values.clear()  # blobs are not shared between threads
        found = self._checkpoints(thread_id)
        for (_, checkpoint_id), stored in acknowledged.puts.items():
            if found.get(checkpoint_id) != stored:
                self._wrong(f"put {thread_id} {checkpoint_id}: {found.get(checkpoint_id)}")
        heard = {checkpoint_id for _, checkpoint_id in acknowledged.puts}
        self.findings.unacknowledged += len(set(found) - heard)
        self._check_writes(thread_id, acknowledged)

    def check_chunks(self) -> None:
        """Count the blobs of the whole table that lack a chunk: none may be referred to."""
        (row,) = self._rows(BLOB_CHUNKS)
        self.findings.partial_blobs = row["partial"]

    def _checkpoints(self, thread_id: str) -> dict[str, str]:
        """The digest of the values of each checkpoint, decoded from its rows."""
        found: dict[str, tuple[str, Row]] = {}
        for row in self._rows(CHECKPOINTS, p_thread=thread_id):
            checkpoint_id = row["checkpoint_id"]
            if checkpoint_id in found:
                self.findings.repeated_rows += 1
                if found[checkpoint_id][1] != row:
                    self._wrong(f"checkpoint {thread_id} {checkpoint_id} has two different rows")
                continue
            try:
                found[checkpoint_id] = self._checkpoint(thread_id, row), row
            except UNREADABLE as error:
                self._wrong(f"checkpoint {thread_id} {checkpoint_id} is torn: {error!r}")
        self.findings.checkpoints += len(found)
        return {checkpoint_id: stored for checkpoint_id, (stored, _) in found.items()}

    def _checkpoint(self, thread_id: str, row: Row) -> str:
        refs = orjson.loads(row["blob_refs"])
        body = decoded(*orjson.loads(row["checkpoint_data"]))
        metadata = decoded(*orjson.loads(row["metadata_data"]))
        bases = refs.get("bases", {})
        values = {
            channel: decoded(*item[:5], base=self._bytes(thread_id, bases.get(channel)))
            for channel, item in orjson.loads(row["inline_data"]).items()
        }
        for channel, ref in refs["values"].items():
            values[channel] = self._value(thread_id, ref)
        stored = digest(values)
        if body["id"] != row["checkpoint_id"] or metadata["digest"] != stored:
            raise ValueError(f"id {body['id']}, digest {stored}, not {metadata['digest']}")
        if set(body["channel_versions"]) != set(values):
            raise ValueError(f"channels {sorted(values)}, not {sorted(body['channel_versions'])}")
        return stored

    def _value(self, thread_id: str, ref: Sequence[Any]) -> Any:
        data = self._bytes(thread_id, ref)
        return meant(data, self._tags[ref[0]])

    def _bytes(self, thread_id: str, ref: Sequence[Any] | None) -> bytes:
        """The bytes of a blob: of a frame, those of its base first."""
        if ref is None:
            return b""
        blob_id, base = ref[0], ref[4] if len(ref) > 4 else None
        if blob_id not in self._values:
            before = self._bytes(thread_id, base)
            rows = self._once(self._rows(BLOB, p_thread=thread_id, p_blob=blob_id), "chunk")
            if (rows[0]["base_blob_id"] if rows else "") != (base[0] if base else ""):
                raise ValueError(f"blob {blob_id} has the base {rows[0]['base_blob_id']}")
            self._values[blob_id], self._tags[blob_id] = joined(rows, before)
            self.findings.blobs += 1
            self.findings.frames += base is not None
            self.findings.value_bytes += len(self._values[blob_id])
        return self._values[blob_id]

    def _check_writes(self, thread_id: str, acknowledged: Acknowledged) -> None:
        there = {row["checkpoint_id"] for row in self._rows(WRITTEN_TO, p_thread=thread_id)}
        for (_, checkpoint_id), stored in acknowledged.writes.items():
            if checkpoint_id not in there:
                self._wrong(f"writes {thread_id} {checkpoint_id} {stored} are not there")
        for checkpoint_id in sorted(there):
            where = f"writes {thread_id} {checkpoint_id}"
            if (thread_id, checkpoint_id) not in acknowledged.puts:
                self._wrong(f"{where}: their put was not acknowledged before they were sent")
            try:
                found = self._submissions(thread_id, checkpoint_id)
            except UNREADABLE as error:
                self._wrong(f"{where} are torn: {error!r}")
                continue
            stored = acknowledged.writes.get((thread_id, checkpoint_id), "")
            if stored and found != [stored]:
                self._wrong(f"{where}: {found}, not {stored}")

    def _submissions(self, thread_id: str, checkpoint_id: str) -> list[str]:
        """The digests of the submissions that are whole."""
        calls: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows(WRITES, p_thread=thread_id, p_id=checkpoint_id):
            calls[row["submission_id"]].append(row)
        found: list[str] = []
        for rows in calls.values():
            numbered = self._once(rows, "submission_row")
            if [row["submission_row"] for row in numbered] != [*range(rows[0]["submission_rows"])]:
                self.findings.partial_submissions += 1
                continue
            self.findings.submissions += 1
            found.append(self._pieces(numbered))
        return found

    def _pieces(self, rows: Sequence[Row]) -> str:
        by_write: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_write[row["idx"]].append(row)
        values = [meant(*joined(by_write[idx])) for idx in sorted(by_write)]
        channels = [by_write[idx][0]["channel"] for idx in sorted(by_write)]
        stored = digest({str(place): value for place, value in enumerate(values[1:])})
        if channels != ["digest", "piece", "piece", "piece"] or values[0] != stored:
            raise ValueError(f"channels {channels}, digest {stored}")
        self.findings.value_bytes += sum(map(len, values))
        return stored

    def _once(self, rows: Sequence[Row], number: str) -> list[Row]:
        """Rows in order, those that landed twice once; two of one number must be equal."""
        numbered: dict[int, Row] = {}
        for row in rows:
            if numbered.setdefault(row[number], row) != row:
                raise ValueError(f"{number} {row[number]} is there twice with different content")
        self.findings.repeated_rows += len(rows) - len(numbered)
        return [numbered[place] for place in sorted(numbered)]

    def _rows(self, text: str, **parameters: str) -> list[Row]:
        properties = ClientRequestProperties()  # type: ignore[no-untyped-call]  # half typed
        for name, value in parameters.items():
            properties.set_parameter(name, value)
        answer = self._client.execute_query(self._database, text, properties)
        return list(answer.primary_results[0].to_dict()["data"])

    def _wrong(self, what: str) -> None:
        self.findings.wrong.append(what)


def joined(rows: Sequence[Row], base: bytes = b"") -> tuple[bytes, str]:
    """The bytes of all chunks of one stored copy, and their type."""
    if not rows or [row["chunk"] for row in rows] != [*range(rows[0]["chunks"])]:
        raise ValueError(f"chunks {[row['chunk'] for row in rows]}")
    first = rows[0]
    payload = b"".join(b64decode(row["data"], validate=True) for row in rows)
    data = _read(first["encoding"], first["value_bytes"], first["value_hash"], payload, base)
    return data, first["value_type"]


def decoded(
    tag: str, encoding: str, size: int, value_hash: str, payload: str, base: bytes = b""
) -> Any:
    """A value that stands in the row itself."""
    data = _read(encoding, size, value_hash, b64decode(payload, validate=True), base)
    return meant(data, tag)


def meant(data: bytes, tag: str) -> Any:
    """What the bytes of a value stand for."""
    return data if tag == "bytes" else ormsgpack.unpackb(data)


def _read(encoding: str, size: int, value_hash: str, payload: bytes, base: bytes) -> bytes:
    if encoding == "zstd-prefix":
        prefix = zstd.ZstdDict(base, is_raw=True).as_prefix
        window: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 31}
        data = zstd.decompress(payload, zstd_dict=prefix, options=window)
    else:
        data = zstd.decompress(payload) if encoding == "zstd" else payload
    if len(data) != size or value_hash != f"b{hashlib.blake2b(data, digest_size=16).hexdigest()}":
        raise ValueError(f"{len(data)} bytes of {size}, with another hash than {value_hash}")
    return data
