"""Tombstones: the rows that say what is deleted, and what they kill (pure).

Rules:
- A tombstone kills only when all its rows are there; otherwise a half-visible delete would hide
  some checkpoints of a thread and uncover older ones.
- One of epochs or of runs kills their rows for ever, those that arrive later, too.
- One of checkpoints kills the rows of an id, in one epoch, up to the time it names, so that the
  same id may be written again later. Writes without an epoch die with their checkpoint.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson

from ._clock import format_ticks, parse_ticks
from ._rows import CheckpointKey, Row, check_codec
from ._schema import ROW_CODEC

EPOCHS = "epochs"
"""Scope of a tombstone that kills epochs of a thread."""

RUNS = "runs"
"""Scope of a tombstone that kills runs in a thread."""

CHECKPOINTS = "checkpoints"
"""Scope of a tombstone that kills checkpoints of a thread."""

_PAGE_BYTES = 180_000  # of ids in a row; Kusto splits them into a dynamic, whose bound is 1 MiB


class DeadCheckpoint(NamedTuple):
    """A checkpoint of one epoch, dead as far as it was written up to a time."""

    checkpoint_ns: str
    checkpoint_id: str
    epoch: str
    through: int

    def to_item(self) -> str:
        """Encode for the column `ids`: ids are any text, so they travel as base64."""
        names = (to_item(self.checkpoint_ns), to_item(self.checkpoint_id))
        return "@".join((*names, self.epoch, format_ticks(self.through)))

    @classmethod
    def from_item(cls, item: str) -> DeadCheckpoint:
        """Decode."""
        namespace, checkpoint_id, epoch, through = item.split("@")
        return cls(_from_item(namespace), _from_item(checkpoint_id), epoch, parse_ticks(through))


@dataclass(frozen=True)
class Tombstone:
    """What one delete killed in a thread; `items` as they stand in the column `ids`."""

    thread_id: str
    tombstone_id: str
    scope: str
    items: tuple[str, ...]
    written_at: int
    reason: str = ""

    def to_rows(self) -> list[bytes]:
        """Encode one row for each page of ids."""
        pages = list(_pages(self.items))
        return [orjson.dumps(self._row(part, len(pages), page)) for part, page in enumerate(pages)]

    def _row(self, part: int, parts: int, page: Sequence[str]) -> dict[str, object]:
        row: dict[str, object] = {
            "thread_id": self.thread_id,
            "tombstone_id": self.tombstone_id,
            "scope": self.scope,
            "part": part,
            "parts": parts,
            "ids": ",".join(page),
            "checkpoint_ns": "",
            "reason": self.reason,
            "codec": ROW_CODEC,
            "written_at": format_ticks(self.written_at),
        }
        if self.scope == CHECKPOINTS:  # for people who read the table; readers look at the items
            latest = max(DeadCheckpoint.from_item(item).through for item in page)
            row["through"] = format_ticks(latest)
        return row


def _pages(items: Sequence[str]) -> Iterator[list[str]]:
    """Cut items into pages that stay under the bound; one item alone always does."""
    page: list[str] = []
    size = 0
    for item in items:
        if page and size + len(item) + 1 > _PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append(item)
        size += len(item) + 1
    if page:
        yield page


def run_items(run_ids: Iterable[str]) -> tuple[str, ...]:
    """Encode run ids, which are any text, for the column `ids`."""
    return tuple(to_item(run_id) for run_id in run_ids)


def tombstones_from_rows(rows: Iterable[Row]) -> list[Tombstone]:
    """Put tombstones together from their rows; those that lack a row are left out."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        check_codec(row, f"a tombstone of thread {row['thread_id']!r}")
        found.setdefault(row["tombstone_id"], {})[row["part"]] = row
    whole: list[Tombstone] = []
    for tombstone_id, parts in found.items():
        first = next(iter(parts.values()))
        if len(parts) == first["parts"]:
            items = [item for part in sorted(parts) for item in parts[part]["ids"].split(",")]
            whole.append(
                Tombstone(
                    thread_id=first["thread_id"],
                    tombstone_id=tombstone_id,
                    scope=first["scope"],
                    items=tuple(items),
                    written_at=parse_ticks(first["written_at"]),
                    reason=first["reason"],
                )
            )
    return whole


class Mortal(Protocol):
    """What a tombstone can kill: a checkpoint, or the writes of one call."""

    @property
    def key(self) -> CheckpointKey: ...
    @property
    def epoch(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def written_at(self) -> int: ...


@dataclass(frozen=True)
class Deaths:
    """What some tombstones kill together."""

    epochs: frozenset[str] = frozenset()
    runs: frozenset[tuple[str, str]] = frozenset()
    """(thread id, run id)."""
    checkpoints: Mapping[tuple[CheckpointKey, str], int] = field(default_factory=dict)
    """(key, epoch) -> through; under the empty epoch the latest of all epochs."""

    @classmethod
    def of(cls, tombstones: Iterable[Tombstone]) -> Deaths:
        """Read what tombstones kill."""
        epochs: set[str] = set()
        runs: set[tuple[str, str]] = set()
        checkpoints: dict[tuple[CheckpointKey, str], int] = {}
        for stone in tombstones:
            if stone.scope == EPOCHS:
                # Never the empty one: writes that came before their checkpoint have none yet.
                epochs.update(item for item in stone.items if item)
            elif stone.scope == RUNS:
                runs.update((stone.thread_id, _from_item(item)) for item in stone.items)
            elif stone.scope == CHECKPOINTS:
                for item in stone.items:
                    dead = DeadCheckpoint.from_item(item)
                    key = CheckpointKey(stone.thread_id, dead.checkpoint_ns, dead.checkpoint_id)
                    for epoch in (dead.epoch, ""):
                        known = checkpoints.get((key, epoch), 0)
                        checkpoints[key, epoch] = max(known, dead.through)
        return cls(frozenset(epochs), frozenset(runs), checkpoints)

    def __or__(self, other: Deaths) -> Deaths:
        """Both."""
        checkpoints = dict(self.checkpoints)
        for item, through in other.checkpoints.items():
            checkpoints[item] = max(checkpoints.get(item, 0), through)
        return Deaths(self.epochs | other.epochs, self.runs | other.runs, checkpoints)

    def __bool__(self) -> bool:
        return bool(self.epochs or self.runs or self.checkpoints)

    def kills(self, row: Mortal) -> bool:
        """Whether a row is dead."""
        return (
            row.epoch in self.epochs
            or (row.key.thread_id, row.run_id) in self.runs
            or row.written_at <= self.checkpoints.get((row.key, row.epoch), -1)
        )


def deaths_parameter(tombstones: Iterable[Tombstone]) -> str:
    """Encode tombstones that Kusto may not show yet, for the query parameter `p_dead`."""
    return ";".join(
        f"{stone.scope}|{to_item(stone.thread_id)}|{','.join(stone.items)}" for stone in tombstones
    )


def to_item(text: str) -> str:
    """Encode any text for a list of items: a letter, so that it looks like nothing else, base64."""
    return "b" + base64.b64encode(text.encode()).decode("ascii")


def _from_item(item: str) -> str:
    return base64.b64decode(item[1:]).decode()
