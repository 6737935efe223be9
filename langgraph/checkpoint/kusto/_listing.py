"""Listing: pages of checkpoint keys from Kusto merged with the overlay, then their payload.

Two requests a page: keys (with the exact metadata when a filter has to look at it), then the
payload of those that are wanted, in groups of bounded bytes. Nothing is held in between.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import _kql
from ._assembly import (
    RESULT_BYTES,
    RESULT_ROWS,
    MissingPartsError,
    RawCheckpoint,
    assemble,
    deaths_parameters,
    learn,
    learn_deaths,
    merge_submissions,
)
from ._clock import parse_ticks
from ._core import Core
from ._overlay import ThreadView
from ._pending_writes import WriteSubmission, submissions_from_rows
from ._reader import read_checkpoint
from ._requests import Typed
from ._rows import (
    CheckpointKey,
    StoredCheckpoint,
    blobs_from_rows,
    checkpoint_from_row,
    metadata_from_cell,
)
from ._tombstones import tombstones_from_rows
from ._transport import understood
from ._values import BlobRef, Encoded, decode_value
from .errors import (
    IncompleteCheckpointError,
    PartsLostError,
    ResultTooLargeError,
    UnknownCodecError,
)

logger = logging.getLogger(__name__)

GROUP_BYTES = 16 * 1024 * 1024
"""Payload fetched at a time while a list is consumed."""

GROUP_ROWS = 50
FIRST_GROUP_ROWS = 10  # callers often want only the newest


@dataclass(frozen=True)
class ListRange:
    """What a list ranges over; None means all."""

    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: str | None = None
    before: str | None = None

    def covers(self, key: CheckpointKey) -> bool:
        """Whether a checkpoint is in the range."""
        return (
            self.thread_id in (None, key.thread_id)
            and self.checkpoint_ns in (None, key.checkpoint_ns)
            and self.checkpoint_id in (None, key.checkpoint_id)
            and (self.before is None or key.checkpoint_id < self.before)
        )


@dataclass(frozen=True)
class ListEntry:
    """One checkpoint of a page of keys; without `metadata` it has to be read to know it."""

    key: CheckpointKey
    order: tuple[int, str]
    submission_id: str
    total_bytes: int
    metadata: Typed | None = None


@dataclass(frozen=True)
class ListPage:
    """Entries, newest first, and the key after which the next page starts (None: no more)."""

    entries: Sequence[ListEntry]
    cursor: CheckpointKey | None


def _place(key: CheckpointKey) -> tuple[_Descending, str, str]:
    return (_Descending(key.checkpoint_id), key.thread_id, key.checkpoint_ns)


class _Descending(str):
    """Text that sorts from the greatest to the least."""

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


async def list_page(
    core: Core, scope: ListRange, cursor: CheckpointKey | None, *, metadata: bool
) -> ListPage:
    """Read one page of keys.

    Args:
        core: The core.
        scope: What to list.
        cursor: The cursor of the page before.
        metadata: Also read the exact metadata.
    """
    view = core.memory.overlay.view(scope.thread_id)
    text = _kql.list_keys(
        thread=scope.thread_id is not None,
        namespace=scope.checkpoint_ns is not None,
        by_id=scope.checkpoint_id is not None,
        before=scope.before is not None,
        cursor=cursor is not None,
        metadata=metadata,
    )
    with understood():
        rows, stones = await core.query(text, _parameters(scope, cursor, view))
        tombstones = tombstones_from_rows(stones.records("tombstone_id"))
        records = rows.records("total_bytes")
        entries = {entry.key: entry for entry in map(_entry_from_row, records)}
    deaths = learn_deaths(core, tombstones)
    boundary = None
    if len(records) == _kql.LIST_PAGE_ROWS:
        boundary = _key_of(records[-1])
    for row in view.without(deaths).checkpoints:
        key = row.key
        if not scope.covers(key):
            continue
        if cursor is not None and not _place(cursor) < _place(key):
            continue
        if boundary is not None and _place(boundary) < _place(key):
            continue
        known = entries.get(key)
        if known is None or known.order < row.order:
            entries[key] = _entry_from_overlay(row)
    ordered = sorted(entries.values(), key=lambda entry: _place(entry.key))
    return ListPage(ordered, boundary)


def _parameters(
    scope: ListRange, cursor: CheckpointKey | None, view: ThreadView
) -> dict[str, str | int]:
    parameters = deaths_parameters(view)
    for name, value in (
        ("p_thread", scope.thread_id),
        ("p_ns", scope.checkpoint_ns),
        ("p_id", scope.checkpoint_id),
        ("p_before", scope.before),
    ):
        if value is not None:
            parameters[name] = value
    if cursor is not None:
        parameters["p_cursor_id"] = cursor.checkpoint_id
        parameters["p_cursor_thread"] = cursor.thread_id
        parameters["p_cursor_ns"] = cursor.checkpoint_ns
    return parameters


def _key_of(record: Mapping[str, Any]) -> CheckpointKey:
    return CheckpointKey(record["thread_id"], record["checkpoint_ns"], record["checkpoint_id"])


def _entry_from_row(record: Mapping[str, Any]) -> ListEntry:
    key = _key_of(record)
    where = f"the metadata of checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r}"
    if record["written_at"] is None:
        raise UnknownCodecError(
            f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r} has no written_at: this"
            " library did not write it, or with a changed ingestion mapping; see `saver.setup()`"
        )
    return ListEntry(
        key=key,
        order=(parse_ticks(record["written_at"]), record["submission_id"]),
        submission_id=record["submission_id"],
        total_bytes=record["total_bytes"],
        metadata=_typed(metadata_from_cell(record.get("metadata_data", ""), where), where),
    )


def _entry_from_overlay(row: StoredCheckpoint) -> ListEntry:
    part = None if isinstance(row.metadata, BlobRef) else row.metadata
    where = f"the metadata of checkpoint {row.key.checkpoint_id!r}"
    return ListEntry(row.key, row.order, row.submission_id, row.total_bytes, _typed(part, where))


def _typed(value: Encoded | None, where: str) -> Typed | None:
    return None if value is None else (value.value_type, decode_value(value, where))


async def read_entries(
    core: Core, entries: Sequence[ListEntry], thread_id: str | None, *, strict: bool = False
) -> list[RawCheckpoint]:
    """Read the payload of a group, in its order.

    Left out: what was deleted since, and, logged and counted, what is visible but not whole, or
    torn. With `strict` the latter raises.
    """
    if not entries:
        return []
    whole = await _read_together(core, entries, thread_id)
    found: list[RawCheckpoint] = []
    for entry in entries:
        raw = whole.get(entry.key)
        if raw is None:
            raw = await _read_alone(core, entry.key, strict)
        if raw is not None:
            found.append(raw)
        elif strict:
            raise PartsLostError(
                f"checkpoint {entry.key.checkpoint_id} of thread {entry.key.thread_id!r} was"
                " deleted while it was read; run the call again"
            )
    return found


async def _read_together(
    core: Core, entries: Sequence[ListEntry], thread_id: str | None
) -> dict[CheckpointKey, RawCheckpoint]:
    if sum(entry.total_bytes for entry in entries) > RESULT_BYTES:
        return {}
    view = core.memory.overlay.view(thread_id)
    parameters: dict[str, str | int] = {
        **deaths_parameters(view),
        "p_submissions": ",".join(entry.submission_id for entry in entries),
        "p_budget": RESULT_BYTES,
        "p_rows": RESULT_ROWS,
    }
    if thread_id is not None:
        parameters["p_thread"] = thread_id
    try:
        tables = await core.query(_kql.read_many(thread=thread_id is not None), parameters)
    except ResultTooLargeError:  # blobs that landed several times; each is read alone
        return {}
    with understood():
        marks, heads, haunts, blobs, writes, stones = tables
        view = view.without(learn(core, heads, blobs, writes, stones))
        haunted = {_key_of(record) for record in haunts.records("thread_id")}
        if not marks.records()[0]["fits"]:
            return {}
        shown = {row.submission_id: row for row in map(checkpoint_from_row, heads.records())}
        stored_blobs = {**blobs_from_rows(blobs.records()), **view.blobs}
        by_key: dict[CheckpointKey, list[WriteSubmission]] = {}
        for submission in submissions_from_rows(writes.records()):
            by_key.setdefault(submission.key, []).append(submission)
    whole: dict[CheckpointKey, RawCheckpoint] = {}
    decoded: dict[str, bytes] = {}
    for entry in entries:
        head = shown.get(entry.submission_id)
        # A row that Kusto does not show yet is read alone: its writes did not come along here.
        if head is None:
            continue
        core.memory.epochs.remember(head.key, head.epoch)
        own = view.writes(entry.key, haunted=entry.key in haunted)
        submissions = merge_submissions(by_key.get(entry.key, ()), own)
        try:
            whole[entry.key] = await assemble(core, head, stored_blobs, submissions, decoded)
        except (MissingPartsError, PartsLostError) as missing:
            logger.info("reading a listed checkpoint again: %s", missing)
    return whole


async def _read_alone(core: Core, key: CheckpointKey, strict: bool) -> RawCheckpoint | None:
    try:
        return await read_checkpoint(core, key.thread_id, key.checkpoint_ns, key.checkpoint_id)
    except (IncompleteCheckpointError, PartsLostError) as error:
        if strict:
            raise
        core.stats.add("skipped_incomplete")
        logger.warning("left out of a list: %s", error)
        return None


class Listing:
    """One list call: fetches group by group, and holds only the keys of a page in between.

    Args:
        scope: What to list.
        limit: How many at most; None means all.
        matches: The filter, applied to the exact metadata.
    """

    def __init__(
        self,
        scope: ListRange,
        limit: int | None,
        matches: Callable[[CheckpointKey, Typed], bool] | None,
    ) -> None:
        self._scope = scope
        self._left = limit
        self._matches = matches
        self._entries: deque[ListEntry] = deque()
        self._cursor: CheckpointKey | None = None
        self._last_page = False
        self._group_rows = FIRST_GROUP_ROWS

    async def next_group(self, core: Core) -> list[RawCheckpoint]:
        """Give the next checkpoints, newest first; an empty list is the end."""
        await core.begin_read()
        while self._left is None or self._left > 0:
            if not self._entries:
                if self._last_page:
                    return []
                await self._next_page(core)
                continue
            found = await read_entries(core, self._take_group(), self._scope.thread_id)
            if self._matches is not None:
                found = [raw for raw in found if self._matches(raw.key, raw.metadata)]
            if self._left is not None:
                self._left -= len(found)
            if found:
                return found
        return []

    async def _next_page(self, core: Core) -> None:
        page = await list_page(core, self._scope, self._cursor, metadata=self._matches is not None)
        self._cursor = page.cursor
        self._last_page = page.cursor is None
        self._entries.extend(
            entry
            for entry in page.entries
            if self._matches is None
            or entry.metadata is None
            or self._matches(entry.key, entry.metadata)
        )

    def _take_group(self) -> list[ListEntry]:
        """Take what is fetched together: few at first, bounded bytes, no more than wanted."""
        rows = self._group_rows if self._left is None else min(self._group_rows, self._left)
        self._group_rows = GROUP_ROWS
        group: list[ListEntry] = []
        size = 0
        while self._entries and len(group) < rows:
            if group and size + self._entries[0].total_bytes > GROUP_BYTES:
                break
            group.append(self._entries.popleft())
            size += group[-1].total_bytes
        return group
