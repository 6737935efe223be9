"""What the reads of a checkpoint and of its pages mean: run over rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from shared.kql_database import DEATHS, NOTHING_DEAD, Cells, Database, Death, column, dead, encoded

from langgraph.checkpoint.kusto import _kql

if TYPE_CHECKING:
    from typing_extensions import LiteralString

MEGABYTE = 1_000_000


@pytest.fixture
def db() -> Database:
    return Database()


# ------------------------------------------------------------------------------- one checkpoint

LATEST = (_kql.READ_LATEST, _kql.READ_LATEST_UNHIDDEN, _kql.READ_LATEST_SHARED)
by_view_and_by_table = pytest.mark.parametrize("text", LATEST, ids=["view", "table", "shared"])
by_view = pytest.mark.parametrize(
    "text", [_kql.READ_LATEST, _kql.READ_LATEST_SHARED], ids=["view", "shared"]
)


def latest(
    db: Database, text: LiteralString = _kql.READ_LATEST, **changes: Any
) -> list[list[Cells]]:
    parameters = {
        "p_thread": "t",
        "p_ns": "",
        "p_local": "",
        **NOTHING_DEAD,
        "p_blobs": "",
        "p_budget": MEGABYTE,
        "p_rows": 100,
    }
    return db.ask(text, **{**parameters, **changes})


def first(**changes: Any) -> list[Cells]:
    """The first table of a read; what is wanted is there unless told otherwise."""
    answer = {"wanted_id": "", "seen_id": "", "fits": True, "hidden": False, "haunted": False}
    there = {"present": bool(changes.get("wanted_id")), "last_delete": None}
    return [{**answer, **there, **changes}]


def by_id(db: Database, wanted: str, **changes: Any) -> list[list[Cells]]:
    parameters = {
        "p_thread": "t",
        "p_ns": "",
        "p_id": wanted,
        **NOTHING_DEAD,
        "p_blobs": "",
        "p_budget": MEGABYTE,
        "p_rows": 100,
    }
    return db.ask(_kql.READ_BY_ID, **{**parameters, **changes})


def test_the_latest_of_a_thread_that_has_nothing(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", thread_id="other")
    db.checkpoint("s2", "1", "e1", checkpoint_ns="child")

    for text in LATEST:
        assert latest(db, text) == [first(), [], [], [], []]


@by_view_and_by_table
def test_the_latest_is_the_greatest_id_as_text(text: LiteralString, db: Database) -> None:
    for number, checkpoint_id in enumerate(("10", "9", "1")):
        db.checkpoint(f"s{number}", checkpoint_id, "e1")
    db.checkpoint("s9", "99", "e1", thread_id="other")
    db.checkpoint("s8", "99", "e1", checkpoint_ns="child")
    answer, heads, *_ = latest(db, text)

    assert answer == first(wanted_id="9", seen_id="9")
    assert column(heads, "submission_id") == ["s1"]


@by_view_and_by_table
@pytest.mark.parametrize("ids", [("7", "6", "5"), ("5", "7", "6"), ("6", "5", "7")])
def test_the_latest_of_all_living_epochs(
    ids: tuple[str, ...], text: LiteralString, db: Database
) -> None:
    """Two processes that begin the same thread give it two epochs."""
    for epoch, checkpoint_id in enumerate(ids):
        db.checkpoint(f"s{epoch}", checkpoint_id, f"e{epoch}")

    assert latest(db, text)[0][0]["seen_id"] == "7"


@by_view_and_by_table
@pytest.mark.parametrize(("local", "wanted"), [("", "5"), ("4", "5"), ("5", "5"), ("6", "6")])
def test_what_this_process_has_counts_when_it_is_greater(
    local: str, wanted: str, text: LiteralString, db: Database
) -> None:
    db.checkpoint("s1", "5", "e1")
    db.write("w1", "6", "e1")
    answer, heads, _, writes, _ = latest(db, text, p_local=local)

    assert answer == first(wanted_id=wanted, seen_id="5", present=wanted == "5")
    assert column(heads, "checkpoint_id") == (["5"] if wanted == "5" else [])
    assert column(writes, "submission_id") == (["w1"] if wanted == "6" else [])


@by_view
@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
def test_a_dead_newest_checkpoint(death: Death, text: LiteralString, db: Database) -> None:
    """The view knows epochs. Of a deleted run or checkpoint it is told that something is hidden."""
    db.checkpoint("s1", "1", "e1", run_id="r1")
    db.checkpoint("s2", "2", death.epoch, run_id=death.run_id)
    db.write("w1", "1", "e1", run_id="r1")
    db.write("w2", "2", death.epoch, run_id=death.run_id)
    db.kill(*death.items(("", "2")), scope=death.scope, written_at=77)
    answer, heads, _, writes, _ = latest(db, text)

    if death.scope == "epochs":
        assert answer == first(wanted_id="1", seen_id="1", last_delete=77)
        assert (column(heads, "submission_id"), column(writes, "submission_id")) == (["s1"], ["w1"])
    else:
        assert answer == first(wanted_id="2", seen_id="2", hidden=True, last_delete=77)
        assert (heads, writes) == ([], [])
    answer, heads, _, writes, _ = latest(db, _kql.READ_LATEST_UNHIDDEN)
    assert answer == first(wanted_id="1", seen_id="1", last_delete=77)
    assert (column(heads, "submission_id"), column(writes, "submission_id")) == (["s1"], ["w1"])


def test_nothing_is_hidden_where_one_copy_lives(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", run_id="r1")
    db.checkpoint("s2", "1", "e1", run_id="r0")
    db.kill(encoded("r0"), scope="runs", written_at=77)
    db.kill("e9", written_at=76)
    db.kill("e9", written_at=99, thread_id="other")

    for text in LATEST:
        assert latest(db, text)[0] == first(wanted_id="1", seen_id="1", last_delete=77)
    assert by_id(db, "1")[0] == first(wanted_id="1", last_delete=77)
    assert by_id(db, "2")[0] == first(wanted_id="2", last_delete=77, present=False)


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
def test_where_all_is_dead(death: Death, db: Database) -> None:
    """Hidden means that the view may know too little; dead epochs it leaves out itself."""
    db.checkpoint("s1", "1", death.epoch, run_id=death.run_id)
    db.kill(*death.items(("", "1")), scope=death.scope, written_at=77)
    of_epoch = death.scope == "epochs"
    expected = first(
        wanted_id="1", present=True, hidden=not of_epoch, haunted=of_epoch, last_delete=77
    )

    assert by_id(db, "1")[0] == expected
    assert latest(db, _kql.READ_LATEST_UNHIDDEN)[0] == first(last_delete=77)


def test_of_two_copies_the_one_written_last_is_read(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", written_at=8)
    db.checkpoint("s3", "1", "e1", written_at=9)
    db.checkpoint("s2", "1", "e1", written_at=9)

    for text in LATEST:
        assert column(latest(db, text)[1], "submission_id") == ["s3"]
    assert column(by_id(db, "1")[1], "submission_id") == ["s3"]


def test_blobs_come_along_those_the_row_names_and_those_asked_for(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", blob_ids="b1,b2")
    for blob_id in ("b1", "b2", "b3", "b4"):
        db.blob(blob_id)
        db.blob(blob_id, thread_id="other")
    db.blob("b2", 1)

    answers = [latest(db, text, p_blobs="b4,b5") for text in LATEST]
    for answer in (*answers, by_id(db, "1", p_blobs="b4,b5")):
        assert column(answer[2], "blob_id") == ["b1", "b2", "b2", "b4"]
    assert column(by_id(db, "2", p_blobs="b4")[2], "blob_id") == ["b4"]
    assert by_id(db, "2")[2] == []


def test_a_blob_without_an_id_is_nobodys(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.blob("")

    for answer in (*[latest(db, text) for text in LATEST], by_id(db, "1")):
        assert (column(answer[1], "submission_id"), answer[2]) == (["s1"], [])


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

    assert answer == first(wanted_id="1")
    assert column(heads, "submission_id") == ["s1"]
    assert column(writes, "submission_id") == ["w1"]
    assert column(by_id(db, "1", p_ns="child")[1], "submission_id") == ["s4"]


@pytest.mark.parametrize(
    ("budget", "rows", "fits"), [(107, 2, True), (106, 2, False), (107, 1, False), (108, 3, True)]
)
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(latest, id="by the view"),
        pytest.param(partial(latest, text=_kql.READ_LATEST_UNHIDDEN), id="by the table"),
        pytest.param(lambda db, **changes: by_id(db, "1", **changes), id="by id"),
    ],
)
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

    assert db.ask(_kql.SUM_WRITES, **keys, **NOTHING_DEAD) == [
        [weighed("w1", 1, 3, 3), weighed("w2", 2, 7, 12)]
    ]
    others = {"p_dead": dead("epochs", "e1")}
    assert db.ask(_kql.SUM_WRITES, **keys, **others) == [[weighed("w1", 1, 3, 3)]]


def test_pending_writes_are_planned_in_one_order_by_all(db: Database) -> None:
    names = [f"w{number}" for number in range(12)]
    for name in reversed(names):
        db.write(name, "1", "e1")
    [found] = db.ask(_kql.SUM_WRITES, p_thread="t", p_ns="", p_id="1", **NOTHING_DEAD)

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
