"""What the texts mean that read rows to send them again: run over rows."""

from __future__ import annotations

from typing import Any

import pytest
from shared.kql_database import DEATHS, NOTHING_DEAD, Cells, Database, Death, dead, encoded

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._schema import BLOBS, CHECKPOINTS, TABLE_BY_NAME, WRITES

WHOLE = '{"values":{}}'


@pytest.fixture
def db() -> Database:
    return Database()


def weigh(db: Database, heads: str, ids: str, **told: str) -> list[list[Cells]]:
    names = ",".join(map(encoded, ids.split()))
    place = {"p_thread": "t", "p_ns": "", "p_heads": heads.replace(" ", ","), "p_ids": names}
    return db.ask(_kql.WEIGH_ANCESTORS, **{**place, **NOTHING_DEAD, **told})


def test_rows_weigh_as_often_as_they_landed(db: Database) -> None:
    for _ in range(3):
        db.checkpoint("s1", "1", "e1", row_bytes=10, blob_refs=WHOLE, blob_ids="b1,b2")
    db.checkpoint("s2", "2", "e1", row_bytes=7, blob_refs='{"refs":["b3"]}', blob_ids="b3")
    db.checkpoint("s3", "3", "e1", row_bytes=5, blob_refs=WHOLE)
    db.checkpoint("s1", "1", "e1", checkpoint_ns="child", blob_refs=WHOLE)
    db.checkpoint("s1", "1", "e1", thread_id="other", blob_refs=WHOLE)
    found = {row["submission_id"]: row for row in weigh(db, "s1 s2", "1 2")[0]}
    assert found == {
        "s1": {"submission_id": "s1", "all_bytes": 30, "blob_ids": "b1,b2", "refs": ""},
        "s2": {"submission_id": "s2", "all_bytes": 7, "blob_ids": "b3", "refs": '{"refs":["b3"]}'},
    }


def test_only_whole_calls_of_put_writes(db: Database) -> None:
    def write(
        name: str, checkpoint_id: str, row: int, rows: int, epoch: str = "e1", **cells: Any
    ) -> None:
        db.write(name, checkpoint_id, epoch, submission_row=row, submission_rows=rows, **cells)

    for row, size in ((0, 4), (1, 9), (1, 9)):
        write("w1", "1", row, 2, row_bytes=size)
    write("torn", "1", 0, 2)
    write("torn", "1", 0, 2)
    write("w2", "2", 0, 1, row_bytes=3, epoch="")
    write("w3", "3", 0, 1)
    write("w4", "1", 0, 1, checkpoint_ns="child")
    write("w5", "1", 0, 1, thread_id="other")
    found = {row["submission_id"]: row for row in weigh(db, "", "1 2")[1]}
    assert {
        name: (row["row_count"], row["all_bytes"], row["largest"]) for name, row in found.items()
    } == {"w1": (2, 22, 18), "w2": (1, 3, 3)}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
def test_the_dead_are_left_alone(db: Database, death: Death, known: bool) -> None:
    """By a tombstone that Kusto shows, and by one that only this process knows."""
    doomed = {"run_id": death.run_id, "blob_refs": WHOLE}
    db.checkpoint("s0", "1", death.epoch, **doomed)
    db.write("w0", "1", death.epoch, run_id=death.run_id, submission_rows=1)
    db.checkpoint("s1", "2", "e1", run_id="r1", blob_refs=WHOLE)
    db.write("w1", "2", "e1", run_id="r1", submission_rows=1)
    items = death.items(("", "1"))
    if not known:
        db.kill(*items, scope=death.scope)
    told = {"p_dead": dead(death.scope, *items)} if known else {}
    heads, writes = weigh(db, "s0 s1", "1 2", **told)
    assert [row["submission_id"] for row in heads] == ["s1"]
    assert [row["submission_id"] for row in writes] == ["w1"]


def test_a_write_without_an_epoch_is_not_of_a_copy_of_what_was_deleted(db: Database) -> None:
    db.checkpoint("s0", "1", "e0", blob_refs=WHOLE)
    db.checkpoint("s1", "1", "e1", blob_refs=WHOLE)
    db.write("w0", "1", "", submission_rows=1)
    db.write("w1", "1", "e1", submission_rows=1)
    db.kill("e0")
    heads, writes = weigh(db, "s0 s1", "1")
    assert [row["submission_id"] for row in heads] == ["s1"]
    assert [row["submission_id"] for row in writes] == ["w1"]


