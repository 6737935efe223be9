"""What a process remembers: bounded, and forgetting only costs a query."""

from __future__ import annotations

import sys
from collections import OrderedDict
from random import Random
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._caches import ByteLru, Epochs, LruMap, Manifests, Runs
from langgraph.checkpoint.kusto._frames import Base
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._values import BlobRef

KEY = CheckpointKey("thread", "", "1")
OTHER = CheckpointKey("thread", "child", "2")
REF = BlobRef("b1", 1, 5, 1_000)


# ------------------------------------------------------------------------------------------ LruMap


def test_the_least_recently_used_goes_first() -> None:
    items = LruMap[str, int](2)
    items.put("a", 1)
    items.put("b", 2)
    assert items.get("a") == 1
    items.put("c", 3)

    assert (items.get("a"), items.get("b"), items.get("c")) == (1, None, 3)
    assert "a" in items
    assert "b" not in items
    assert len(items) == 2


def test_setting_again_counts_as_use() -> None:
    items = LruMap[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        items.put(key, value)

    assert (items.get("a"), items.get("b")) == (3, None)


def test_forgetting() -> None:
    items = LruMap[str, int](2)
    items.put("a", 1)
    items.pop("a")
    items.pop("a")

    assert len(items) == 0
    assert items.get("a") is None


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 6)), max_size=40),
)
def test_against_a_naive_model(bound: int, steps: list[tuple[str, int]]) -> None:
    items = LruMap[int, int](bound)
    model: OrderedDict[int, int] = OrderedDict()
    for number, (step, key) in enumerate(steps):
        if step == "put":
            items.put(key, number)
            model.pop(key, None)
            model[key] = number
            while len(model) > bound:
                del model[next(iter(model))]
        elif step == "get":
            assert items.get(key) == model.get(key)
            if key in model:
                model[key] = model.pop(key)
        else:
            items.pop(key)
            model.pop(key, None)
        assert len(items) == len(model) <= bound


def test_pushed_out_by_another_thread_between_two_steps() -> None:
    """`get` finds a value, and before it is counted as used it is gone."""
    items = LruMap[str, int](2)
    items.put("a", 1)

    class Racing(OrderedDict[str, int]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            self.pop(key, None)
            return found

    items._items = Racing(items._items)
    assert items.get("a") == 1
    assert items.get("a") is None


@pytest.mark.parametrize("items", [LruMap[str, bytes](2), ByteLru[str, bytes](1_000, len)])
def test_set_by_another_thread_between_two_steps(
    items: LruMap[str, bytes] | ByteLru[str, bytes],
) -> None:
    """`get` finds nothing, and before it says so there is something: that stays."""

    class Racing(OrderedDict[str, bytes]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            self.setdefault(key, b"new")
            return found

    items._items = Racing(items._items)
    assert items.get("a") is None
    assert items.get("a") == b"new"


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


def test_an_id_beyond_all_that_are_known() -> None:
    epochs = Epochs()
    assert epochs.is_ahead(KEY)
    epochs.remember(KEY._replace(checkpoint_id="5"), "e1")
    epochs.remember(KEY._replace(checkpoint_id="3"), "e2")

    assert epochs.is_ahead(KEY._replace(checkpoint_id="6"))
    assert not epochs.is_ahead(KEY._replace(checkpoint_id="5"))
    assert not epochs.is_ahead(KEY._replace(checkpoint_id="40"))  # as text
    assert epochs.is_ahead(KEY._replace(checkpoint_id="4", checkpoint_ns="another"))
    assert epochs.is_ahead(KEY._replace(checkpoint_id="4", thread_id="another"))


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


# ------------------------------------------------------------------------------------------ ByteLru


def sized(bound: int) -> ByteLru[str, bytes]:
    return ByteLru(bound, len)


def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    entry = 300
    kept = sized(3 * (100 + entry))
    for name in "abc":
        kept.put(name, bytes(100))
    assert kept.get("a") == bytes(100)  # used: b is the oldest now
    kept.put("d", bytes(100))

    assert [name for name in "abcd" if kept.get(name) is not None] == ["a", "c", "d"]
    assert len(kept) == 3
    assert kept.size == 3 * (100 + entry)
    kept.put("e", bytes(200 + entry))
    assert [name for name in "acde" if kept.get(name) is not None] == ["d", "e"]


def test_what_is_set_again_counts_once() -> None:
    kept = sized(1_000)
    for size in (100, 50, 600):
        kept.put("a", bytes(size))
        assert kept.size == size + 300
    assert kept.get("a") == bytes(600)


def test_what_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    kept = sized(1_000)
    kept.put("a", bytes(100))
    kept.put("b", bytes(701))
    assert (kept.get("a"), kept.get("b")) == (bytes(100), None)
    kept.put("a", bytes(701))
    assert (kept.get("a"), kept.size, len(kept)) == (None, 0, 0), "the old value is gone"
    kept.put("b", bytes(700))
    assert kept.get("b") == bytes(700)
    assert sized(0).get("x") is None


def test_a_value_pushed_out_while_it_is_looked_at() -> None:
    class Racing(OrderedDict[str, bytes]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            kept.pop(key)
            return found

    kept = sized(1_000)
    kept.put("a", b"1")
    kept._items = Racing(kept._items)
    assert kept.get("a") == b"1"
    assert (len(kept), kept.size) == (0, 0), "nobody counts it any more"


def test_a_size_that_threads_miscounted_is_counted_anew() -> None:
    kept = sized(10_000)
    kept.put("a", bytes(100))
    kept.size = 10**6  # no entry is as large: all go, and nothing fails
    kept.put("b", bytes(100))
    assert len(kept) == 0
    for number in range(254):
        kept.put("c", bytes(number))
    assert kept.size == 253 + 300


def test_threads_at_once() -> None:
    """The sync methods of a saver remember from the threads of their callers."""
    manifests, failures = Manifests(bound=20_000), list[BaseException]()

    def work(seed: int) -> None:
        rng = Random(seed)
        try:
            for _ in range(1_500):
                key = CheckpointKey("thread", "", str(rng.randrange(60)))
                draw = rng.random()
                if draw < 0.1:
                    manifests.forget(key)
                elif draw < 0.5:
                    manifests.remember(key, {"c": REF}, {"c": 1})
                else:
                    manifests.unchanged(key, "c", 1)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []
    for _ in range(256):
        manifests.remember(KEY, {"c": REF}, {"c": 1})
    assert manifests.unchanged(KEY, "c", 1) == REF
    assert manifests._items.size <= 20_000
