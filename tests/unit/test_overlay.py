"""Overlay: what was submitted is seen, until Kusto shows it or it is dead."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._overlay import Overlay, ThreadView
from langgraph.checkpoint.kusto._pending_writes import PendingWrite, WriteSubmission
from langgraph.checkpoint.kusto._rows import BlobCopy, CheckpointKey, StoredCheckpoint
from langgraph.checkpoint.kusto._tombstones import EPOCHS, Deaths, Tombstone
from langgraph.checkpoint.kusto._values import BlobRef, encode_value

VALUE = encode_value("msgpack", b"value")
NOW = 639_000_000_000_000_000


def checkpoint(
    name: str,
    checkpoint_id: str = "1",
    *,
    thread: str = "a",
    ns: str = "",
    epoch: str = "e1",
    at: int = NOW,
) -> StoredCheckpoint:
    key = CheckpointKey(thread, ns, checkpoint_id)
    return StoredCheckpoint(key, "", epoch, "", name, at, VALUE, VALUE, {}, {})


def blob(name: str, *, thread: str = "a", epoch: str = "e1", chunks: int = 1) -> BlobCopy:
    ref = BlobRef(name, chunks, 5, NOW)
    return BlobCopy(CheckpointKey(thread, "", "1"), epoch, "", "c", "1", VALUE, ref)


def writes(
    name: str, checkpoint_id: str = "1", *, thread: str = "a", epoch: str = "e1"
) -> WriteSubmission:
    one = PendingWrite("t", "", 0, "c", VALUE)
    return WriteSubmission(CheckpointKey(thread, "", checkpoint_id), epoch, "", name, NOW, (one,))


def stone(name: str, *ids: str, thread: str = "a") -> Tombstone:
    return Tombstone(thread, name, EPOCHS, ids, NOW + 9)


def dead(*epochs: str) -> Deaths:
    return Deaths(epochs=frozenset(epochs))


def names(view: ThreadView) -> tuple[list[str], list[str], list[str]]:
    return (
        [row.submission_id for row in view.checkpoints],
        list(view.blobs),
        [item.submission_id for item in view.submissions],
    )


@pytest.fixture
def full() -> Overlay:
    """One of everything in thread a, a checkpoint and a blob in thread b."""
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1"), 10)
    overlay.add_blob(blob("b1", chunks=3), 300)
    overlay.add_writes(writes("s2"), 20, 2)
    overlay.add_tombstone(stone("t1", "e0"), 5, 4)
    overlay.add_checkpoint(checkpoint("s3", thread="b", epoch="e2"), 1_000)
    overlay.add_blob(blob("b2", thread="b", epoch="e2"), 2_000)
    return overlay


def test_empty() -> None:
    overlay = Overlay()
    view = overlay.view("a")

    assert (len(overlay), overlay.size_bytes) == (0, 0)
    assert repr(overlay) == "<Overlay rows=0 bytes=0>"
    assert names(view) == ([], [], [])
    assert not view.deaths
    assert (view.deaths_parameter, view.since) == ("", None)
    assert view.newest("a", "") is None
    assert view.copy_of(CheckpointKey("a", "", "1")) is None
    assert overlay.dead("a", dead("e1")) == []


def test_what_was_added_is_seen(full: Overlay) -> None:
    assert names(full.view("a")) == (["s1"], ["b1"], ["s2"])
    assert names(full.view("b")) == (["s3"], ["b2"], [])
    assert names(full.view()) == (["s1", "s3"], ["b1", "b2"], ["s2"])
    assert full.view("a").deaths.epochs == full.view().deaths.epochs == {"e0"}
    assert not full.view("b").deaths
    assert full.view("a").deaths_parameter == "epochs|bYQ==|e0"
    assert full.view("a").since == full.view("b").since == NOW
    assert full.view().epochs() == {"e1", "e2"}
    assert full.view("a").blobs == {"b1": VALUE}


def test_writes_alone_tell_their_epoch_too() -> None:
    """A read asks whether it is alive, also when no checkpoint of it is here."""
    overlay = Overlay()
    overlay.add_writes(writes("s1", epoch="e7"), 1, 1)

    assert overlay.view("a").epochs() == {"e7"}


def test_sizes_and_rows(full: Overlay) -> None:
    assert (len(full), full.size_bytes) == (6, 3_335)
    assert repr(full) == "<Overlay rows=6 bytes=3335>"
    assert [full.row_count_of(name) for name in ("s1", "b1", "s2", "t1", "?")] == [1, 3, 2, 4, 0]


def test_adding_twice_counts_once(full: Overlay) -> None:
    full.add_checkpoint(checkpoint("s1"), 10)
    full.add_blob(blob("b1", chunks=3), 300)

    assert (len(full), full.size_bytes) == (6, 3_335)
    full.remove(["s1", "b1"])
    assert (len(full), full.size_bytes) == (4, 3_025)


def test_removing(full: Overlay) -> None:
    full.acknowledge(["s1", "b1"], NOW)
    full.remove(["?", "s1", "s2", "?", "s1"])

    assert names(full.view("a")) == ([], ["b1"], [])
    full.remove(["b1", "t1", "s3", "b2"])
    assert (len(full), full.size_bytes) == (0, 0)
    assert full.view().deaths == Deaths()
    assert full.unconfirmed(9) == []


def test_acknowledging(full: Overlay) -> None:
    assert not full.is_acknowledged("s1")
    full.acknowledge(["s1", "?"], NOW)

    assert full.is_acknowledged("s1")
    assert not full.is_acknowledged("b1")
    assert full.is_acknowledged("?")  # it has left: it was shown
    full.remove(["s1"])
    full.acknowledge(["s1"], NOW)
    assert full.unconfirmed(9) == []


def test_acknowledged_rows_from_before_a_time(full: Overlay) -> None:
    """From before it they were acknowledged; when they were written does not matter."""
    assert full.acknowledged_before(NOW + 100) == []
    full.acknowledge(["t1", "s1"], NOW + 5)
    full.acknowledge(["t1", "b1"], NOW + 7)

    assert full.acknowledged_before(NOW + 5) == []
    assert full.acknowledged_before(NOW + 6) == ["t1", "s1"]
    assert full.acknowledged_before(NOW + 8) == ["t1", "s1", "b1"]
    full.remove(["s1"])
    assert full.acknowledged_before(NOW + 6) == ["t1"]


def test_only_acknowledged_rows_are_asked_about_the_oldest_first(full: Overlay) -> None:
    assert full.unconfirmed(9) == []
    full.acknowledge(["t1", "b2", "s3", "s1", "s2", "b1"], NOW)
    (asked,) = full.unconfirmed(6)

    assert (asked.checkpoints, asked.blobs) == (("s3", "s1"), ("b2", "b1"))
    assert (asked.writes, asked.tombstones) == (("s2",), ("t1",))
    assert asked.oldest == NOW
    assert asked.among(["b1", "s2", "t1", "s3", "?"]) == {"b1", "s2", "t1", "s3"}


def test_all_are_asked_about_in_groups(full: Overlay) -> None:
    """Also those after rows that never show."""
    full.acknowledge(["t1", "b2", "s3", "s1", "s2"], NOW)
    first, second, last = full.unconfirmed(2)

    assert (first.tombstones, first.blobs) == (("t1",), ("b2",))
    assert [group.oldest for group in full.unconfirmed(1)] == [NOW + 9, NOW, NOW, NOW, NOW]
    assert first.oldest == NOW
    assert (second.checkpoints, last.writes) == (("s3", "s1"), ("s2",))
    assert first.among(["t1", "s3"]) == {"t1"}


# ------------------------------------------------------------------------------------- dead rows


def test_a_tombstone_hides_what_it_kills() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", epoch="e1"), 1)
    overlay.add_checkpoint(checkpoint("s2", epoch="e2"), 1)
    overlay.add_writes(writes("s3", epoch="e1"), 1, 1)
    overlay.add_writes(writes("s4", epoch=""), 1, 1)
    overlay.add_tombstone(stone("t1", "e1"), 1, 1)

    assert names(overlay.view("a")) == (["s2"], [], ["s4"])
    assert overlay.view("a").epochs() == {"e2"}
    overlay.remove(["t1"])
    assert names(overlay.view("a")) == (["s1", "s2"], [], ["s3", "s4"])


def test_a_tombstone_of_one_thread_does_not_touch_another() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", epoch="e1"), 1)
    overlay.add_tombstone(stone("t1", "e2"), 1, 1)
    overlay.add_checkpoint(checkpoint("s2", thread="b", epoch="e2"), 1)

    assert names(overlay.view("b"))[0] == ["s2"]


def test_a_view_without_epochs_that_turned_out_dead() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", epoch="e1"), 1)
    overlay.add_checkpoint(checkpoint("s2", epoch="e2"), 1)
    overlay.add_writes(writes("s3", epoch="e1"), 1, 1)
    overlay.add_blob(blob("b1"), 1)
    view = overlay.view("a")

    assert names(view.without(dead("e1"))) == (["s2"], ["b1"], [])
    assert names(view.without(Deaths())) == names(view)


def test_dead_rows_leave_once_they_are_acknowledged(full: Overlay) -> None:
    assert full.dead("a", dead("e1")) == []
    full.acknowledge(["s1", "s2", "b1", "t1"], NOW)

    assert set(full.dead("a", dead("e1"))) == {"s1", "s2", "b1"}
    assert full.dead("a", dead("e2")) == []
    assert full.dead("nobody", dead("e1")) == []


def test_checkpoints_are_told_from_other_rows(full: Overlay) -> None:
    identities = ["b1", "s1", "t1", "unknown"]

    assert full.checkpoints_of("a", identities) == [CheckpointKey("a", "", "1")]
    assert full.checkpoints_of("b", identities) == []
    assert full.checkpoints_of("nobody", identities) == []


def test_a_dead_checkpoint_is_held_until_it_leaves() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", "1"), 1)
    overlay.add_checkpoint(checkpoint("s2", "2"), 1)
    overlay.add_tombstone(stone("t1", "e1"), 1, 1)
    keys = [CheckpointKey("a", "", "1"), CheckpointKey("a", "", "2")]
    others = [CheckpointKey(*key) for key in (("a", "", "3"), ("a", "n", "1"), ("b", "", "1"))]

    assert overlay.view("a").copy_of(keys[0]) is None
    assert [overlay.holds(key) for key in (*keys, *others)] == [True, True, False, False, False]
    overlay.remove(["s1"])
    assert [overlay.holds(key) for key in keys] == [False, True]


def test_rows_without_an_epoch_are_never_dead() -> None:
    overlay = Overlay()
    overlay.add_writes(writes("s1", epoch=""), 1, 1)
    overlay.acknowledge(["s1"], NOW)

    assert overlay.dead("a", dead("e1")) == []
    assert overlay.view("a").epochs() == set()


# ----------------------------------------------------------------------------------------- choices


def test_newest_is_the_greatest_id_as_text() -> None:
    overlay = Overlay()
    for name, checkpoint_id in (("s1", "9"), ("s2", "10"), ("s3", "1")):
        overlay.add_checkpoint(checkpoint(name, checkpoint_id), 1)
    overlay.add_checkpoint(checkpoint("s4", "99", ns="child"), 1)
    overlay.add_checkpoint(checkpoint("s5", "99", thread="b"), 1)
    newest = overlay.view().newest("a", "")

    assert newest is not None
    assert newest.submission_id == "s1"
    child = overlay.view().newest("a", "child")
    assert child is not None
    assert child.submission_id == "s4"


def test_of_two_copies_the_one_written_last_wins() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s3", at=NOW), 1)
    overlay.add_checkpoint(checkpoint("s2", at=NOW + 1), 1)
    overlay.add_checkpoint(checkpoint("s1", at=NOW + 1), 1)
    view = overlay.view("a")

    newest, copy = view.newest("a", ""), view.copy_of(CheckpointKey("a", "", "1"))
    assert newest is copy
    assert copy is not None
    assert copy.submission_id == "s2"
    assert view.copy_of(CheckpointKey("a", "", "2")) is None


def test_writes_of_one_checkpoint() -> None:
    overlay = Overlay()
    overlay.add_writes(writes("s1", "1"), 1, 1)
    overlay.add_writes(writes("s2", "2"), 1, 1)
    overlay.add_writes(writes("s3", "1", thread="b"), 1, 1)
    overlay.add_writes(writes("s4", "1", epoch=""), 1, 1)
    view, key = overlay.view(), CheckpointKey("a", "", "1")

    assert [item.submission_id for item in view.writes(key, haunted=False)] == ["s1", "s4"]
    assert [item.submission_id for item in view.writes(key, haunted=True)] == ["s1"]


def test_the_time_of_the_oldest_row() -> None:
    """Tombstones of checkpoints from before it kill nothing here."""
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", at=NOW + 5), 1)
    assert overlay.view("a").since == NOW + 5
    overlay.add_tombstone(Tombstone("a", "t1", EPOCHS, ("e9",), NOW + 3), 1, 1)
    assert overlay.view("a").since == NOW + 3
    overlay.add_writes(writes("s2"), 1, 1)
    assert overlay.view("a").since == NOW


def test_runs_and_checkpoints_die_as_epochs_do() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(replace(checkpoint("s1"), run_id="r"), 1)
    overlay.add_checkpoint(checkpoint("s2", "2"), 1)
    overlay.add_checkpoint(checkpoint("s3", "2", at=NOW + 1), 1)
    overlay.add_writes(replace(writes("s4"), run_id="r"), 1, 1)
    overlay.add_writes(writes("s5", "2", epoch=""), 1, 1)
    overlay.add_blob(blob("b1"), 1)
    overlay.acknowledge(["s1", "s2", "s3", "s4", "s5", "b1"], NOW)
    view, key = overlay.view("a"), CheckpointKey("a", "", "2")
    run = Deaths(runs=frozenset({("a", "r"), ("b", "")}))
    one = Deaths(checkpoints={(key, "e1"): NOW, (key, ""): NOW})

    assert names(view.without(run)) == (["s2", "s3"], ["b1"], ["s5"])
    assert names(view.without(one)) == (["s1", "s3"], ["b1"], ["s4"])
    assert overlay.dead("a", run) == ["s1", "s4"]  # never a blob: a later checkpoint may need it
    assert overlay.dead("a", one) == ["s2", "s5"]


def test_a_view_does_not_change_with_the_overlay(full: Overlay) -> None:
    view = full.view("a")
    full.remove(["s1", "b1", "s2"])
    full.add_checkpoint(checkpoint("s9"), 1)

    assert names(view) == (["s1"], ["b1"], ["s2"])


# ----------------------------------------------------------------------------------- any sequence

steps = st.lists(
    st.tuples(
        st.sampled_from(["checkpoint", "blob", "writes", "stone", "ack", "remove", "ask"]),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(steps, st.integers())
def test_books_are_kept_whatever_happens(history: list[tuple[str, int]], seed: int) -> None:
    chance = random.Random(seed)
    overlay = Overlay()
    sizes: dict[str, int] = {}
    acknowledged: list[str] = []
    for step, number in history:
        thread, size = f"thread {number % 3}", chance.randrange(100)
        name = {"checkpoint": "s", "blob": "b", "writes": "w", "stone": "t"}.get(step, "?")
        name += str(number)
        adders: dict[str, Any] = {
            "checkpoint": lambda n, t, s: overlay.add_checkpoint(checkpoint(n, thread=t), s),
            "blob": lambda n, t, s: overlay.add_blob(blob(n, thread=t), s),
            "writes": lambda n, t, s: overlay.add_writes(writes(n, thread=t), s, 1),
            "stone": lambda n, t, s: overlay.add_tombstone(stone(n, "e9", thread=t), s, 1),
        }
        if step in adders:
            adders[step](name, thread, size)
            sizes.setdefault(name, size)
        elif step == "ack":
            chosen = [n + str(number) for n in "sbwt"]
            overlay.acknowledge(chosen, NOW)
            acknowledged += [n for n in chosen if n in sizes and n not in acknowledged]
        elif step == "remove":
            chosen = [n + str(number) for n in "sb"]
            overlay.remove(chosen)
            for gone in chosen:
                sizes.pop(gone, None)
            acknowledged = [n for n in acknowledged if n in sizes]
        else:
            size = number + 1
            for place, asked in enumerate(overlay.unconfirmed(size)):
                found = [*asked.checkpoints, *asked.blobs, *asked.writes, *asked.tombstones]
                wanted = acknowledged[place * size : (place + 1) * size]
                assert sorted(found) == sorted(wanted) != []
            assert len(overlay.unconfirmed(size)) == -(-len(acknowledged) // size)
        assert len(overlay) == len(sizes)
        assert overlay.size_bytes == sum(sizes.values())
        view = overlay.view()
        rows, blobs, calls = names(view)
        assert {*rows, *blobs, *calls} == {n for n in sizes if n[0] != "t"}
    overlay.remove(list(sizes))
    assert (len(overlay), overlay.size_bytes, names(overlay.view())) == (0, 0, ([], [], []))


def test_what_is_acknowledged_and_not_shown_is_known_by_its_thread() -> None:
    overlay = Overlay()
    overlay.add_checkpoint(checkpoint("s1", thread="b"), 10)
    assert not overlay.has_acknowledged
    overlay.acknowledge(["s1", "?"], NOW)
    assert overlay.has_acknowledged
    assert (overlay.thread_of("s1"), overlay.thread_of("?")) == ("b", "")
    overlay.remove(["s1"])
    assert not overlay.has_acknowledged
    assert overlay.thread_of("s1") == ""
