"""Everything that stands in a database, read in bulk with plain KQL and put together by hand.

Lives here: pages, rows, chunks, tombstones, and what of it is alive by the rules of
docs/architecture.md. Does not live here: what should be there (`history`) and comparing
(`checker`). Nothing of the library is imported: a mistake in its rules cannot hide itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from azure.kusto.data import ClientRequestProperties, KustoClient, KustoConnectionStringBuilder
from shared.stored_rows import UNREADABLE, Row, decoded, joined, meant

from .events import digest, metadata_digest, pieces_digest

PAGE_BYTES = 24_000_000

SIZES = """
union
    (Checkpoints | summarize bytes = sum(row_bytes) by thread_id),
    (CheckpointWrites | summarize bytes = sum(row_bytes) by thread_id),
    (CheckpointBlobs | summarize bytes = sum(stored_bytes * 4 / (3 * chunks)) by thread_id)
| summarize bytes = sum(bytes) by thread_id
| order by thread_id asc
"""

# Names of threads stand in the text: that is what the local server looks up in its index.
IN_PAGE = """
{table}
| where thread_id in ({{threads}})
| project {columns}
"""

CHECKPOINTS = IN_PAGE.format(
    table="Checkpoints",
    columns="thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, epoch, submission_id,"
    " written_at, checkpoint_data, metadata_data, inline_data, blob_refs",
)
BLOBS = IN_PAGE.format(
    table="CheckpointBlobs",
    columns="thread_id, blob_id, chunk, chunks, value_type, encoding, base_blob_id, value_bytes,"
    " value_hash, data",
)
WRITES = IN_PAGE.format(
    table="CheckpointWrites",
    columns="thread_id, checkpoint_ns, checkpoint_id, epoch, submission_id, submission_row,"
    " submission_rows, task_id, idx, channel, chunk, chunks, value_type, encoding, value_bytes,"
    " value_hash, written_at, data",
)
TOMBSTONES = "CheckpointTombstones | project thread_id, tombstone_id, scope, part, parts, ids"
VIEW = "LatestCheckpoints | project thread_id, checkpoint_ns, epoch, checkpoint_id"

Key = tuple[str, str, str]
"""Thread, namespace, checkpoint."""


@dataclass(frozen=True)
class Copy:
    """One stored copy of a checkpoint."""

    key: Key
    parent: str
    epoch: str
    submission_id: str
    order: tuple[str, str]
    """Which of two copies was written last."""
    life: str
    values: str
    metadata: str
    problem: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True)
class Submission:
    """The rows of one call of `put_writes` that are there, in order."""

    key: Key
    epoch: str
    submission_id: str
    order: tuple[str, str]
    rows: Sequence[Row]
    whole: bool
    problem: str = ""


@dataclass
class Page:
    """Some threads, completely."""

    threads: Sequence[str]
    copies: list[Copy] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    repeated_rows: int = 0
    conflicts: list[str] = field(default_factory=list)
    """Rows of one identity with different content."""
    partial_blobs: int = 0
    frames: int = 0
    """Values that were read after what they were stored against."""
    value_bytes: int = 0


class Store:
    """One database."""

    def __init__(self, uri: str, database: str) -> None:
        self._client = KustoClient(KustoConnectionStringBuilder.with_no_authentication(uri))
        self._database = database

    def close(self) -> None:
        """Close the connection."""
        self._client.close()  # type: ignore[no-untyped-call]  # half typed

    def rows(self, text: str) -> list[Row]:
        """Run a query without a limit of its result."""
        properties = ClientRequestProperties()  # type: ignore[no-untyped-call]  # half typed
        properties.set_option("notruncation", True)  # type: ignore[no-untyped-call]
        table = self._client.execute_query(self._database, text, properties).primary_results[0]
        names = [column.column_name for column in table.columns]
        return [dict(zip(names, row, strict=True)) for row in table.raw_rows]

    def dead_epochs(self) -> set[str]:
        """The epochs that tombstones kill; one that lacks a part kills nothing."""
        stones: dict[str, dict[int, Row]] = defaultdict(dict)
        for row in self.rows(TOMBSTONES):
            if row["scope"] != "epochs":
                raise ValueError(f"a tombstone of {row['scope']}: writers delete threads only")
            stones[row["tombstone_id"]][row["part"]] = row
        return {
            epoch
            for parts in stones.values()
            if len(parts) == next(iter(parts.values()))["parts"]
            for row in parts.values()
            for epoch in row["ids"].split(",")
            if epoch
        }

    def pages(self) -> Iterator[Page]:
        """Read all threads, some at a time."""
        group: list[str] = []
        size = 0
        for row in self.rows(SIZES):
            if group and size + row["bytes"] > PAGE_BYTES:
                yield self._page(group)
                group, size = [], 0
            group.append(row["thread_id"])
            size += row["bytes"]
        if group:
            yield self._page(group)

    def _page(self, threads: list[str]) -> Page:
        names = ", ".join(map(_quoted, threads))
        page = Page(threads)
        blobs = _Blobs(page, self.rows(BLOBS.format(threads=names)))
        rows = self.rows(CHECKPOINTS.format(threads=names))
        page.copies = [_copy(row, blobs) for row in _once(page, rows, ("submission_id",))]
        rows = self.rows(WRITES.format(threads=names))
        writes = _once(page, rows, ("submission_id", "submission_row"))
        page.submissions = list(_submissions(writes))
        return page


class _Blobs:
    """The large values of some threads, decoded when they are asked for."""

    def __init__(self, page: Page, rows: Iterable[Row]) -> None:
        self.page = page
        self._chunks: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self._values: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._mixed: set[tuple[str, str]] = set()
        seen: dict[tuple[str, str, int], Row] = {}
        for row in rows:
            name = row["thread_id"], row["blob_id"]
            first = seen.setdefault((*name, row["chunk"]), row)
            if first is row:
                self._chunks[name].append(row)
            else:
                page.repeated_rows += 1
                if first != row:
                    self._mixed.add(name)
        page.partial_blobs += sum(
            len(chunks) != chunks[0]["chunks"] for chunks in self._chunks.values()
        )

    def value(self, thread_id: str, ref: Sequence[Any]) -> Any:
        """A value; `UNREADABLE` when it is not there as it was stored."""
        return meant(*self._read(thread_id, ref))

    def data(self, thread_id: str, ref: Sequence[Any] | None) -> bytes:
        """The bytes of what a frame was stored against; none, when it is no frame."""
        return b"" if ref is None else self._read(thread_id, ref)[0]

    def _read(self, thread_id: str, ref: Sequence[Any]) -> tuple[bytes, str]:
        blob_id, base = ref[0], ref[4] if len(ref) > 4 else None
        name = thread_id, blob_id
        if name not in self._values:
            before = self.data(thread_id, base)
            if name in self._mixed:
                raise ValueError(f"chunks of blob {blob_id} are there twice, and differ")
            chunks = sorted(self._chunks.pop(name, ()), key=lambda row: int(row["chunk"]))
            if not chunks:
                raise ValueError(f"blob {blob_id} is not there")
            if chunks[0]["base_blob_id"] != ("" if base is None else base[0]):
                raise ValueError(f"blob {blob_id} was stored against {chunks[0]['base_blob_id']}")
            self._values[name] = joined(chunks, before)
            self.page.frames += base is not None
            self.page.value_bytes += chunks[0]["value_bytes"]
        return self._values[name]


def _once(page: Page, rows: Iterable[Row], identity: Sequence[str]) -> list[Row]:
    """Rows without those that landed twice; two of one identity must be equal."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        name = tuple(row[column] for column in identity)
        first = found.setdefault(name, row)
        if first is not row:
            page.repeated_rows += 1
            if first != row:
                page.conflicts.append(
                    f"two rows of {row['thread_id']} {row['checkpoint_id']} have the identity"
                    f" {name} and differ"
                )
    return list(found.values())


