"""What the reads of a checkpoint, of pages, epochs and visible rows mean: run over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.kql_database import Cells, Database, column

from langgraph.checkpoint.kusto import _kql

MEGABYTE = 1_000_000


@pytest.fixture
def db() -> Database:
    return Database()


# ------------------------------------------------------------------------------- one checkpoint


def latest(db: Database, **changes: Any) -> list[list[Cells]]:
    parameters = {
        "p_thread": "t",
        "p_ns": "",
        "p_local": "",
        "p_killed": "",
        "p_blobs": "",
        "p_budget": MEGABYTE,
        "p_rows": 100,
    }
    return db.ask(_kql.READ_LATEST, **{**parameters, **changes})


def by_id(db: Database, wanted: str, **changes: Any) -> list[list[Cells]]:
    parameters = {
        "p_thread": "t",
        "p_ns": "",
        "p_id": wanted,
        "p_killed": "",
        "p_blobs": "",
        "p_budget": MEGABYTE,
        "p_rows": 100,
    }
    return db.ask(_kql.READ_BY_ID, **{**parameters, **changes})


def test_the_latest_of_a_thread_that_has_nothing(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", thread_id="other")
    db.checkpoint("s2", "1", "e1", checkpoint_ns="child")

    assert latest(db) == [[{"wanted_id": "", "seen_id": "", "fits": True}], [], [], [], []]


def test_the_latest_is_the_greatest_id_as_text(db: Database) -> None:
    for number, checkpoint_id in enumerate(("10", "9", "1")):
        db.checkpoint(f"s{number}", checkpoint_id, "e1")
    db.checkpoint("s9", "99", "e1", thread_id="other")
    db.checkpoint("s8", "99", "e1", checkpoint_ns="child")
    answer, heads, *_ = latest(db)

    assert answer == [{"wanted_id": "9", "seen_id": "9", "fits": True}]
    assert column(heads, "submission_id") == ["s1"]


@pytest.mark.parametrize("ids", [("7", "6", "5"), ("5", "7", "6"), ("6", "5", "7")])
def test_the_latest_of_all_living_epochs(ids: tuple[str, ...], db: Database) -> None:
    """Two processes that begin the same thread give it two epochs."""
    for epoch, checkpoint_id in enumerate(ids):
        db.checkpoint(f"s{epoch}", checkpoint_id, f"e{epoch}")

    assert latest(db)[0][0]["seen_id"] == "7"


@pytest.mark.parametrize(("local", "wanted"), [("", "5"), ("4", "5"), ("5", "5"), ("6", "6")])
def test_what_this_process_has_counts_when_it_is_greater(
    local: str, wanted: str, db: Database
) -> None:
    db.checkpoint("s1", "5", "e1")
    db.write("w1", "6", "e1")
    answer, heads, _, writes, _ = latest(db, p_local=local)

    assert answer == [{"wanted_id": wanted, "seen_id": "5", "fits": True}]
    assert column(heads, "checkpoint_id") == (["5"] if wanted == "5" else [])
    assert column(writes, "submission_id") == (["w1"] if wanted == "6" else [])


def test_dead_rows_hide_nothing(db: Database) -> None:
    """The row of the dead epoch is newer, and its id greater."""
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "1", "e0")
    db.checkpoint("s3", "2", "e0")
    db.write("w1", "1", "e1")
    db.write("w0", "1", "e0")
    db.write("w2", "1", "")
    db.kill("e9", "e0")
    answer, heads, _, writes, tombstones = latest(db)

    assert answer[0]["wanted_id"] == "1"
    assert column(heads, "submission_id") == ["s1"]
    assert column(writes, "submission_id") == ["w1", "w2"]
    assert column(tombstones, "ids") == ["e9,e0"]


def test_epochs_this_process_knows_to_be_dead(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "2", "e2")
    db.write("w2", "2", "e2")

    assert column(latest(db, p_killed="e3,e2")[1], "submission_id") == ["s1"]
    assert by_id(db, "2", p_killed="e2")[1:4] == [[], [], []]


def test_half_a_tombstone_kills_nothing(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.kill("e1", parts=2, tombstone_id="x", part=0)
    db.kill("e1", parts=2, tombstone_id="x", part=0)  # the same part, landed twice
    assert column(latest(db)[1], "submission_id") == ["s1"]

    db.kill("e9", parts=2, tombstone_id="x", part=1)
    assert latest(db)[1] == []


def test_tombstones_of_another_thread_or_scope_kill_nothing(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.kill("e1", thread_id="other")
    db.kill("e1", scope="runs")
    _, heads, _, _, tombstones = latest(db)

    assert column(heads, "submission_id") == ["s1"]
    assert column(tombstones, "scope") == ["runs"]


def test_of_two_copies_the_one_written_last_is_read(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", written_at=8)
    db.checkpoint("s3", "1", "e1", written_at=9)
    db.checkpoint("s2", "1", "e1", written_at=9)

    assert column(latest(db)[1], "submission_id") == ["s3"]
    assert column(by_id(db, "1")[1], "submission_id") == ["s3"]


def test_blobs_come_along_those_the_row_names_and_those_asked_for(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", blob_ids="b1,b2")
    for blob_id in ("b1", "b2", "b3", "b4"):
        db.blob(blob_id)
        db.blob(blob_id, thread_id="other")
    db.blob("b2", 1)

    for answer in (latest(db, p_blobs="b4,b5"), by_id(db, "1", p_blobs="b4,b5")):
        assert column(answer[2], "blob_id") == ["b1", "b2", "b2", "b4"]
    assert column(by_id(db, "2", p_blobs="b4")[2], "blob_id") == ["b4"]
    assert by_id(db, "2")[2] == []


def test_one_checkpoint_by_its_id(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "2", "e1")
    db.checkpoint("s3", "1", "e1", thread_id="other")
    db.checkpoint("s4", "1", "e1", checkpoint_ns="child")
    db.write("w1", "1", "e1")
    db.write("w2", "2", "e1")
    db.write("w3", "1", "e1", checkpoint_ns="child")
    db.write("w4", "1", "e1", thread_id="other")
    answer, heads, _, writes, _ = by_id(db, "1")

    assert answer == [{"wanted_id": "1", "seen_id": "", "fits": True}]
    assert column(heads, "submission_id") == ["s1"]
    assert column(writes, "submission_id") == ["w1"]
    assert column(by_id(db, "1", p_ns="child")[1], "submission_id") == ["s4"]


@pytest.mark.parametrize(
    ("budget", "rows", "fits"), [(107, 2, True), (106, 2, False), (107, 1, False), (108, 3, True)]
)
@pytest.mark.parametrize("read", [latest, lambda db, **changes: by_id(db, "1", **changes)])
def test_payload_comes_only_while_the_result_stays_in_its_bounds(
    read: Callable[..., list[list[Cells]]], budget: int, rows: int, fits: bool, db: Database
) -> None:
    db.checkpoint("s1", "1", "e1", total_bytes=100, blob_ids="b1")
    db.blob("b1")
    db.write("w1", "1", "e1", row_bytes=3)
    db.write("w2", "1", "e1", row_bytes=4)
    db.kill("e0")
    answer, heads, blobs, writes, tombstones = read(db, p_budget=budget, p_rows=rows)

    assert answer[0]["fits"] is fits
    assert (len(heads), len(tombstones)) == (1, 1)
    assert (len(blobs), len(writes)) == ((1, 2) if fits else (0, 0))


# ---------------------------------------------------------------------------------------- pages


def test_a_page_of_blobs(db: Database) -> None:
    for chunk in range(4):
        db.blob("b1", chunk)
        db.blob("b2", chunk)
        db.blob("b1", chunk, thread_id="other")
    [page] = db.ask(_kql.READ_BLOBS, p_thread="t", p_ids="b1,b9", p_low=1, p_high=2)

    assert [row["blob_id"] for row in page] == ["b1", "b1"]
    assert column(page, "chunk") == [1, 2]


def test_what_the_pending_writes_weigh(db: Database) -> None:
    db.write("w2", "1", "e1", submission_row=0, submission_rows=2, row_bytes=5)
    db.write("w2", "1", "e1", submission_row=1, submission_rows=2, row_bytes=7)
    db.write("w1", "1", "", row_bytes=3)
    db.write("w0", "1", "e0")
    db.write("w3", "2", "e1")
    db.write("w4", "1", "e1", thread_id="other")
    db.write("w5", "1", "e1", checkpoint_ns="child")
    db.kill("e0")
    keys = {"p_thread": "t", "p_ns": "", "p_id": "1"}

    def weighed(name: str, rows: int, largest: int, total: int) -> Cells:
        names = ("submission_id", "row_count", "largest", "all_bytes", "submission_rows")
        return dict(zip(names, (name, rows, largest, total, rows), strict=True))

    assert db.ask(_kql.SUM_WRITES, **keys, p_killed="") == [
        [weighed("w1", 1, 3, 3), weighed("w2", 2, 7, 12)]
    ]
    assert db.ask(_kql.SUM_WRITES, **keys, p_killed="e1") == [[weighed("w1", 1, 3, 3)]]


def test_pending_writes_are_planned_in_one_order_by_all(db: Database) -> None:
    names = [f"w{number}" for number in range(12)]
    for name in reversed(names):
        db.write(name, "1", "e1")
    [found] = db.ask(_kql.SUM_WRITES, p_thread="t", p_ns="", p_id="1", p_killed="")

    assert [row["submission_id"] for row in found] == sorted(names)


def test_a_page_of_pending_writes(db: Database) -> None:
    for row in range(4):
        db.write("w1", "1", "e1", submission_row=row)
        db.write("w2", "1", "e1", submission_row=row)
    db.write("w1", "2", "e1", submission_row=1)
    db.write("w1", "1", "e1", submission_row=1, thread_id="other")
    db.write("w1", "1", "e1", submission_row=1, checkpoint_ns="child")
    [page] = db.ask(
        _kql.READ_WRITES, p_thread="t", p_ns="", p_id="1", p_ids="w1,w9", p_low=1, p_high=2
    )

    assert [row["submission_id"] for row in page] == ["w1", "w1"]
    assert column(page, "submission_row") == [1, 2]


# --------------------------------------------------------------------------------------- epochs


def test_the_living_epochs_of_a_thread(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "1", "e1")
    db.checkpoint("s3", "1", "e2", checkpoint_ns="child")
    db.checkpoint("s4", "1", "e0")
    db.checkpoint("s5", "1", "e5", thread_id="other")
    db.write("w1", "1", "e3")
    db.write("w2", "1", "")
    db.write("w3", "1", "e4")
    db.write("w4", "1", "e6", thread_id="other")
    db.kill("e0")
    epochs, tombstones = db.ask(_kql.READ_EPOCHS, p_thread="t", p_killed="e4")

    assert column(epochs, "epoch") == ["e1", "e2", "e3"]
    assert column(tombstones, "ids") == ["e0"]


def test_the_epochs_a_checkpoint_was_stored_under(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "1", "e1")
    db.checkpoint("s3", "1", "e0")
    db.checkpoint("s4", "2", "e2")
    db.checkpoint("s5", "1", "e3", thread_id="other")
    db.checkpoint("s6", "1", "e4", checkpoint_ns="child")
    db.kill("e0")
    db.kill("e0", thread_id="other")
    epochs, tombstones = db.ask(_kql.FIND_EPOCH, p_thread="t", p_ns="", p_id="1")

    assert column(epochs, "epoch") == ["e0", "e1"]
    assert column(tombstones, "thread_id") == ["t"]


def test_which_rows_are_visible(db: Database) -> None:
    """Counted once each, however often they landed."""
    db.checkpoint("s0", "1", "e1", written_at=4)
    for _ in range(2):
        db.checkpoint("s1", "1", "e1", written_at=5)
        db.blob("b1", 0, written_at=5)
        db.blob("b1", 1, written_at=6)
        db.write("w1", "1", "e1", submission_row=0, written_at=5)
        db.write("w1", "1", "e1", submission_row=1, written_at=6)
        db.kill("e0", tombstone_id="x", part=0, parts=2, written_at=5)
        db.kill("e0", tombstone_id="x", part=1, parts=2, written_at=6)
    db.blob("old", written_at=4)
    db.write("old", "1", "", written_at=4)
    db.kill("e0", tombstone_id="old", written_at=4)
    db.checkpoint("s2", "1", "e1", written_at=9)
    asked = {
        "p_checkpoints": "s0,s1,s9",
        "p_blobs": "b1,old",
        "p_writes": "w1,old",
        "p_tombstones": "x,old",
    }
    checkpoints, blobs, writes, tombstones = db.ask(_kql.CONFIRM, p_since=moment(5), **asked)

    assert checkpoints == [{"submission_id": "s1"}]
    assert blobs == [{"blob_id": "b1", "row_count": 2}]
    assert writes == [{"submission_id": "w1", "row_count": 2}]
    assert tombstones == [{"tombstone_id": "x", "row_count": 2}]


def moment(ticks: int) -> str:
    return f"datetime(0001-01-01T00:00:00.{ticks:07d}Z)"
