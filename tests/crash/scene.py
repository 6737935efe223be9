"""A small store and the log that goes with it, both made by hand: a thread, its calls, its rows.

A call is noted in the log and its rows are sent, unless a test wants one without the other. Nothing
of the library is imported here. No test stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .checker import Findings, check
from .events import NONE, Log, digest, metadata_digest, pieces_digest
from .made_rows import Hand, Row, blob_rows, checkpoint_row, tombstone_row, write_rows

LARGE = bytes(range(256)) * 4_000


class Scene:
    """One thread `t` in a database, and the log of its writer."""

    def __init__(self, uri: str, database: str, hand: Hand, folder: Path) -> None:
        self._place = uri, database
        self._folder = folder
        self._paths: list[Path] = []
        self.hand = hand
        self.next_writer()
        self._at = 0

    def next_writer(self) -> None:
        """Go on as another process."""
        if self._paths:
            self.log.close()
        self._paths.append(self._folder / f"writer-{len(self._paths)}.log")
        self.log = Log(str(self._paths[-1]))

    def put(
        self,
        checkpoint_id: str,
        values: Mapping[str, Any],
        *,
        life: str = "1",
        parent: str = "",
        epoch: str = "",
        blobs: Mapping[str, str] | None = None,
        acknowledged: bool = True,
        stored: bool = True,
        **row: Any,
    ) -> Row:
        """A put: its row and the blobs it stores; give the row."""
        metadata = {"life": life, "digest": digest(values)}
        where = ("t", life, checkpoint_id, parent or NONE)
        number = self.log.begin("put", *where, digest(values), metadata_digest(metadata))
        self._at += 1
        made = checkpoint_row(
            "t",
            checkpoint_id,
            values=values,
            metadata=metadata,
            blobs=blobs,
            parent=parent,
            epoch=epoch or f"e{life}",
            at=self._at,
            **row,
        )
        if stored:
            for channel, blob_id in (blobs or {}).items():
                self.hand.send("CheckpointBlobs", *blob_rows("t", blob_id, values[channel]))
            self.hand.send("Checkpoints", made)
        if acknowledged:
            self.log.done(number)
        return made

    def put_writes(
        self,
        checkpoint_id: str,
        pieces: Sequence[Any],
        *,
        task: str = "task",
        life: str = "1",
        epoch: str | None = None,
        acknowledged: bool = True,
        stored: bool = True,
    ) -> list[Row]:
        """A call of `put_writes`; give its rows."""
        whole = pieces_digest(pieces)
        where = ("t", life, checkpoint_id, task, len(pieces) + 1, whole)
        number = self.log.begin("writes", *where)
        self._at += 1
        writes = [("digest", whole), *(("piece", piece) for piece in pieces)]
        rows = write_rows(
            "t",
            checkpoint_id,
            writes,
            task_id=task,
            epoch=f"e{life}" if epoch is None else epoch,
            at=self._at,
        )
        if stored:
            self.hand.send("CheckpointWrites", *rows)
        if acknowledged:
            self.log.done(number)
        return rows

    def delete(self, *lives: str, stored: bool = True, acknowledged: bool = True) -> None:
        """A delete of the thread in these lives."""
        number = self.log.begin("delete", "t", ",".join(lives))
        self._at += 1
        if stored:
            stone = tombstone_row("t", [f"e{life}" for life in lives], at=self._at)
            self.hand.send("CheckpointTombstones", stone)
        if acknowledged:
            self.log.done(number)

    def read(self, wanted: str, *given: object) -> None:
        """A read and what it gave."""
        self.log.got(self.log.begin("read", "t", wanted), *given)

    def check(self) -> Findings:
        """Let the checker look."""
        return check(*self._place, self._paths)

    def close(self) -> None:
        """Close the log."""
        self.log.close()