@pytest.mark.parametrize(("at", "lasts"), [(9, False), (10, False), (11, True)])
def test_a_write_without_an_epoch_does_not_outlast_an_end_of_its_thread(
    db: Database, at: int, lasts: bool
) -> None:
    """The dead row that would tell that it was meant for that one has expired before it."""
    db.checkpoint("s1", "1", "e1", blob_refs=WHOLE)
    db.write("w0", "1", "", submission_rows=1, written_at=at)
    db.write("w1", "1", "e1", submission_rows=1, written_at=at)
    db.kill("e0", written_at=10)
    db.kill("e9", written_at=90, parts=2)  # not all of it is there
    db.kill(encoded("r9"), scope="runs", written_at=90)
    found = ["w0", "w1"] if lasts else ["w1"]
    assert sorted(row["submission_id"] for row in weigh(db, "s1", "1")[1]) == found
    marks = {"p_channels": encoded("c"), "p_mark0": '"c":[', "p_name0": "c"}
    place = {"p_thread": "t", "p_ns": "", "p_target": "9", "p_below": "", "p_whole": "bool(false)"}
    db.write("old", "1", "", submission_rows=1, written_at=at, ingested=3)
    ages = db.ask(_kql.history_chain(1), **place, **marks, **NOTHING_DEAD)[2]
    assert [row["ingested"] for row in ages] == [3 if lasts else at]


def test_a_blob_is_as_old_as_its_oldest_chunk_and_weighs_each_landing(db: Database) -> None:
    def blob(name: str, chunk: int, chunks: int, landed: int | None, **cells: Any) -> None:
        more = {"written_at": 5, "stored_bytes": 9, **cells}
        db.blob(name, chunk, chunks=chunks, ingested=landed, **more)

    for landed in (20, 80, 50):
        blob("b1", 0, 2, landed)
    blob("b1", 1, 2, 60)
    blob("torn", 0, 2, 60)
    blob("b2", 0, 1, None)
    blob("b3", 0, 1, 60)
    blob("b2", 0, 1, 60, thread_id="other")
    [found] = db.ask(_kql.WEIGH_BLOBS, p_thread="t", p_ids="b1,b2,torn")
    assert {row["blob_id"]: (row["landings"], row["ingested"]) for row in found} == {
        "b1": (3, 60),
        "b2": (1, 5),
    }
    assert {row["blob_id"]: (row["chunks"], row["stored_bytes"]) for row in found} == {
        "b1": (2, 9),
        "b2": (1, 9),
    }


@pytest.mark.parametrize("table", [CHECKPOINTS, WRITES, BLOBS])
def test_a_page_of_rows(db: Database, table: str) -> None:
    for name in ("1", "2", "3"):
        for thread_id in ("t", "other"):
            db.checkpoint(name, "c", "e1", thread_id=thread_id)
            for part in range(3):
                db.write(name, "c", "e1", submission_row=part, thread_id=thread_id)
                db.blob(name, part, thread_id=thread_id)
    where = {"p_thread": "t", "p_ids": "1,3"}
    part = {WRITES: "submission_row", BLOBS: "chunk"}.get(table)
    identity = "blob_id" if table == BLOBS else "submission_id"

    def page(low: int, high: int) -> list[tuple[str, int]]:
        [rows] = db.ask(_kql.READ_AGAIN[table], **where, p_low=low, p_high=high)
        assert {row["thread_id"] for row in rows} <= {"t"}
        return sorted((row[identity], row[part] if part else 0) for row in rows)

    [[row, *_]] = db.ask(_kql.READ_AGAIN[table], **where, p_low=0, p_high=9)
    assert list(row) == [column.name for column in TABLE_BY_NAME[table].columns]
    every = [(name, number) for name in "13" for number in range(3 if part else 1)]
    assert page(0, 1_000) == every
    assert page(1, 1) == [item for item in every if item[1] == 1]
    assert page(0, 0) == [item for item in every if item[1] == 0]
