"""What outlives an event loop, above all failures nobody waited for."""

from __future__ import annotations

import sys

import pytest

from langgraph.checkpoint.kusto import _memory
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto.errors import LoopLostError, WriteFailedError


def test_it_starts_empty() -> None:
    stats = Stats()
    memory = Memory(stats)

    assert memory.stats is stats
    assert (len(memory.overlay), memory.epochs.latest("t")) == (0, None)
    assert memory.clock.issue(5) == 5
    assert memory.take_failures() is None


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
