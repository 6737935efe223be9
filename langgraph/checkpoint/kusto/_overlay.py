"""Overlay: rows this process submitted and that no query has shown yet (pure).

Rules:
- A row enters when it is submitted and leaves when a query has shown it, when it is known dead, or
  when it failed; never by time alone.
- What is in here is merged into query results by key, with the same rules the queries use, so that
  a saver reads its own writes whatever Kusto shows.
- Sizes are those of the rows as sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import NamedTuple

from ._pending_writes import WriteSubmission
from ._rows import BlobCopy, CheckpointKey, StoredCheckpoint
from ._tombstones import Deaths, Tombstone, deaths_parameter
from ._values import Encoded


@dataclass
class _Thread:
    """What one thread has in the overlay, by identity."""

    checkpoints: dict[str, StoredCheckpoint] = field(default_factory=dict)
    blobs: dict[str, BlobCopy] = field(default_factory=dict)
    writes: dict[str, WriteSubmission] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.checkpoints or self.blobs or self.writes or self.tombstones)


class _Entry(NamedTuple):
    """Where one row, or several that belong together, came in."""

    thread_id: str
    size_bytes: int
    rows: int
    written_at: int


@dataclass(frozen=True)
class Unconfirmed:
    """Identities to ask Kusto about, and the time of the oldest, which spares it older extents."""

    oldest: int

    checkpoints: tuple[str, ...]
    blobs: tuple[str, ...]
    writes: tuple[str, ...]
    tombstones: tuple[str, ...]

    def among(self, identities: Iterable[str]) -> set[str]:
        """Those of some identities that are asked about here."""
        asked = {*self.checkpoints, *self.blobs, *self.writes, *self.tombstones}
        return asked.intersection(identities)


@dataclass(frozen=True)
class ThreadView:
    """What the overlay holds of one thread (or of all) at one moment; a read merges this one.

    Taken before the query is sent: what leaves the overlay while the query runs was perhaps not
    visible to it yet.
    """

    checkpoints: tuple[StoredCheckpoint, ...]
    blobs: Mapping[str, Encoded]
    submissions: tuple[WriteSubmission, ...]
    deaths: Deaths
    """What the tombstones that are still in the overlay kill."""
    deaths_parameter: str
    """The same for a query, which may not see them."""
    since: int | None
    """Time of the oldest row; None without rows. No tombstone of checkpoints written before it
    kills one of them."""

    def newest(self, thread_id: str, checkpoint_ns: str) -> StoredCheckpoint | None:
        """The checkpoint with the greatest id, in the copy that was written last."""
        return max(
            (
                row
                for row in self.checkpoints
                if row.key.thread_id == thread_id and row.key.checkpoint_ns == checkpoint_ns
            ),
            key=lambda row: (row.key.checkpoint_id, row.order),
            default=None,
        )

    def copy_of(self, key: CheckpointKey) -> StoredCheckpoint | None:
        """The copy of one checkpoint that was written last."""
        return max(
            (row for row in self.checkpoints if row.key == key),
            key=lambda row: row.order,
            default=None,
        )

    def writes(self, key: CheckpointKey, *, haunted: bool) -> list[WriteSubmission]:
        """Pending writes of one checkpoint.

        Without those that have no epoch when it is haunted: when it has a copy in a dead epoch,
        which they were meant for.
        """
        return [
            submission
            for submission in self.submissions
            if submission.key == key and (submission.epoch or not haunted)
        ]

    def without(self, deaths: Deaths) -> ThreadView:
        """The same without rows that turned out to be dead."""
        if not deaths:  # mostly, and there may be thousands of rows
            return self
        return replace(
            self,
            checkpoints=tuple(row for row in self.checkpoints if not deaths.kills(row)),
            submissions=tuple(item for item in self.submissions if not deaths.kills(item)),
        )

    def epochs(self) -> set[str]:
        """Epochs of all rows."""
        epochs = {row.epoch for row in self.checkpoints}
        epochs |= {submission.epoch for submission in self.submissions}
        return epochs - {""}


class Overlay:
    """Rows by thread, with their sizes."""

    def __init__(self) -> None:
        self._threads: dict[str, _Thread] = {}
        self._entries: dict[str, _Entry] = {}
        self._acknowledged: dict[str, int] = {}  # when, in that order
        self.size_bytes = 0

    def __repr__(self) -> str:
        return f"<Overlay rows={len(self._entries)} bytes={self.size_bytes}>"

    def __len__(self) -> int:
        return len(self._entries)

    def add_checkpoint(self, row: StoredCheckpoint, size_bytes: int) -> None:
        """Add a checkpoint row."""
        entry = _Entry(row.key.thread_id, size_bytes, 1, row.written_at)
        self._enter(row.submission_id, entry)
        self._threads[row.key.thread_id].checkpoints[row.submission_id] = row

    def add_blob(self, copy: BlobCopy, size_bytes: int) -> None:
        """Add a stored copy of a large value."""
        ref = copy.ref
        entry = _Entry(copy.key.thread_id, size_bytes, ref.chunks, ref.written_at)
        self._enter(ref.blob_id, entry)
        self._threads[copy.key.thread_id].blobs[copy.ref.blob_id] = copy

    def add_writes(self, submission: WriteSubmission, size_bytes: int, rows: int) -> None:
        """Add the pending writes of one call."""
        thread_id = submission.key.thread_id
        entry = _Entry(thread_id, size_bytes, rows, submission.written_at)
        self._enter(submission.submission_id, entry)
        self._threads[thread_id].writes[submission.submission_id] = submission

    def add_tombstone(self, stone: Tombstone, size_bytes: int, rows: int) -> None:
        """Add a tombstone."""
        entry = _Entry(stone.thread_id, size_bytes, rows, stone.written_at)
        self._enter(stone.tombstone_id, entry)
        self._threads[stone.thread_id].tombstones[stone.tombstone_id] = stone

    def _enter(self, identity: str, entry: _Entry) -> None:
        if identity not in self._entries:
            self._entries[identity] = entry
            self.size_bytes += entry.size_bytes
        self._threads.setdefault(entry.thread_id, _Thread())

    def acknowledge(self, identities: Iterable[str], now: int) -> None:
        """Note that Kusto has these since now; only such rows are asked about."""
        for identity in identities:
            if identity in self._entries:
                self._acknowledged.setdefault(identity, now)

    def is_acknowledged(self, identity: str) -> bool:
        """Tell whether Kusto has this row; a row that has left the overlay was shown."""
        return identity not in self._entries or identity in self._acknowledged

    def remove(self, identities: Iterable[str]) -> None:
        """Take rows out: shown by a query, failed, or dead."""
        for identity in identities:
            entry = self._entries.pop(identity, None)
            if entry is None:
                continue
            self.size_bytes -= entry.size_bytes
            self._acknowledged.pop(identity, None)
            thread = self._threads[entry.thread_id]
            for rows in (thread.checkpoints, thread.blobs, thread.writes, thread.tombstones):
                rows.pop(identity, None)
            if not thread:
                del self._threads[entry.thread_id]

    def unconfirmed(self, limit: int) -> list[Unconfirmed]:
        """All acknowledged rows, the oldest first, to ask Kusto whether it shows them.

        In groups of a bounded number, one for each question.
        """
        identities = list(self._acknowledged)
        return [
            self._group(identities[start : start + limit])
            for start in range(0, len(identities), limit)
        ]

    def _group(self, identities: Sequence[str]) -> Unconfirmed:
        chosen: dict[str, list[str]] = {
            "checkpoints": [],
            "blobs": [],
            "writes": [],
            "tombstones": [],
        }
        for identity in identities:
            thread = self._threads[self._entries[identity].thread_id]
            for kind, found in chosen.items():
                if identity in getattr(thread, kind):
                    found.append(identity)
        return Unconfirmed(
            oldest=min(self._entries[identity].written_at for identity in identities),
            **{kind: tuple(found) for kind, found in chosen.items()},
        )

    def acknowledged_before(self, moment: int) -> list[str]:
        """Rows that were acknowledged before a time: what Kusto was asked for long ago.

        Not when they were written: a checkpoint waits for its large values in between.
        """
        early = takewhile(lambda item: item[1] < moment, self._acknowledged.items())
        return [identity for identity, _ in early]

    @property
    def has_acknowledged(self) -> bool:
        """Whether something is here that Kusto has and no query has shown."""
        return bool(self._acknowledged)

    def thread_of(self, identity: str) -> str:
        """The thread of a row; empty when it is not here."""
        entry = self._entries.get(identity)
        return "" if entry is None else entry.thread_id

    def row_count_of(self, identity: str) -> int:
        """Rows a submission has; 0 when it is not here."""
        entry = self._entries.get(identity)
        return 0 if entry is None else entry.rows

    def view(self, thread_id: str | None = None) -> ThreadView:
        """Give what one thread (or all) has here, without rows that are dead."""
        threads = self._select(thread_id)
        stones = [stone for thread in threads for stone in thread.tombstones.values()]
        deaths = Deaths.of(stones)
        rows = [row for thread in threads for row in thread.checkpoints.values()]
        submissions = [item for thread in threads for item in thread.writes.values()]
        moments = [row.written_at for row in rows]
        moments += [item.written_at for item in submissions]
        moments += [stone.written_at for stone in stones]
        view = ThreadView(
            checkpoints=tuple(rows),
            blobs={
                blob_id: copy.value for thread in threads for blob_id, copy in thread.blobs.items()
            },
            submissions=tuple(submissions),
            deaths=deaths,
            deaths_parameter=deaths_parameter(stones),
            since=min(moments, default=None),
        )
        return view.without(deaths)

    def dead(self, thread_id: str, deaths: Deaths) -> list[str]:
        """Identities of acknowledged rows that are dead; tombstones stay until they are shown."""
        thread = self._threads.get(thread_id)
        if thread is None:
            return []
        found = [identity for identity, row in thread.checkpoints.items() if deaths.kills(row)]
        found += [identity for identity, item in thread.writes.items() if deaths.kills(item)]
        # A copy of a value may be referred to by a later checkpoint that lives; an epoch, by none.
        found += [
            identity for identity, copy in thread.blobs.items() if copy.epoch in deaths.epochs
        ]
        return [identity for identity in found if identity in self._acknowledged]

    def checkpoints_of(self, thread_id: str, identities: Iterable[str]) -> list[CheckpointKey]:
        """Which checkpoints some of a thread's rows are; rows of other kinds are none."""
        thread = self._threads.get(thread_id)
        rows = {} if thread is None else thread.checkpoints
        return [rows[identity].key for identity in identities if identity in rows]

    def holds(self, key: CheckpointKey) -> bool:
        """Whether a copy of a checkpoint is here, dead or alive."""
        thread = self._threads.get(key.thread_id)
        return thread is not None and any(row.key == key for row in thread.checkpoints.values())

    def _select(self, thread_id: str | None) -> list[_Thread]:
        if thread_id is None:
            return list(self._threads.values())
        thread = self._threads.get(thread_id)
        return [] if thread is None else [thread]
