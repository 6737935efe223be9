"""Rows that were sent once more, and what to ask so as to know that they landed (pure).

Their identities are shown already, by the rows as they landed first; only the time of their
ingestion tells the two apart. Sending and asking are not done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from ._schema import BLOBS, CHECKPOINTS, WRITES

_EVERY = (0, 2**62)
# The columns that tell which row of how many, as `_same_rows.IDENTITIES` has the first.
_PLACES = {
    CHECKPOINTS: ("submission_id", "", ""),
    WRITES: ("submission_id", "submission_row", "submission_rows"),
    BLOBS: ("blob_id", "chunk", "chunks"),
}


@dataclass(frozen=True)
class SentAgain:
    """Rows of one submission or stored copy that were sent once more: all, or a range of them."""

    table: str
    thread_id: str
    identity: str
    rows: int
    low: int
    high: int

    @property
    def is_whole(self) -> bool:
        """Whether these are all its rows, so that it can be asked about with others."""
        return (self.low, self.high) == _EVERY


def sent_again(table: str, rows: Iterable[bytes]) -> list[SentAgain]:
    """Say what some rows, encoded and each once, are."""
    identity, part, parts = _PLACES[table]
    found: dict[str, SentAgain] = {}
    threads: dict[str, str] = {}  # one text for all rows of a thread: it may be long
    for line in rows:
        row = orjson.loads(line)
        place = row[part] if part else 0
        thread_id = threads.setdefault(row["thread_id"], row["thread_id"])
        new = SentAgain(table, thread_id, row[identity], 0, place, place)
        item = found.get(row[identity], new)
        count, low, high = item.rows + 1, min(item.low, place), max(item.high, place)
        if count == (row[parts] if parts else 1):
            low, high = _EVERY
        found[row[identity]] = replace(item, rows=count, low=low, high=high)
    return list(found.values())


def questions(items: Sequence[SentAgain], limit: int) -> list[list[SentAgain]]:
    """Group what can be asked in one query: a table's whole ones, up to a number; ranges alone."""
    groups = [[item] for item in items if not item.is_whole]
    for table in _PLACES:
        whole = [item for item in items if item.is_whole and item.table == table]
        groups += [whole[start : start + limit] for start in range(0, len(whole), limit)]
    return groups


def shown(group: Iterable[SentAgain], row_counts: Mapping[str, int]) -> list[SentAgain]:
    """Those of a group of which Kusto shows all rows that were sent."""
    return [item for item in group if row_counts.get(item.identity) == item.rows]