def _copy(row: Row, blobs: _Blobs) -> Copy:
    life = values = metadata = problem = ""
    try:
        refs = orjson.loads(row["blob_refs"])
        body = decoded(*orjson.loads(row["checkpoint_data"]))
        noted = decoded(*orjson.loads(row["metadata_data"]))
        life, metadata = noted["life"], metadata_digest(noted)
        inline = orjson.loads(row["inline_data"])
        thread_id, bases, found = row["thread_id"], refs.get("bases", {}), {}
        for channel, item in inline.items():
            base = blobs.data(thread_id, bases.get(channel))
            found[channel] = decoded(*item[:5], base=base)
        blobs.page.frames += len(bases)
        for channel, ref in refs["values"].items():
            found[channel] = blobs.value(thread_id, ref)
        values = digest(found)
        if body["id"] != row["checkpoint_id"]:
            raise ValueError(f"its body is of {body['id']}")
        if set(body["channel_versions"]) != set(found) or noted["digest"] != values:
            raise ValueError(f"its channels {sorted(found)} are not those that were put")
    except UNREADABLE as error:
        problem = f"{type(error).__name__}: {error}"
    return Copy(
        (row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]),
        row["parent_checkpoint_id"],
        row["epoch"],
        row["submission_id"],
        (_time(row["written_at"]), row["submission_id"]),
        life,
        values,
        metadata,
        problem,
    )


def _submissions(rows: Iterable[Row]) -> Iterator[Submission]:
    calls: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        calls[row["submission_id"]].append(row)
    for submission_id, found in calls.items():
        found.sort(key=lambda row: int(row["submission_row"]))
        first = found[0]
        numbers = [row["submission_row"] for row in found]
        yield Submission(
            (first["thread_id"], first["checkpoint_ns"], first["checkpoint_id"]),
            first["epoch"],
            submission_id,
            (_time(first["written_at"]), submission_id),
            found,
            numbers == [*range(first["submission_rows"])],
        )


def call_digest(rows: Iterable[Row]) -> str:
    """The digest of the pieces of one task's writes, all chunks of each.

    Raises:
        ValueError: They are not all writes of one call (or another of `UNREADABLE`).
    """
    by_write: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_write[row["idx"]].append(row)
    values = [meant(*joined(by_write[idx])) for idx in sorted(by_write)]
    channels = [by_write[idx][0]["channel"] for idx in sorted(by_write)]
    pieces = pieces_digest(values[1:])
    if channels != ["digest"] + ["piece"] * (len(values) - 1) or values[0] != pieces:
        raise ValueError(f"writes of the channels {channels} are a part of a call, or of two")
    return pieces


def _quoted(thread_id: str) -> str:
    """A name as a literal; those of writers hold nothing that would need more."""
    if not re.fullmatch(r"[\w-]+", thread_id):
        raise ValueError(f"{thread_id!r} is no thread of a writer")
    return f'"{thread_id}"'


def _time(text: str) -> str:
    """A time as text that compares as times do: with seven digits after the second."""
    return text[:19] + "." + text[20:].rstrip("Z").ljust(7, "0")
