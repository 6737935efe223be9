"""What the texts about whole threads mean, and the one that asks what is visible: run over rows."""

from __future__ import annotations

from typing import Any

import pytest
from shared.kql_database import (
    DEATHS,
    NOTHING_DEAD,
    Cells,
    Database,
    Death,
    checkpoint_item,
    column,
    dead,
    encoded,
    moment,
)

from langgraph.checkpoint.kusto import _kql

PLACE = {"p_thread": "t", "p_ns": "", "p_id": "1"}
each_death = pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)


@pytest.fixture
def db() -> Database:
    return Database()


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
    db.write("w5", "1", "e1")
    db.kill("e0", tombstone_id="x")
    db.kill("e8", thread_id="other")
    db.kill(encoded("r"), scope="runs")
    epochs, tombstones = db.ask(_kql.READ_EPOCHS, p_thread="t", p_dead=dead("epochs", "e4"))

    assert column(epochs, "epoch") == ["e1", "e2", "e3"]
    assert column(tombstones, "tombstone_id") == ["x"]


def test_half_a_tombstone_leaves_an_epoch_to_be_killed(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.kill("e1", parts=2)
    epochs, tombstones = db.ask(_kql.READ_EPOCHS, p_thread="t", p_dead="")

    assert (column(epochs, "epoch"), len(tombstones)) == (["e1"], 1)


def test_the_epochs_a_checkpoint_was_stored_under(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "1", "e1")
    db.checkpoint("s3", "1", "e0")
    db.checkpoint("s4", "2", "e2")
    db.checkpoint("s5", "1", "e3", thread_id="other")
    db.checkpoint("s6", "1", "e4", checkpoint_ns="child")
    db.kill("e0")
    db.kill("e0", thread_id="other")
    db.kill(encoded("r"), scope="runs")
    epochs, tombstones = db.ask(_kql.FIND_EPOCH, **PLACE)

    assert column(epochs, "epoch") == ["e0", "e1"]
    assert [(row["thread_id"], row["scope"]) for row in tombstones] == [("t", "epochs")]


# ------------------------------------------------------------------------- runs and checkpoints


def test_the_threads_of_some_runs(db: Database) -> None:
    """Dead or not: what a run wrote before may have been deleted, what it writes next is not."""
    db.checkpoint("s1", "1", "e1", run_id="r,1")
    db.checkpoint("s2", "2", "e1", run_id="r,1")
    db.write("w1", "1", "e1", run_id="r,1", thread_id="b")
    db.write("w2", "1", "e1", run_id="r2")
    db.checkpoint("s5", "1", "e1", run_id="r2")
    db.checkpoint("s3", "1", "e1", run_id="r3")
    db.checkpoint("s4", "1", "e1", thread_id="c")
    runs = ",".join(["", *map(encoded, ["r,1", "r2", "nobody's"]), ""])
    [found] = db.ask(_kql.FIND_RUNS, p_runs=runs)

    pairs = sorted((row["thread_id"], row["run_id"]) for row in found)
    assert pairs == [("b", "r,1"), ("t", "r,1"), ("t", "r2")]
    assert db.ask(_kql.FIND_RUNS, p_runs="") == [[]], "rows without a run are nobody's"


def copies(db: Database, **told: str) -> tuple[dict[str, int], object, list[Cells]]:
    found, [writes], stones = db.ask(_kql.FIND_COPIES, **PLACE, **{**NOTHING_DEAD, **told})
    return {row["epoch"]: row["written_at"] for row in found}, writes["written_at"], stones


def test_the_copies_of_a_checkpoint(db: Database) -> None:
    for at, epoch in ((5, "e1"), (7, "e1"), (6, "e1"), (3, "e2")):
        db.checkpoint("s", "1", epoch, written_at=at)
        db.write("w", "1", "", written_at=at + 1)
    for cells in ({"thread_id": "o"}, {"checkpoint_ns": "n"}, {"checkpoint_id": "2"}):
        other: dict[str, Any] = {"checkpoint_id": "1", "written_at": 9, **cells}
        checkpoint_id = other.pop("checkpoint_id")
        db.checkpoint("s", checkpoint_id, "e1", **other)
        db.write("w", checkpoint_id, "e1", **other)
    found, last, _ = copies(db)

    assert (found, last) == ({"e1": 7, "e2": 3}, 8)


def test_no_copies_of_a_checkpoint(db: Database) -> None:
    assert copies(db) == ({}, None, [])


@each_death
def test_dead_copies_of_a_checkpoint(death: Death, db: Database) -> None:
    db.checkpoint("s1", "1", "e1", run_id="r1", written_at=5)
    db.checkpoint("s2", "1", death.epoch, run_id=death.run_id, written_at=9)
    items = death.items(("", "1"), through=9)
    told = {"p_dead": dead(death.scope, *items)}
    db.kill(*items, scope=death.scope, parts=2, tombstone_id="x", part=0, written_at=20)
    assert copies(db)[0] != {"e1": 5}
    assert copies(db, **told)[0] == {"e1": 5}

    db.kill(*items, scope=death.scope, parts=2, tombstone_id="x", part=1, written_at=20)
    found, _, stones = copies(db)
    assert found == {"e1": 5}
    assert len(stones) == (0 if death.scope == "checkpoints" else 2)
    assert len(copies(db, p_since=moment(20))[2]) == 2


def test_a_copy_that_was_written_after_the_delete(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", written_at=5)
    db.kill(checkpoint_item("1", "e1", 5), scope="checkpoints")
    assert copies(db)[0] == {}
    db.checkpoint("s2", "1", "e1", written_at=6)
    assert copies(db)[0] == {"e1": 6}


# -------------------------------------------------------------------------------- a whole thread


def listed(db: Database, text: str = "", **told: Any) -> list[tuple[str, str, str]]:
    text = text or _kql.list_chain(cursor="p_cursor_id" in told)
    page, _, _ = db.ask(text, **{"p_thread": "t", **NOTHING_DEAD, **told})
    return [(row["checkpoint_ns"], row["checkpoint_id"], row["epoch"]) for row in page]


def add_thread(db: Database) -> list[tuple[str, str, str]]:
    """Checkpoints in no order; their keys as they are listed."""
    expected = [
        *[("", "9", "e1"), ("", "9", "e2"), ("", "10", "e1"), ("", "1", "e1")],
        *[("a", "9", "e1"), ("a", "10", "e2"), ("b", "5", "e1")],
    ]
    for number in (3, 0, 6, 2, 5, 1, 4):
        ns, checkpoint_id, epoch = expected[number]
        db.checkpoint(f"s{number}", checkpoint_id, epoch, checkpoint_ns=ns)
        for name in (checkpoint_id, "7"):
            db.checkpoint(f"o{number}", name, epoch, checkpoint_ns=ns, thread_id="other")
    return expected


def test_a_thread_is_listed_by_namespace_from_the_greatest_id(db: Database) -> None:
    expected = add_thread(db)
    assert listed(db) == expected
    for place, (namespace, checkpoint_id, epoch) in enumerate(expected):
        after = {"p_cursor_ns": namespace, "p_cursor_id": checkpoint_id, "p_cursor_epoch": epoch}
        assert listed(db, **after) == expected[place + 1 :]


def test_pages_of_a_thread(db: Database) -> None:
    """Cut where the order says, so that the cursor goes on where a page ended."""
    expected = add_thread(db)
    text = _kql.list_chain(cursor=False)
    assert f"| take {_kql.CHAIN_PAGE_ROWS})" in text
    for size in range(1, 9):
        page = text.replace(f"| take {_kql.CHAIN_PAGE_ROWS})", f"| take {size})")
        assert listed(db, page) == expected[:size]


def test_a_thread_shows_the_copy_of_each_epoch_that_was_written_last(db: Database) -> None:
    def copy(name: str, epoch: str, at: int, cells: str) -> None:
        own = {"parent_checkpoint_id": f"p{cells}", "run_id": f"r{cells}", "source": f"c{cells}"}
        db.checkpoint(name, "1", epoch, written_at=at, total_bytes=at, metadata={}, **own)

    copy("s1", "e1", 5, "5")
    copy("s4", "e1", 7, "7")
    copy("s3", "e1", 7, "?")
    copy("s9", "e2", 6, "6")
    page, _, _ = db.ask(_kql.list_chain(cursor=False), p_thread="t", **NOTHING_DEAD)

    def row(name: str, epoch: str, at: int) -> Cells:
        return {
            "checkpoint_ns": "",
            "checkpoint_id": "1",
            "epoch": epoch,
            "submission_id": name,
            "parent_checkpoint_id": f"p{at}",
            "run_id": f"r{at}",
            "source": f"c{at}",
            "written_at": at,
            "total_bytes": at,
            "delta": False,
        }

    assert page == [row("s4", "e1", 7), row("s9", "e2", 6)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"step": 1}, False),
        ({"counters_since_delta_snapshot": {"c": 1}}, True),
        ({"_left_out": ["x"]}, True),
        (None, True),
    ],
)
def test_a_checkpoint_may_have_delta_channels(metadata: Any, expected: bool, db: Database) -> None:
    """Unless the copy of the metadata for people who write KQL says that it has none."""
    db.checkpoint("s1", "1", "e1", metadata=metadata)
    [row], _, _ = db.ask(_kql.list_chain(cursor=False), p_thread="t", **NOTHING_DEAD)

    assert row["delta"] is expected


