"""Chain: every living checkpoint of a thread without payload, for what works on whole threads.

About 0.5 kB of memory a checkpoint. Pages of bounded rows; the overlay is merged by the same rules
as in reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import _kql
from ._assembly import deaths_parameters, learn_deaths
from ._clock import parse_ticks
from ._core import Core
from ._rows import CheckpointKey, StoredCheckpoint
from ._tombstones import DeadCheckpoint, tombstones_from_rows
from ._transport import understood


@dataclass(frozen=True)
class ChainRow:
    """One checkpoint of one epoch."""

    key: CheckpointKey
    parent_checkpoint_id: str
    epoch: str
    run_id: str
    submission_id: str
    written_at: int
    total_bytes: int
    source: str
    delta: bool
    """Perhaps it has delta channels."""
    last_write: int = 0
    """Time of its latest pending write; 0 without any."""

    @property
    def order(self) -> tuple[int, str]:
        """Which of two copies of the same checkpoint was written last."""
        return (self.written_at, self.submission_id)

    def as_dead(self) -> DeadCheckpoint:
        """What a tombstone says to kill exactly this: the row and its writes as they were seen."""
        key = self.key
        through = max(self.written_at, self.last_write)
        return DeadCheckpoint(key.checkpoint_ns, key.checkpoint_id, self.epoch, through)


def winners(rows: Iterable[ChainRow]) -> dict[CheckpointKey, ChainRow]:
    """Of several copies of a checkpoint the one that was written last."""
    found: dict[CheckpointKey, ChainRow] = {}
    for row in rows:
        known = found.get(row.key)
        if known is None or known.order < row.order:
            found[row.key] = row
    return found


async def load_chain(core: Core, thread_id: str) -> list[ChainRow]:
    """Read all living checkpoints of a thread, one row for each epoch."""
    await core.begin_read()
    with understood():
        return await _load(core, thread_id)


async def _load(core: Core, thread_id: str) -> list[ChainRow]:
    view = core.memory.overlay.view(thread_id)
    rows: dict[tuple[CheckpointKey, str], ChainRow] = {}
    cursor: dict[str, str] | None = None
    while True:
        found, writes, stones = await core.query(
            _kql.list_chain(cursor=cursor is not None),
            {"p_thread": thread_id, **deaths_parameters(view), **(cursor or {})},
        )
        view = view.without(learn_deaths(core, tombstones_from_rows(stones.records())))
        last_writes = {
            (record["checkpoint_ns"], record["checkpoint_id"]): parse_ticks(record["last_write"])
            for record in writes.records()
        }
        records = found.records()
        for record in records:
            row = _row_from_record(thread_id, record)
            last = last_writes.get((row.key.checkpoint_ns, row.key.checkpoint_id), 0)
            rows[row.key, row.epoch] = replace(row, last_write=last)
        if len(records) < _kql.CHAIN_PAGE_ROWS:
            break
        cursor = {
            "p_cursor_ns": records[-1]["checkpoint_ns"],
            "p_cursor_id": records[-1]["checkpoint_id"],
            "p_cursor_epoch": records[-1]["epoch"],
        }
    last_own: dict[CheckpointKey, int] = {}
    for submission in view.submissions:
        last_own[submission.key] = max(last_own.get(submission.key, 0), submission.written_at)
    for stored in view.checkpoints:
        known = rows.get((stored.key, stored.epoch))
        if known is None or known.order < (stored.written_at, stored.submission_id):
            own = _row_from_overlay(stored)
            rows[stored.key, stored.epoch] = replace(
                own, last_write=0 if known is None else known.last_write
            )
    merged = [
        replace(row, last_write=max(row.last_write, last_own.get(row.key, 0)))
        for row in rows.values()
    ]
    for moment in {max(row.written_at, row.last_write) for row in merged}:
        core.observe(moment)
    return merged


def _row_from_record(thread_id: str, record: Mapping[str, Any]) -> ChainRow:
    return ChainRow(
        key=CheckpointKey(thread_id, record["checkpoint_ns"], record["checkpoint_id"]),
        parent_checkpoint_id=record["parent_checkpoint_id"],
        epoch=record["epoch"],
        run_id=record["run_id"],
        submission_id=record["submission_id"],
        written_at=parse_ticks(record["written_at"]),
        total_bytes=record["total_bytes"],
        source=record["source"],
        delta=bool(record["delta"]),
    )


def _row_from_overlay(stored: StoredCheckpoint) -> ChainRow:
    return ChainRow(
        key=stored.key,
        parent_checkpoint_id=stored.parent_checkpoint_id,
        epoch=stored.epoch,
        run_id=stored.run_id,
        submission_id=stored.submission_id,
        written_at=stored.written_at,
        total_bytes=stored.total_bytes,
        source=stored.source,
        delta=True,
    )
