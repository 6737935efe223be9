"""What a process remembers: bounded, and forgetting only costs a query."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
from shared.racing import race

from langgraph.checkpoint.kusto._caches import Epochs, Manifest, Manifests, Runs
from langgraph.checkpoint.kusto._frames import Base
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._values import BlobRef

KEY = CheckpointKey("thread", "", "1")
OTHER = CheckpointKey("thread", "child", "2")
REF = BlobRef("b1", 1, 5, 1_000)
LONG = "x" * 60_000


# ------------------------------------------------------------------------------------------ Epochs


def test_epochs_are_known_by_checkpoint_and_by_thread() -> None:
    epochs = Epochs()
    assert epochs.of(KEY) is None
    assert epochs.latest("thread") is None
    epochs.remember(KEY, "e1")
    epochs.remember(OTHER, "e2")

    assert (epochs.of(KEY), epochs.of(OTHER)) == ("e1", "e2")
    assert epochs.latest("thread") == "e2"
    assert epochs.latest("another") is None


def test_a_dead_epoch_is_not_the_latest_but_still_inherited() -> None:
    epochs = Epochs()
    epochs.remember(KEY, "e1")
    epochs.kill(["e1", "e5"])

    assert epochs.is_killed("e1")
    assert epochs.latest("thread") is None
    assert epochs.of(KEY) == "e1"  # its late children die with it
    epochs.remember(OTHER, "e2")
    assert epochs.latest("thread") == "e2"


def test_the_epochs_a_process_used_last() -> None:
    epochs = Epochs()
    assert epochs.used("thread") == ()
    for number in (1, 2, 1, 3, 4, 5):
        epochs.remember(KEY, f"e{number}")
    epochs.kill(["e4"])

    assert epochs.used("thread") == ("e5", "e4", "e3", "e1")
    assert epochs.used("another") == ()


def test_the_only_epoch_of_a_thread() -> None:
    epochs = Epochs()
    assert epochs.only("thread") is None
    epochs.remember(KEY, "e1")
    epochs.remember(KEY, "e1")
    assert epochs.only("thread") == "e1"
    epochs.remember(OTHER, "e2")
    assert epochs.only("thread") is None, "two runs may be at work in two lives"
    epochs.kill(["e1"])
    assert epochs.only("thread") == "e2"
    epochs.remember(KEY, "e1")
    assert epochs.only("thread") is None, "it was used last, and is dead"
    epochs.remember(OTHER, "e2")
    for number in range(3, 9):  # so many lives are not remembered
        epochs.remember(OTHER, f"e{number}")
    epochs.kill(["e7", "e6"])
    assert epochs.only("thread") is None
    epochs.kill(["e5"])
    assert epochs.only("thread") == "e8"


def test_an_epoch_that_is_used_again_takes_no_second_place() -> None:
    epochs = Epochs()
    for epoch in ("e1", "e2", "e3", "e4", "e3"):
        epochs.remember(KEY, epoch)
    epochs.kill(["e2", "e4"])
    assert epochs.latest("thread") == "e3"
    assert epochs.only("thread") is None, "e1 is known still"
    epochs.kill(["e1"])
    assert epochs.only("thread") == "e3", "it is no other than itself"


def test_a_tombstone_that_was_not_written_kills_nothing() -> None:
    epochs = Epochs()
    epochs.remember(KEY, "e1")
    epochs.kill(["e1"])
    epochs.revive(["e1", "never killed"])

    assert not epochs.is_killed("e1")
    assert epochs.latest("thread") == "e1"


def test_epochs_are_bounded() -> None:
    epochs = Epochs(bound=2)
    for number in range(4):
        epochs.remember(CheckpointKey(f"t{number}", "", "1"), f"e{number}")
        epochs.kill([f"dead{number}"])

    assert epochs.of(CheckpointKey("t1", "", "1")) is None
    assert epochs.of(CheckpointKey("t2", "", "1")) == "e2"
    assert epochs.latest("t1") is None
    assert not epochs.is_killed("dead1")
    assert epochs.is_killed("dead3")


def test_an_epoch_that_is_used_again_counts_as_used() -> None:
    epochs = Epochs(bound=2)
    for thread_id in ("a", "b", "a", "c"):
        epochs.remember(CheckpointKey(thread_id, "", "1"), "e")
    assert [epochs.latest(thread_id) for thread_id in "abc"] == ["e", None, "e"]


def test_epochs_of_long_ids_are_bounded_by_bytes() -> None:
    epochs = Epochs(bound_bytes=1_000_000)
    keys = [CheckpointKey(f"{n}{LONG}", f"{n}{LONG}", f"{n}{LONG}") for n in range(20)]
    for key in keys:
        epochs.remember(key, "e")
        epochs.kill([key.thread_id])

    assert [number for number in range(20) if epochs.of(keys[number])] == [15, 16, 17, 18, 19]
    known = [number for number in range(20) if epochs.latest(keys[number].thread_id)]
    assert known == list(range(4, 20))
    assert [n for n in range(20) if epochs.is_killed(keys[n].thread_id)] == list(range(4, 20))


def test_the_epochs_of_a_thread_count() -> None:
    epochs = Epochs(bound_bytes=100_000)
    for epoch in ("1" * 45_000, "2" * 45_000):
        epochs.remember(KEY, epoch)
        epochs.remember(CheckpointKey("another", "", "1"), "e")
    assert epochs.latest("thread") == "2" * 45_000
    epochs.remember(KEY, "3" * 45_000)
    assert epochs.latest("thread") is None, "three of them are too much"


# -------------------------------------------------------------------------------------------- Runs


def test_runs_are_dead_in_a_thread() -> None:
    runs = Runs()
    assert ("t", "r1") not in runs
    runs.add([("t", "r1"), ("u", "r2")])

    assert ("t", "r1") in runs
    assert ("u", "r2") in runs
    assert ("t", "r2") not in runs
    assert ("u", "r1") not in runs


def test_a_tombstone_of_runs_that_was_not_written_kills_nothing() -> None:
    runs = Runs()
    runs.add([("t", "r1"), ("t", "r2")])
    runs.discard([("t", "r1"), ("t", "never dead")])

    assert ("t", "r1") not in runs
    assert ("t", "r2") in runs


def test_dead_runs_are_bounded() -> None:
    runs = Runs(bound=2)
    runs.add([("t", "r1"), ("t", "r2")])
    runs.add([("t", "r1"), ("t", "r3")])

    assert [("t", name) in runs for name in ("r1", "r2", "r3")] == [True, False, True]
    assert list(runs) == [("t", "r1"), ("t", "r3")]


def test_runs_of_long_ids_are_bounded_by_bytes() -> None:
    runs = Runs(bound_bytes=1_000_000)
    runs.add([(f"{number}{LONG}", f"{number}{LONG}") for number in range(20)])
    assert [thread_id[:2] for thread_id, _ in runs] == [str(n) for n in range(12, 20)]


# --------------------------------------------------------------------------------------- Manifests


def test_an_unchanged_value_is_found() -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": "7", "other": "8"})

    assert manifests.unchanged(KEY, "c", "7") == REF


@pytest.mark.parametrize(
    ("parent", "channel", "version"),
    [
        (OTHER, "c", "7"),  # another checkpoint
        (KEY, "other", "8"),  # a small value: it rides in each row
        (KEY, "c", "8"),  # it changed
        (KEY, "c", 7),  # a version of another type
        (KEY, "c", None),  # no version at all
    ],
)
def test_what_may_have_changed_is_written_again(
    parent: CheckpointKey, channel: str, version: Any
) -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": "7", "other": "8"})

    assert manifests.unchanged(parent, channel, version) is None


@pytest.mark.parametrize(("known", "version"), [(1, 1.0), (1, True), (None, None), ("1", 1)])
def test_versions_are_the_same_only_with_the_same_type(known: Any, version: Any) -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": known})

    assert manifests.unchanged(KEY, "c", version) is None


def test_a_channel_without_a_version_is_written_again() -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {})

    assert manifests.unchanged(KEY, "c", None) is None
    assert manifests.unchanged(KEY, "c", "1") is None


def test_a_put_again_replaces_what_was_known() -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": 1})
    newer = BlobRef("b2", 1, 5, 2_000)
    manifests.remember(KEY, {"c": newer}, {"c": 1})
    assert manifests.unchanged(KEY, "c", 1) == newer

    manifests.remember(KEY, {}, {"c": 1})
    assert manifests.unchanged(KEY, "c", 1) is None


def test_a_failed_write_is_forgotten() -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": 1})
    manifests.forget(KEY)
    manifests.forget(OTHER)

    assert manifests.unchanged(KEY, "c", 1) is None


def test_what_was_remembered_does_not_change_with_the_callers_maps() -> None:
    manifests = Manifests()
    blobs, versions = {"c": REF}, {"c": 1}
    manifests.remember(KEY, blobs, versions)
    blobs.clear()
    versions["c"] = 2

    assert manifests.unchanged(KEY, "c", 1) == REF


def test_manifests_are_bounded() -> None:
    manifests = Manifests(bound=1_500)
    manifests.remember(KEY, {"c": REF}, {"c": 1})
    manifests.remember(OTHER, {"c": REF}, {"c": 1})

    assert manifests.unchanged(KEY, "c", 1) is None
    assert manifests.unchanged(OTHER, "c", 1) == REF


def test_a_manifest_is_that_of_one_life() -> None:
    """A copy of a thread has the same ids in another epoch."""
    manifests = Manifests()
    manifests.remember(KEY, {"c": REF}, {"c": 1}, epoch="e1")
    assert manifests.of(KEY, "e1") == Manifest({"c": REF}, {"c": 1}, {}, "e1")
    assert manifests.of(KEY, "e2") is None
    assert manifests.of(KEY, None) is None
    assert manifests.unchanged(KEY, "c", 1, "e1") == REF
    assert manifests.unchanged(KEY, "c", 1, "e2") is None
    assert not manifests.is_same(KEY, "c", 1, "e2")
    manifests.remember(KEY, {"c": REF}, {"c": 1})
    assert manifests.of(KEY, "") == Manifest({"c": REF}, {"c": 1}, {}, "")


@pytest.mark.parametrize("where", ["channel", "version", "identity", "frame", "value_type"])
def test_texts_in_a_manifest_count(where: str) -> None:
    texts = dict.fromkeys(("channel", "version", "identity", "frame", "value_type"), "x")
    sizes = []
    for text in ("x", "x" * 1_001):
        named = {**texts, where: text}
        channel = named["channel"]
        base = Base(named["identity"], named["value_type"], REF, frame=named["frame"])
        sizes.append(Manifest({}, {channel: named["version"]}, {channel: base}, "").size_bytes)
    assert sizes[0] == 2 * 400 + 5 * sys.getsizeof("x")
    assert sizes[1] - sizes[0] == 1_000


def test_references_in_a_manifest_count_with_what_they_need() -> None:
    keyframe = BlobRef("k", 1, 5, 300)
    frame = BlobRef("f", 1, 5, 500, keyframe, 10)
    whole = Base("b", "t", None)
    manifest = Manifest({"a": REF, "b": frame}, {"a": 1, "b": 1, "c": 1}, {"c": whole}, "")
    texts = ["a", "b", "c", 1, 1, 1, "b", "t", ""]
    assert manifest.size_bytes == 6 * 400 + sum(map(sys.getsizeof, texts))


def test_a_copy_is_as_old_as_kusto_says_once_a_read_has_told() -> None:
    manifests = Manifests()
    assert manifests.stored_at(REF) == REF.written_at
    manifests.note_ingested({REF.blob_id: 77, "another": 5})
    assert manifests.stored_at(REF) == 77
    manifests.note_ingested({REF.blob_id: 99})
    assert manifests.stored_at(REF) == 99


def test_times_of_ingestion_are_bounded() -> None:
    manifests = Manifests(times=16)
    manifests.note_ingested({REF.blob_id: 77})
    manifests.note_ingested({f"b{number}": number for number in range(100, 116)})
    assert manifests.stored_at(REF) == REF.written_at


def test_a_base_is_remembered_with_its_checkpoint() -> None:
    manifests = Manifests()
    base = Base("b1", "t", REF, 7)
    manifests.remember(KEY, {}, {"c": 1, "d": 2}, {"c": base})

    assert manifests.base(KEY, "c") == base
    assert manifests.base(KEY, "d") is None
    assert manifests.base(OTHER, "c") is None
    assert manifests.unchanged(KEY, "c", 1) is None, "the value itself is not a blob"
    assert manifests.is_same(KEY, "c", 1)
    assert not manifests.is_same(KEY, "c", 2)
    assert not manifests.is_same(KEY, "d", 2), "nothing is known of small values"
    manifests.remember(KEY, {}, {"c": 1})
    assert manifests.base(KEY, "c") is None


def test_a_frame_is_as_old_as_the_oldest_part_of_its_chain() -> None:
    manifests = Manifests()
    keyframe = BlobRef("k", 1, 5, 300)
    middle = BlobRef("m", 1, 5, 400, keyframe, 5)
    frame = BlobRef("f", 1, 5, 500, middle, 10)
    assert manifests.stored_at(frame) == 300
    manifests.note_ingested({"k": 900})
    assert manifests.stored_at(frame) == 400
    manifests.note_ingested({"m": 800, "f": 700})
    assert manifests.stored_at(frame) == 700


def test_threads_at_once() -> None:
    """The sync methods of a saver remember from the threads of their callers."""
    manifests = Manifests(bound=20_000)

    def step(chance: Random) -> None:
        key = CheckpointKey("thread", "", str(chance.randrange(60)))
        draw = chance.random()
        if draw < 0.1:
            manifests.forget(key)
        elif draw < 0.5:
            manifests.remember(key, {"c": REF}, {"c": 1})
        else:
            manifests.unchanged(key, "c", 1)

    race(step, 1_500)
    manifests.remember(KEY, {"c": REF}, {"c": 1})
    assert manifests.unchanged(KEY, "c", 1) == REF
    assert manifests._items.size_bytes <= 20_000
