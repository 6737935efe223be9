"""What the texts mean that ask whether rows sent once more have landed: run over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.kql_database import Database, moment

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._schema import BLOBS, CHECKPOINTS, WRITES

Add = Callable[[Database, str, int, int | None], None]


def add_head(db: Database, name: str, _: int, at: int | None) -> None:
    db.checkpoint(name, "1", "e1", ingested=at)


def add_write(db: Database, name: str, row: int, at: int | None) -> None:
    db.write(name, "1", "e1", submission_row=row, ingested=at)


def add_chunk(db: Database, name: str, row: int, at: int | None) -> None:
    db.blob(name, row, ingested=at)


def landed(db: Database, table: str, names: str, low: int = 0, high: int = 2**62) -> Any:
    ids = names.replace(" ", ",")
    (found,) = db.ask(
        _kql.CONFIRM_AGAIN[table], p_ids=ids, p_low=low, p_high=high, p_since=moment(50)
    )
    return {row["identity"]: row["row_count"] for row in found}


@pytest.mark.parametrize(
    ("table", "add"), [(CHECKPOINTS, add_head), (WRITES, add_write), (BLOBS, add_chunk)]
)
def test_only_what_landed_since_counts_and_each_row_once(table: str, add: Add) -> None:
    db = Database()
    for name, at in (("old", 49), ("both", 10), ("both", 50), ("both", 60), ("other", 70)):
        add(db, name, 0, at)
    add(db, "untold", 0, None)
    assert landed(db, table, "old both untold") == {"both": 1, "untold": 1}


@pytest.mark.parametrize(("table", "add"), [(WRITES, add_write), (BLOBS, add_chunk)])
def test_of_a_range_only_its_rows_count(table: str, add: Add) -> None:
    db = Database()
    for row in range(9):
        add(db, "x", row, 50 if row % 2 else 49)
    assert landed(db, table, "x") == {"x": 4}
    assert landed(db, table, "x", 2, 5) == {"x": 2}
    assert landed(db, table, "x", 6, 6) == {}
