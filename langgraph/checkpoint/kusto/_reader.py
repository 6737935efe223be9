"""Reader: one checkpoint, from a query merged with the overlay, whole or not at all.

Rules:
- The overlay is looked at before the query is sent; what leaves it meanwhile is merged anyway.
- When the answer tells that the overlay's own row is dead (another saver deleted the thread), the
  question was wrong and is asked again without it.
- A checkpoint whose row is visible but whose parts are not is never answered by "none" or by an
  older one: it is read again with backoff, then `IncompleteCheckpointError` is raised.
- One request for a checkpoint; more only when its payload has to be paged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence, Set

from . import _kql
from ._assembly import (
    RESULT_BYTES,
    RESULT_ROWS,
    MissingPartsError,
    RawCheckpoint,
    assemble,
    learn,
    merge_submissions,
    page_writes,
)
from ._core import Core
from ._overlay import ThreadView
from ._pending_writes import submissions_from_rows
from ._rows import CheckpointKey, StoredCheckpoint, blobs_from_rows, checkpoint_from_row
from .errors import IncompleteCheckpointError, ResultTooLargeError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


async def read_checkpoint(
    core: Core, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None
) -> RawCheckpoint | None:
    """Read the newest checkpoint of a namespace, or the one with an id.

    Raises:
        IncompleteCheckpointError: It is visible, but not whole within `visibility_timeout`.
    """
    core.raise_failures()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + core.options.visibility_timeout
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _read_once(core, thread_id, checkpoint_ns, checkpoint_id)
        except MissingPartsError as missing:
            if loop.time() + pause > deadline:
                raise IncompleteCheckpointError(
                    f"a checkpoint of thread {thread_id!r}, namespace {checkpoint_ns!r} is visible"
                    f" but not whole after {core.options.visibility_timeout:g} s: {missing}; read"
                    " it again later, or, if its rows are older than the retention period, delete"
                    " the thread"
                ) from missing
            core.stats.add("incomplete_reads")
            logger.info("reading thread %r again in %.2f s: %s", thread_id, pause, missing)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _read_once(
    core: Core,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    dead: Set[str] = frozenset(),
) -> RawCheckpoint | None:
    view = core.memory.overlay.view(thread_id).without(dead)
    if checkpoint_id is None:
        local = view.newest(thread_id, checkpoint_ns)
    else:
        local = view.copy_of(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id))
    parameters: dict[str, str | int] = {
        "p_thread": thread_id,
        "p_ns": checkpoint_ns,
        "p_killed": ",".join(sorted(view.killed)),
        "p_blobs": ",".join(_blobs_to_fetch(local, view)),
        "p_budget": RESULT_BYTES,
        "p_rows": RESULT_ROWS,
    }
    if checkpoint_id is None:
        parameters["p_local"] = local.key.checkpoint_id if local else ""
    else:
        parameters["p_id"] = checkpoint_id
    text = _kql.READ_LATEST if checkpoint_id is None else _kql.READ_BY_ID
    try:
        tables = await core.query(text, parameters)
    except ResultTooLargeError:  # blobs that landed several times: nothing fits, all is paged
        tables = await core.query(text, {**parameters, "p_budget": -1})
    marks, heads, blobs, writes, stones = tables
    mark = marks.records()[0]
    killed = learn(core, heads, blobs, writes, stones)
    if local is not None and local.epoch in killed:
        return await _read_once(core, thread_id, checkpoint_ns, checkpoint_id, dead | killed)
    view = view.without(killed)
    wanted: str = mark["wanted_id"]
    head = _last_written([*map(checkpoint_from_row, heads.records()), *([local] if local else [])])
    if head is None or head.key.checkpoint_id != wanted:
        if checkpoint_id is None and wanted:
            raise MissingPartsError(f"the row of checkpoint {wanted} is not visible yet")
        return None
    core.memory.epochs.remember(head.key, head.epoch)
    if mark["fits"]:
        submissions = submissions_from_rows(writes.records())
        found = blobs_from_rows(blobs.records())
    else:
        submissions = await page_writes(core, head.key, killed)
        found = {}
    submissions = merge_submissions(submissions, view.writes(head.key))
    return await assemble(core, head, {**found, **view.blobs}, submissions)


def _blobs_to_fetch(local: StoredCheckpoint | None, view: ThreadView) -> list[str]:
    """Blobs the overlay's own row needs and the overlay has no longer."""
    if local is None or local.total_bytes > RESULT_BYTES:
        return []
    return [ref.blob_id for ref in local.direct_refs() if ref.blob_id not in view.blobs]


def _last_written(copies: Sequence[StoredCheckpoint]) -> StoredCheckpoint | None:
    """The newest id, in the copy that was written last."""
    return max(copies, key=lambda row: (row.key.checkpoint_id, row.order), default=None)
