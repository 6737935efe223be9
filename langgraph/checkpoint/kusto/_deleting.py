"""Deleting: which tombstones a delete writes. Nothing is ever removed from the tables here.

Rules:
- What is killed is named exactly as it was seen (epochs, runs, checkpoints up to a time), so that a
  write this delete did not see, or a copy made later, is never killed by it.
- Threads are deleted one by one: a delete that names many is not atomic over them, and repeating it
  is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import _kql
from ._assembly import deaths_parameters, learn_deaths
from ._clock import parse_ticks
from ._core import Core
from ._rows import CheckpointKey
from ._tombstones import (
    CHECKPOINTS,
    EPOCHS,
    RUNS,
    DeadCheckpoint,
    run_items,
    tombstones_from_rows,
)
from ._transport import understood

_PAGE_BYTES = 200_000


async def delete_thread(core: Core, thread_id: str, reason: str = "delete_thread") -> int:
    """Kill every epoch of a thread that is alive now; give their number."""
    core.raise_failures()
    view = core.memory.overlay.view(thread_id)
    parameters = {"p_thread": thread_id, "p_dead": view.deaths_parameter}
    with understood():
        found, stones = await core.query(_kql.READ_EPOCHS, parameters)
        tombstones = tombstones_from_rows(stones.records("tombstone_id"))
        alive = {record["epoch"] for record in found.records("epoch")} | view.epochs()
    # A row that was deleted alone before it was visible is in neither, and may have children yet.
    alive.update(core.memory.epochs.used(thread_id))
    killed = view.deaths.epochs | learn_deaths(core, tombstones).epochs
    alive -= killed
    if alive:
        await core.bury(thread_id, EPOCHS, sorted(alive), 0, reason)
    return len(alive)


async def delete_runs(core: Core, run_ids: Iterable[str]) -> list[str]:
    """Kill what some runs wrote and will write; give the threads they had written to."""
    core.raise_failures()
    wanted = sorted(set(run_ids))
    found: dict[str, set[str]] = {}
    for page in _pages(wanted):
        with understood():
            (rows,) = await core.query(_kql.FIND_RUNS, {"p_runs": ",".join(run_items(page))})
            for record in rows.records("thread_id", "run_id"):
                found.setdefault(record["thread_id"], set()).add(record["run_id"])
    view = core.memory.overlay.view()
    own = [(row.key.thread_id, row.run_id) for row in view.checkpoints]
    own += [(item.key.thread_id, item.run_id) for item in view.submissions]
    # A row that was deleted before it was visible is in neither.
    for thread_id, run_id in (*own, *core.memory.own_runs):
        if run_id in wanted:
            found.setdefault(thread_id, set()).add(run_id)
    for thread_id, runs in found.items():
        items = run_items(sorted(runs))
        await core.bury(thread_id, RUNS, items, 0, "delete_for_runs")
    return sorted(found)


def _pages(run_ids: Sequence[str]) -> Iterator[list[str]]:
    """Cut ids into pages that stay far under what a query parameter may hold."""
    page: list[str] = []
    size = 0
    for run_id in run_ids:
        if page and size + len(run_id.encode()) > _PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append(run_id)
        size += len(run_id.encode()) + 8
    if page:
        yield page


async def delete_checkpoint(core: Core, key: CheckpointKey) -> bool:
    """Kill a checkpoint as far as it was written by now; tell whether there was one."""
    core.raise_failures()
    view = core.memory.overlay.view(key.thread_id)
    with understood():
        stored, writes, stones = await core.query(
            _kql.FIND_COPIES,
            {
                "p_thread": key.thread_id,
                "p_ns": key.checkpoint_ns,
                "p_id": key.checkpoint_id,
                **deaths_parameters(view),
            },
        )
        tombstones = tombstones_from_rows(stones.records("tombstone_id"))
        times = [row["written_at"] for row in writes.records("written_at") if row["written_at"]]
        last = max(map(parse_ticks, times), default=0)
        epochs = {row["epoch"]: parse_ticks(row["written_at"]) for row in stored.records("epoch")}
    view = view.without(learn_deaths(core, tombstones))
    for own in view.checkpoints:
        if own.key == key:
            epochs[own.epoch] = max(epochs.get(own.epoch, 0), own.written_at)
    for submission in view.submissions:
        if submission.key == key:
            last = max(last, submission.written_at)
    dead = [
        DeadCheckpoint(key.checkpoint_ns, key.checkpoint_id, epoch, max(written_at, last))
        for epoch, written_at in epochs.items()
    ]
    if dead:
        await bury_checkpoints(core, key.thread_id, dead, "delete_checkpoint")
    return bool(dead)


async def bury_checkpoints(
    core: Core, thread_id: str, dead: Sequence[DeadCheckpoint], reason: str
) -> None:
    """Write one tombstone for some checkpoints of a thread: all of them are gone, or none."""
    after = max(item.through for item in dead)
    core.observe(after)
    await core.bury(thread_id, CHECKPOINTS, [item.to_item() for item in dead], after, reason)
