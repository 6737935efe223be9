"""What outlives an event loop, above all failures nobody waited for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph.checkpoint.kusto import _memory
from langgraph.checkpoint.kusto._lru import LruMap
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._pending_writes import PendingWrite, WriteSubmission
from langgraph.checkpoint.kusto._rows import CheckpointKey, StoredCheckpoint
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._tombstones import Deaths
from langgraph.checkpoint.kusto._values import encode_value
from langgraph.checkpoint.kusto.errors import LoopLostError, WriteFailedError


def test_it_starts_empty() -> None:
    stats = Stats()
    memory = Memory(stats)

    assert memory.stats is stats
    assert (len(memory.overlay), memory.epochs.latest("t")) == (0, None)
    assert memory.clock.issue(5) == 5
    assert memory.take_failures() is None


def caches_in(owner: object) -> Iterator[LruMap[object, object]]:
    for item in vars(owner).values():
        if isinstance(item, LruMap):
            yield item
        elif type(item).__module__.startswith("langgraph.checkpoint.kusto."):
            yield from caches_in(item)


def test_all_that_is_remembered_is_bounded_by_bytes_and_the_sum_is_documented() -> None:
    bounds = [cache.bound_bytes for cache in caches_in(Memory(Stats(), base_bytes=0))]
    assert len(bounds) == 12
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    documented = re.search(r"another (\d+) MiB", text)
    assert documented is not None
    lost = 4 * 1024 * 1024  # large values that were not written, which the core knows
    assert sum(bounds) + lost == int(documented[1]) * 1024 * 1024
    failures = re.search(r"hold up to\s+(\d+) MiB of\s+text", text)
    assert failures is not None
    assert int(failures[1]) * 1024 * 1024 == _memory._FAILURE_BYTES


def test_what_was_deleted_is_remembered_when_it_leaves_the_overlay() -> None:
    memory = Memory(Stats())
    keys = [CheckpointKey("t", "", str(number)) for number in range(3)]
    for number, key in enumerate(keys):
        value = encode_value("t", b"value")
        row = StoredCheckpoint(key, "", f"e{number}", "", f"s{number}", 5, value, value, {}, {})
        memory.overlay.add_checkpoint(row, 1)
    one = PendingWrite("task", "", 0, "c", encode_value("t", b"value"))
    memory.overlay.add_writes(WriteSubmission(keys[0], "e0", "", "w", 5, (one,)), 1, 1)
    memory.overlay.acknowledge(["s0", "s1", "w"], 5)
    memory.bury("t", Deaths(epochs=frozenset({"e0", "e2"})))

    assert not memory.overlay.holds(keys[0])
    assert memory.is_buried(keys[0])
    assert keys[1] not in memory.buried
    # It is not acknowledged yet, and stays until it is.
    assert keys[2] not in memory.buried
    assert memory.is_buried(keys[2])
    assert not memory.is_buried(CheckpointKey("t", "", "3"))
    assert len(memory.overlay) == 2


def test_the_bytes_of_bases_count() -> None:
    memory = Memory(Stats())
    sizes = []
    for size in (100, 1_100):
        memory.keep({"name": bytes(size)}, {})
        sizes.append(memory.base_bytes.size_bytes)
    assert sizes == [250 + sys.getsizeof("name") + size for size in (100, 1_100)]


def test_the_type_of_a_frame_counts() -> None:
    sizes = []
    for value_type in ("t", "t" * 1_001):
        memory = Memory(Stats())
        memory.keep({}, {"name": encode_value(value_type, b"value")})
        sizes.append(memory.frames.size_bytes)
    assert sizes[1] - sizes[0] == 1_000


def test_a_failure_is_told_once() -> None:
    memory = Memory(Stats())
    memory.add_failure("put of checkpoint 7: throttled")
    error = memory.take_failures()

    assert isinstance(error, WriteFailedError)
    assert error.failures == ("put of checkpoint 7: throttled",)
    assert "put of checkpoint 7: throttled" in str(error)
    assert "run the thread again" in str(error)
    assert memory.take_failures() is None


def test_many_failures_are_counted_and_all_are_kept() -> None:
    memory = Memory(Stats())
    for number in range(250):
        memory.add_failure(f"put {number}")
    error = memory.take_failures()

    assert isinstance(error, WriteFailedError)
    assert str(error).startswith("250 accepted writes were not written: put 0; put 1; put 2; ...;")
    assert error.failures == tuple(f"put {number}" for number in range(250))
    memory.add_failure("later")
    later = memory.take_failures()
    assert str(later).startswith("1 accepted writes were not written: later;")


@pytest.mark.parametrize("loop_lost", [False, True])
def test_texts_are_bounded_by_bytes_and_the_others_are_counted(
    loop_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"put {number}" for number in range(5)]
    monkeypatch.setattr(_memory, "_FAILURE_BYTES", 2 * sys.getsizeof(texts[0]))
    memory = Memory(Stats())
    for _ in range(2):  # what was told makes room
        for text in texts:
            memory.add_failure(text, loop_lost=loop_lost)
        error = memory.take_failures()
        assert isinstance(error, LoopLostError if loop_lost else WriteFailedError)
        assert error.failures == ("put 0", "put 1", "and 3 more, which the log names")
        assert str(error).count("put 0; put 1; ...; ") == 1
        assert " 5 " in f" {error}"
    assert memory.take_failures() is None


def test_one_text_over_the_bound_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_FAILURE_BYTES", 10)
    memory = Memory(Stats())
    memory.add_failure("put 0")
    error = memory.take_failures()
    assert isinstance(error, WriteFailedError)
    assert error.failures == ("put 0",)


def test_the_message_stays_short_whatever_the_ids() -> None:
    memory = Memory(Stats())
    long = ["a" * 500, "b" * 501, "c" * 65_536]
    for text in long:
        memory.add_failure(text)
    error = memory.take_failures()
    assert isinstance(error, WriteFailedError)
    assert f": {'a' * 500}; {'b' * 500}...; {'c' * 500}...; Kusto" in str(error)
    assert error.failures == tuple(long)


def test_three_failures_are_all_shown() -> None:
    memory = Memory(Stats())
    for name in "abc":
        memory.add_failure(name)

    assert "a; b; c; Kusto" in str(memory.take_failures())


def test_of_four_failures_three_are_shown() -> None:
    memory = Memory(Stats())
    for name in "abcd":
        memory.add_failure(name)

    assert "4 accepted writes were not written: a; b; c; ...; Kusto" in str(memory.take_failures())


def test_a_lost_loop_is_told_as_such() -> None:
    memory = Memory(Stats())
    memory.add_failure("put 1")
    memory.add_failure("put 2", loop_lost=True)
    error = memory.take_failures()

    assert isinstance(error, LoopLostError)
    assert "2 writes not acknowledged: put 1; put 2; await saver.flush()" in str(error)
    assert error.failures == ("put 1", "put 2")
    memory.add_failure("put 3")
    assert isinstance(memory.take_failures(), WriteFailedError)


def test_a_lost_loop_is_not_forgotten_over_a_later_failure() -> None:
    memory = Memory(Stats())
    memory.add_failure("put 1", loop_lost=True)
    memory.add_failure("put 2")

    assert isinstance(memory.take_failures(), LoopLostError)
