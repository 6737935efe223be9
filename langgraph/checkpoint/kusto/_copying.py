"""Copying a thread: every living checkpoint with its writes, under a new epoch of the target.

Rules:
- Copied, not referred to: deleting or expiring the source never touches the copy. A large value
  that several checkpoints of the source share is stored once in the copy, too.
- Oldest first, each namespace as it is, ids unchanged; of what was put several times, the winner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._assembly import RawCheckpoint
from ._chain import ChainRow, load_chain, winners
from ._core import Core, new_id
from ._listing import GROUP_BYTES, GROUP_ROWS, ListEntry, read_entries
from ._requests import PutRequest, Typed, WritesRequest
from ._values import BlobRef

Described = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Channel versions of a checkpoint, and its columns for people who write KQL."""


@dataclass(frozen=True)
class _Copy:
    """What all parts of one copy share."""

    target: str
    epoch: str
    describe: Callable[[RawCheckpoint], Described]
    blobs: dict[str, BlobRef]
    """Blob id in the source -> the copy's own."""


async def copy_thread(
    core: Core, source: str, target: str, describe: Callable[[RawCheckpoint], Described]
) -> int:
    """Copy a thread; give the number of checkpoints."""
    rows = sorted(
        winners(await load_chain(core, source)).values(), key=lambda row: row.key.checkpoint_id
    )
    if rows:
        await load_chain(core, target)  # follows its times, so that the copy is later
    copy = _Copy(target, new_id("e"), describe, {})
    for group in _groups(rows):
        entries = [
            ListEntry(row.key, row.order, row.submission_id, row.total_bytes) for row in group
        ]
        raws = await read_entries(core, entries, source, strict=True)
        await _put_group(core, copy, raws)
    return len(rows)


def _groups(rows: Sequence[ChainRow]) -> Iterator[list[ChainRow]]:
    """Cut rows into groups of bounded bytes."""
    group: list[ChainRow] = []
    size = 0
    for row in rows:
        if group and (len(group) == GROUP_ROWS or size + row.total_bytes > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.total_bytes
    if group:
        yield group


async def _put_group(core: Core, copy: _Copy, raws: Sequence[RawCheckpoint]) -> None:
    """Submit one after another, so that a shared value is stored once; wait for all together."""
    tasks: list[asyncio.Task[None]] = []
    try:
        for raw in raws:
            submitted = asyncio.Event()
            request = _put_request(copy, raw, submitted)
            task = asyncio.ensure_future(core.put(request))
            task.add_done_callback(partial(_set, submitted))
            tasks.append(task)
            await submitted.wait()
            tasks += [
                asyncio.ensure_future(core.put_writes(item)) for item in _writes_requests(copy, raw)
            ]
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _set(submitted: asyncio.Event, _: object) -> None:
    """Let the next one go when this one failed before it was submitted."""
    submitted.set()


def _put_request(copy: _Copy, raw: RawCheckpoint, submitted: asyncio.Event) -> PutRequest:
    versions, columns = copy.describe(raw)
    reused = {
        channel: copy.blobs[ref.blob_id]
        for channel, ref in raw.blobs.items()
        if ref.blob_id in copy.blobs
    }
    values: dict[str, Typed] = {
        channel: value for channel, value in raw.values.items() if channel not in reused
    }

    def on_submitted(stored: Mapping[str, BlobRef]) -> None:
        for channel, ref in raw.blobs.items():
            if channel in stored:
                copy.blobs[ref.blob_id] = stored[channel]
        submitted.set()

    return PutRequest(
        key=raw.key._replace(thread_id=copy.target),
        parent_checkpoint_id=raw.parent_checkpoint_id,
        run_id=raw.run_id,
        checkpoint=raw.checkpoint,
        metadata=raw.metadata,
        values=values,
        reused=reused,
        versions=versions,
        columns=columns,
        epoch=copy.epoch,
        on_submitted=on_submitted,
    )


def _writes_requests(copy: _Copy, raw: RawCheckpoint) -> list[WritesRequest]:
    """The pending writes of a checkpoint, those of one task in one call."""
    tasks: dict[tuple[str, str, str], list[tuple[int, str, Typed]]] = {}
    for write in raw.writes:
        task = (write.run_id, write.task_id, write.task_path)
        tasks.setdefault(task, []).append((write.idx, write.channel, write.value))
    return [
        WritesRequest(
            key=raw.key._replace(thread_id=copy.target),
            run_id=run_id,
            task_id=task_id,
            task_path=task_path,
            writes=writes,
            epoch=copy.epoch,
        )
        for (run_id, task_id, task_path), writes in tasks.items()
    ]
