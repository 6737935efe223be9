"""What the library sends is what its queries give back: every column a reader needs is selected."""

from __future__ import annotations

from typing import Any

import pytest
from shared.kql_database import NOTHING_DEAD, Cells, Database
from shared.planned_rows import KEY, NOW, counter, make_parts, raw

from langgraph.checkpoint.kusto import _kql, _schema
from langgraph.checkpoint.kusto._pending_writes import (
    PendingWrite,
    WriteSubmission,
    submissions_from_rows,
)
from langgraph.checkpoint.kusto._rows import blobs_from_rows, checkpoint_from_row, plan_checkpoint
from langgraph.checkpoint.kusto._tombstones import EPOCHS, Tombstone, tombstones_from_rows
from langgraph.checkpoint.kusto._values import CHUNK_BYTES

PLAN = plan_checkpoint(
    make_parts(values={"small": raw(9), "large": raw(CHUNK_BYTES + 1)}), counter()
)
BLOBS = {copy.ref.blob_id: copy.value for copy in PLAN.copies}
SUBMISSION = WriteSubmission(
    KEY,
    "e1",
    "run",
    "s2",
    NOW,
    (
        PendingWrite("task", "path", 0, "large", raw(CHUNK_BYTES + 1)),
        PendingWrite("task", "path", 1, "small", raw(5)),
    ),
)
STONE = Tombstone(KEY.thread_id, "t1", EPOCHS, ("e7", "e8"), NOW)
PLACE = {"p_thread": KEY.thread_id, "p_ns": KEY.checkpoint_ns}
BOUNDS = {"p_budget": 100_000_000, "p_rows": 1_000, **NOTHING_DEAD}


@pytest.fixture
def db() -> Database:
    """One checkpoint with a large value, its pending writes, and a tombstone."""
    database = Database()
    database.ingest(_schema.CHECKPOINTS, [PLAN.row_json])
    for copy in PLAN.copies:
        database.ingest(_schema.BLOBS, [*map(bytes, copy.to_rows())])
    database.ingest(_schema.WRITES, [*map(bytes, SUBMISSION.to_rows())])
    database.ingest(_schema.TOMBSTONES, STONE.to_rows())
    return database


WHOLE = [
    pytest.param(
        _kql.READ_LATEST, {**PLACE, **BOUNDS, "p_local": "", "p_blobs": ""}, id="READ_LATEST"
    ),
    pytest.param(
        _kql.READ_LATEST_UNHIDDEN,
        {**PLACE, **BOUNDS, "p_local": "", "p_blobs": ""},
        id="READ_LATEST_UNHIDDEN",
    ),
    pytest.param(
        _kql.READ_LATEST_SHARED,
        {**PLACE, **BOUNDS, "p_local": "", "p_blobs": ""},
        id="READ_LATEST_SHARED",
    ),
    pytest.param(
        _kql.READ_BY_ID,
        {**PLACE, **BOUNDS, "p_id": KEY.checkpoint_id, "p_blobs": ""},
        id="READ_BY_ID",
    ),
    pytest.param(
        _kql.read_many(thread=False), {**BOUNDS, "p_submissions": "s1"}, id="read_many of all"
    ),
    pytest.param(
        _kql.read_many(thread=True),
        {**BOUNDS, "p_submissions": "s1", "p_thread": KEY.thread_id},
        id="read_many of one thread",
    ),
]


def parts_of(tables: list[list[Cells]]) -> list[list[Cells]]:
    """Without the first table and, in a read of many, the haunted ones."""
    return [tables[1], *tables[-3:]]


@pytest.mark.parametrize(("text", "parameters"), WHOLE)
def test_a_checkpoint_whole(text: str, parameters: dict[str, Any], db: Database) -> None:
    heads, blobs, writes, tombstones = parts_of(db.answer(text, **parameters))

    assert [checkpoint_from_row(row) for row in heads] == [PLAN.row]
    assert blobs_from_rows(blobs) == BLOBS
    assert submissions_from_rows(writes) == [SUBMISSION]
    assert tombstones_from_rows(tombstones) == [STONE]


def test_pages(db: Database) -> None:
    bounds = {"p_low": 0, "p_high": 99}
    [blobs] = db.answer(_kql.READ_BLOBS, p_thread=KEY.thread_id, p_ids=",".join(BLOBS), **bounds)
    [writes] = db.answer(_kql.READ_WRITES, **PLACE, p_id=KEY.checkpoint_id, p_ids="s2,s9", **bounds)

    assert blobs_from_rows(blobs) == BLOBS
    assert submissions_from_rows(writes) == [SUBMISSION]


def test_tombstones_come_with_every_question_about_epochs(db: Database) -> None:
    thread = {"p_thread": KEY.thread_id}
    flags = dict.fromkeys(("namespace", "by_id", "before", "cursor", "metadata"), False)
    for text, parameters in (
        (_kql.READ_EPOCHS, {**thread, **NOTHING_DEAD}),
        (_kql.FIND_EPOCH, {**PLACE, "p_id": KEY.checkpoint_id}),
        (_kql.list_keys(thread=True, **flags), {**thread, **NOTHING_DEAD}),
        (_kql.list_keys(thread=False, **flags), NOTHING_DEAD),
    ):
        assert tombstones_from_rows(db.answer(text, **parameters)[-1]) == [STONE]
