"""Tombstones: the rows that say what is deleted, and what they kill (pure).

A tombstone kills only when all its rows are there; otherwise a half-visible delete would hide some
epochs of a thread and uncover older checkpoints of others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from ._clock import format_ticks, parse_ticks
from ._rows import Row, check_codec
from ._schema import ROW_CODEC

EPOCHS = "epochs"
"""Scope of a tombstone that kills epochs of a thread."""

_IDS_PER_ROW = 2_000  # about 66 kB; Kusto splits them into a dynamic, whose bound is 1 MiB


@dataclass(frozen=True)
class Tombstone:
    """What one delete killed in a thread."""

    thread_id: str
    tombstone_id: str
    scope: str
    ids: tuple[str, ...]
    written_at: int
    reason: str = ""

    def to_rows(self) -> list[bytes]:
        """Encode one row for each page of ids."""
        pages = [
            self.ids[start : start + _IDS_PER_ROW]
            for start in range(0, len(self.ids), _IDS_PER_ROW)
        ]
        return [
            orjson.dumps(
                {
                    "thread_id": self.thread_id,
                    "tombstone_id": self.tombstone_id,
                    "scope": self.scope,
                    "part": part,
                    "parts": len(pages),
                    "ids": ",".join(page),
                    "checkpoint_ns": "",
                    "reason": self.reason,
                    "codec": ROW_CODEC,
                    "written_at": format_ticks(self.written_at),
                }
            )
            for part, page in enumerate(pages)
        ]


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
            ids = [item for part in sorted(parts) for item in parts[part]["ids"].split(",")]
            whole.append(
                Tombstone(
                    thread_id=first["thread_id"],
                    tombstone_id=tombstone_id,
                    scope=first["scope"],
                    ids=tuple(ids),
                    written_at=parse_ticks(first["written_at"]),
                    reason=first["reason"],
                )
            )
    return whole


def killed_epochs(tombstones: Iterable[Tombstone]) -> set[str]:
    """Epochs that no reader may show."""
    # Never the empty one: writes that came before their checkpoint have no epoch yet.
    return {item for stone in tombstones if stone.scope == EPOCHS for item in stone.ids if item}