def test_a_thread_comes_with_the_latest_time_of_the_writes(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "1", "e1", checkpoint_ns="child")
    db.checkpoint("s3", "3", "e1")
    for at, cells in ((5, {}), (7, {}), (6, {}), (4, {"checkpoint_ns": "child"})):
        db.write("w", "1", "", written_at=at, **cells)
    db.write("w", "1", "", written_at=9, thread_id="other")
    db.write("w", "2", "", written_at=9)
    _, writes, _ = db.ask(_kql.list_chain(cursor=False), p_thread="t", **NOTHING_DEAD)

    found = {(row["checkpoint_ns"], row["checkpoint_id"]): row["last_write"] for row in writes}
    assert found == {("", "1"): 7, ("child", "1"): 4}


# ------------------------------------------------------------------------------ what is visible


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


NOTHING_ASKED = {"p_blobs": "", "p_writes": "", "p_tombstones": "", "p_since": moment(0)}


def confirmed(db: Database, *names: str) -> list[str]:
    found = db.ask(_kql.CONFIRM, p_checkpoints=",".join(names), **NOTHING_ASKED)[0]
    return column(found, "submission_id")


def test_a_checkpoint_the_view_does_not_show_yet_is_not_visible(db: Database) -> None:
    """A row leaves the overlay once it is, and the newest would be an older one for a moment."""
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "2", "e1")
    db.let_view_lag()
    db.checkpoint("s3", "3", "e1")
    db.checkpoint("s4", "1", "e2")
    db.checkpoint("s5", "1", "e1", checkpoint_ns="child")
    db.checkpoint("s6", "1", "e1", thread_id="other")

    assert confirmed(db, "s1", "s2", "s3", "s4", "s5", "s6") == ["s1", "s2"]


def test_the_view_of_another_place_confirms_nothing(db: Database) -> None:
    db.checkpoint("s1", "9", "e1", checkpoint_ns="child")
    db.checkpoint("s2", "9", "e2")
    db.checkpoint("s3", "9", "e1", thread_id="other")
    db.let_view_lag()
    db.checkpoint("s4", "1", "e1")
    assert confirmed(db, "s4") == []


def test_a_greater_id_in_the_view_confirms_a_lesser_one(db: Database) -> None:
    """Ids compare as text; whether the view took the very copy does not matter."""
    db.checkpoint("s1", "9", "e1")
    db.let_view_lag()
    for name, checkpoint_id in (("s2", "10"), ("s3", "9"), ("s4", "91")):
        db.checkpoint(name, checkpoint_id, "e1")

    assert confirmed(db, "s2", "s3", "s4") == ["s2", "s3"]
