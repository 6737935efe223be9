"""Pruning: keep the newest checkpoint of each namespace and what it needs, delete the rest.

Rules:
- By reachability: an ancestor is kept as long as a delta channel of a kept checkpoint needs its
  value or its writes.
- One tombstone for a thread: a reader sees all of a prune or nothing of it.
- Only what was seen is deleted: checkpoints that are put meanwhile stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ._assembly import RawCheckpoint
from ._chain import ChainRow, load_chain, winners
from ._core import Core
from ._deleting import bury_checkpoints, delete_thread
from ._history import walk_ancestors
from ._reader import read_checkpoint
from ._rows import CheckpointKey
from .errors import InvalidOptionError, KustoCheckpointError

logger = logging.getLogger(__name__)

STRATEGIES = ("keep_latest", "delete")


@dataclass(frozen=True)
class ThreadPrune:
    """What `prune` deletes, or deleted, in one thread."""

    thread_id: str
    kept: int
    """Checkpoints that stay."""
    deleted: int
    """Checkpoints that are deleted."""


DeltaOf = Callable[[RawCheckpoint], tuple[Collection[str], Collection[str]]]
"""Reads which delta channels a checkpoint counts updates of, and which channels have a version."""


def check_strategy(strategy: str) -> None:
    """Refuse a strategy there is not.

    Raises:
        InvalidOptionError: It is none.
    """
    if strategy not in STRATEGIES:
        raise InvalidOptionError(
            f"strategy must be 'keep_latest' or 'delete', not {strategy!r}; nothing was deleted"
        )


async def prune_thread(
    core: Core, thread_id: str, strategy: str, delta_of: DeltaOf, *, dry_run: bool
) -> ThreadPrune:
    """Prune one thread; with `dry_run` only say what that would delete."""
    while True:
        rows = await load_chain(core, thread_id)
        newest = winners(rows)
        if strategy == "delete":
            if not dry_run:
                await delete_thread(core, thread_id, "prune")
            return ThreadPrune(thread_id, 0, len(newest))
        heads = _heads(newest.values())
        kept = {head.key for head in heads}
        for head in heads:
            channels, versions = await _delta_channels(core, head, newest, delta_of)
            if channels:
                path = await walk_ancestors(core, head.key, channels, versions)
                kept |= {head.key._replace(checkpoint_id=item) for item in path.path}
        dead = [row for row in rows if row.key not in kept]
        if dead and not dry_run:
            # A head that was deleted meanwhile must not take the next one with it.
            again = _heads(winners(await load_chain(core, thread_id)).values())
            if {head.key for head in heads} - {head.key for head in again}:
                continue
            await bury_checkpoints(core, thread_id, [row.as_dead() for row in dead], "prune")
        return ThreadPrune(thread_id, len(kept), len({row.key for row in dead}))


def _heads(rows: Iterable[ChainRow]) -> list[ChainRow]:
    """The newest checkpoint of each namespace."""
    heads: dict[str, ChainRow] = {}
    for row in rows:
        known = heads.get(row.key.checkpoint_ns)
        if known is None or known.key.checkpoint_id < row.key.checkpoint_id:
            heads[row.key.checkpoint_ns] = row
    return list(heads.values())


async def _delta_channels(
    core: Core,
    head: ChainRow,
    rows: Mapping[CheckpointKey, ChainRow],
    delta_of: DeltaOf,
) -> tuple[list[str], Collection[str]]:
    """Channels of a checkpoint whose state is in its ancestors, and all that have a version.

    Some heads of `update_state` have no counters (LangGraph before 1.2.22); those of the nearest
    ancestor that has some count then.
    """
    cursor: ChainRow | None = head
    visited: set[CheckpointKey] = set()
    while cursor is not None and cursor.key not in visited:
        visited.add(cursor.key)
        if cursor.delta:
            found = await _read(core, cursor.key)
            counters = () if found is None else delta_of(found)[0]
            if counters:
                newest = found if cursor is head else await _read(core, head.key)
                if newest is None:  # deleted meanwhile; the caller looks again
                    break
                return sorted(set(counters) - set(newest.values)), delta_of(newest)[1]
        cursor = rows.get(cursor.key._replace(checkpoint_id=cursor.parent_checkpoint_id))
    return [], ()


async def _read(core: Core, key: CheckpointKey) -> RawCheckpoint | None:
    return await read_checkpoint(core, key.thread_id, key.checkpoint_ns, key.checkpoint_id)


async def warn_of_broken_histories(core: Core, thread_id: str, delta_of: DeltaOf) -> None:
    """Log which newest checkpoints need an ancestor that a delete has taken; never raises."""
    try:
        rows = winners(await load_chain(core, thread_id))
        for head in _heads(rows.values()):
            channels, versions = await _delta_channels(core, head, rows, delta_of)
            path = await walk_ancestors(core, head.key, channels, versions)
            if path.missing:
                core.stats.add("broken_histories")
                logger.warning(
                    "delta channels %s of checkpoint %s, thread %r, need the deleted checkpoint %s",
                    ", ".join(channels),
                    head.key.checkpoint_id,
                    thread_id,
                    path.missing,
                )
    except KustoCheckpointError as error:  # the delete is done
        logger.warning("could not look for broken histories of thread %r: %s", thread_id, error)
