"""Pending writes: the rows of one `put_writes` call, and which writes win (pure).

Rules:
- One call is one submission. It counts only when all its rows are there.
- Between submissions, for the same task and index: the first wins for an index of 0 or more, the
  last for the special channels, whose index is negative. All chunks come from the winner.
- Order of what a reader gets: (task_path, task_id, idx), idx as a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ._clock import format_ticks, parse_ticks
from ._rows import CheckpointKey, Row, check_codec
from ._schema import ROW_CODEC
from ._values import ChunkRow, Encoded, Line, chunk_count, join_chunks

_SIZE_FIELD_BYTES = 32


@dataclass(frozen=True)
class PendingWrite:
    """One write of one task."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Encoded


@dataclass(frozen=True)
class WriteSubmission:
    """All writes of one `put_writes` call."""

    key: CheckpointKey
    epoch: str
    run_id: str
    submission_id: str
    written_at: int
    writes: tuple[PendingWrite, ...]

    @property
    def order(self) -> tuple[int, str]:
        """Which of two calls came first."""
        return (self.written_at, self.submission_id)

    def to_rows(self) -> list[Line]:
        """One row for each chunk of each write, numbered through the whole call."""
        counts = [chunk_count(write.value.payload) for write in self.writes]
        total = sum(counts)
        rows: list[Line] = []
        for write, chunks in zip(self.writes, counts, strict=True):
            for chunk in range(chunks):
                columns = self._row(write, len(rows), total)
                columns |= {"chunk": chunk, "chunks": chunks}
                size = len(ChunkRow(columns, write.value.payload, chunk)) + _SIZE_FIELD_BYTES
                rows.append(ChunkRow(columns | {"row_bytes": size}, write.value.payload, chunk))
        return rows

    def _row(self, write: PendingWrite, number: int, total: int) -> dict[str, Any]:
        return {
            "thread_id": self.key.thread_id,
            "checkpoint_ns": self.key.checkpoint_ns,
            "checkpoint_id": self.key.checkpoint_id,
            "epoch": self.epoch,
            "run_id": self.run_id,
            "submission_id": self.submission_id,
            "submission_row": number,
            "submission_rows": total,
            "task_id": write.task_id,
            "task_path": write.task_path,
            "idx": write.idx,
            "channel": write.channel,
            "value_type": write.value.value_type,
            "codec": ROW_CODEC,
            "encoding": write.value.encoding,
            "value_bytes": write.value.value_bytes,
            "value_hash": write.value.value_hash,
            "written_at": format_ticks(self.written_at),
        }


def submissions_from_rows(rows: Iterable[Row]) -> list[WriteSubmission]:
    """Put `put_writes` calls together from their rows; calls that lack a row are left out."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        check_codec(row, f"a write of checkpoint {row['checkpoint_id']!r}")
        found.setdefault(row["submission_id"], {})[row["submission_row"]] = row
    return [
        _submission_from_rows([numbered[number] for number in sorted(numbered)])
        for numbered in found.values()
        if len(numbered) == next(iter(numbered.values()))["submission_rows"]
    ]


def chosen_from_rows(rows: Iterable[Row]) -> list[WriteSubmission]:
    """Put writes together that a query has chosen among complete submissions.

    A submission holds only its chosen writes then.

    Raises:
        ValueError: A chunk of a write is missing.
    """
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        check_codec(row, f"a write of checkpoint {row['checkpoint_id']!r}")
        found.setdefault(row["submission_id"], {})[row["submission_row"]] = row
    return [
        _submission_from_rows([numbered[number] for number in sorted(numbered)])
        for numbered in found.values()
    ]


def _submission_from_rows(rows: list[Row]) -> WriteSubmission:
    first = rows[0]
    writes: list[PendingWrite] = []
    start = 0
    while start < len(rows):
        head = rows[start]
        end = start + head["chunks"]
        where = f"write {head['idx']} of task {head['task_id']!r}"
        chunks = [row["chunk"] for row in rows[start:end]]
        if chunks != list(range(head["chunks"])):
            raise ValueError(f"{where} lacks a chunk")
        payload = join_chunks([row["data"] for row in rows[start:end]], where)
        value = Encoded(
            head["value_type"], head["encoding"], head["value_bytes"], head["value_hash"], payload
        )
        writes.append(
            PendingWrite(head["task_id"], head["task_path"], head["idx"], head["channel"], value)
        )
        start = end
    return WriteSubmission(
        key=CheckpointKey(first["thread_id"], first["checkpoint_ns"], first["checkpoint_id"]),
        epoch=first["epoch"],
        run_id=first["run_id"],
        submission_id=first["submission_id"],
        written_at=parse_ticks(first["written_at"]),
        writes=tuple(writes),
    )


def winning_writes(submissions: Iterable[WriteSubmission]) -> list[PendingWrite]:
    """Choose between submissions and put the winners in LangGraph's order."""
    return [write for _, write in winners_with_origin(submissions)]


def winners_with_origin(
    submissions: Iterable[WriteSubmission],
) -> list[tuple[WriteSubmission, PendingWrite]]:
    """The winners as `winning_writes`, each with the submission it comes from."""
    winners: dict[tuple[str, int], tuple[WriteSubmission, PendingWrite]] = {}
    for submission in sorted(submissions, key=lambda item: item.order):
        for write in submission.writes:
            slot = (write.task_id, write.idx)
            if write.idx < 0 or slot not in winners:
                winners[slot] = (submission, write)
    return sorted(
        winners.values(), key=lambda item: (item[1].task_path, item[1].task_id, item[1].idx)
    )
