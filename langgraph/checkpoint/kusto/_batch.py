"""Accumulator: rows submitted for one table, taken out as batches for one request each (pure).

Rules:
- A submission is taken whole or not at all, unless it is larger than a request by itself; then it
  was cut into pieces when it came in, and each piece is taken whole.
- First in, first out; a batch holds at most `MAX_BATCH_BYTES` uncompressed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ._values import Line

MAX_BATCH_BYTES = 4 * 1024 * 1024 - 64 * 1024
"""Rows of one request before compression: below 4 MiB, the one bound that every source of the
streaming limit agrees on."""

MAX_BATCH_ROWS = 20_000
"""Rows of one request, so that one answer never decides about too many callers."""

T = TypeVar("T")


@dataclass(frozen=True)
class Piece(Generic[T]):
    """Rows that stay together in one request; `owner` is who waits for them since `arrived`."""

    owner: T
    rows: tuple[Line, ...]
    size_bytes: int
    arrived: float


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Pieces that share one request (group commit)."""

    table: str
    pieces: tuple[Piece[T], ...]

    @property
    def row_count(self) -> int:
        """Rows in the request."""
        return sum(len(piece.rows) for piece in self.pieces)

    @property
    def size_bytes(self) -> int:
        """Bytes of the request before compression."""
        return sum(piece.size_bytes for piece in self.pieces)

    @property
    def late_bytes(self) -> int:
        """Bytes of rows that `payload` has yet to encode."""
        rows = (row for piece in self.pieces for row in piece.rows)
        return sum(len(row) for row in rows if not isinstance(row, bytes))

    def payload(self) -> bytes:
        """The request body: JSON objects separated by newlines (Kusto's `multijson`)."""
        return b"\n".join(bytes(row) for piece in self.pieces for row in piece.rows)

    def halves(self) -> tuple[Batch[T], Batch[T]]:
        """Split between pieces, to find the one that Kusto refuses."""
        middle = len(self.pieces) // 2
        return (
            Batch(self.table, self.pieces[:middle]),
            Batch(self.table, self.pieces[middle:]),
        )


def cut(owner: T, rows: Sequence[Line], arrived: float) -> list[Piece[T]]:
    """Cut a submission into pieces that fit one request each; almost always one."""
    pieces: list[Piece[T]] = []
    current: list[Line] = []
    size = 0
    for row in rows:
        row_size = len(row) + 1
        if current and (size + row_size > MAX_BATCH_BYTES or len(current) >= MAX_BATCH_ROWS):
            pieces.append(Piece(owner, tuple(current), size, arrived))
            current, size = [], 0
        current.append(row)
        size += row_size
    if current:
        pieces.append(Piece(owner, tuple(current), size, arrived))
    return pieces


class Accumulator(Generic[T]):
    """Pieces of one table that wait to be sent, oldest first."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._pieces: deque[Piece[T]] = deque()
        self._oldest = math.inf
        self.row_count = 0
        self.size_bytes = 0

    def __repr__(self) -> str:
        return f"<Accumulator {self.table} rows={self.row_count} bytes={self.size_bytes}>"

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def oldest(self) -> float:
        """When the piece that waits longest came in; infinity when there is none."""
        return self._oldest

    def add(self, pieces: Sequence[Piece[T]]) -> None:
        """Append pieces."""
        for piece in pieces:
            self._pieces.append(piece)
            self.row_count += len(piece.rows)
            self.size_bytes += piece.size_bytes
            self._oldest = min(self._oldest, piece.arrived)

    def drain(self) -> Batch[T]:
        """Take out what fits one request; at least one piece if there is any."""
        taken: list[Piece[T]] = []
        size = count = 0
        while self._pieces:
            piece = self._pieces[0]
            full = (
                size + piece.size_bytes > MAX_BATCH_BYTES
                or count + len(piece.rows) > MAX_BATCH_ROWS
            )
            if taken and full:
                break
            taken.append(self._pieces.popleft())
            size += piece.size_bytes
            count += len(piece.rows)
        self._oldest = min((piece.arrived for piece in self._pieces), default=math.inf)
        self.row_count -= count
        self.size_bytes -= size
        return Batch(self.table, tuple(taken))

    def clear(self) -> list[Piece[T]]:
        """Take out everything, to fail it."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self._oldest = math.inf
        self.row_count = self.size_bytes = 0
        return pieces
