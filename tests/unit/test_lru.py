"""A mapping that forgets what was used longest ago, for threads at once."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.racing import race

from langgraph.checkpoint.kusto._lru import LruMap

BYTES = 10**9
ENTRY = 250 + sys.getsizeof("a")
"""What an entry takes beside its value, under a key of one letter."""
OPERATIONS = st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 6))


# ----------------------------------------------------------------------------------------- entries


def test_the_least_recently_used_goes_first() -> None:
    items = LruMap[str, int](BYTES, bound=2)
    items.put("a", 1)
    items.put("b", 2)
    assert items.get("a") == 1
    items.put("c", 3)

    assert (items.get("a"), items.get("b"), items.get("c")) == (1, None, 3)
    assert "a" in items
    assert "b" not in items
    assert len(items) == 2
    assert items.keys() == ["a", "c"]


def test_setting_again_counts_as_use() -> None:
    items = LruMap[str, int](BYTES, bound=2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        items.put(key, value)

    assert (items.get("a"), items.get("b")) == (3, None)


def test_forgetting() -> None:
    items = LruMap[str, int](BYTES, bound=2)
    items.put("a", 1)
    items.pop("a")
    items.pop("a")

    assert len(items) == 0
    assert items.get("a") is None


def test_without_bounds_all_are_kept() -> None:
    items = LruMap[int, int](BYTES)
    for number in range(1_000):
        items.put(number, number)
    assert items.keys() == list(range(1_000))


@given(st.integers(0, 4), st.lists(OPERATIONS, max_size=40))
def test_against_a_naive_model(bound: int, steps: list[tuple[str, int]]) -> None:
    items = LruMap[int, int](BYTES, bound=bound)
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
        assert items.keys() == list(model)


# ------------------------------------------------------------------------------------------- bytes


def sized(bound: int) -> LruMap[str, bytes]:
    return LruMap(bound, size_of=len)


def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    kept = sized(3 * (100 + ENTRY))
    for name in "abc":
        kept.put(name, bytes(100))
    assert kept.get("a") == bytes(100)  # used: b is the oldest now
    kept.put("d", bytes(100))

    assert [name for name in "abcd" if kept.get(name) is not None] == ["a", "c", "d"]
    assert len(kept) == 3
    assert kept.size_bytes == 3 * (100 + ENTRY)
    kept.put("e", bytes(200 + ENTRY))
    assert [name for name in "acde" if kept.get(name) is not None] == ["d", "e"]


def test_what_is_set_again_counts_once() -> None:
    kept = sized(1_000)
    for size in (100, 50, 600):
        kept.put("a", bytes(size))
        assert kept.size_bytes == size + ENTRY
    assert kept.get("a") == bytes(600)


def test_what_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    kept = sized(1_000)
    kept.put("a", bytes(100))
    kept.put("b", bytes(701))
    assert (kept.get("a"), kept.get("b")) == (bytes(100), None)
    kept.put("a", bytes(701))
    assert (kept.get("a"), kept.size_bytes, len(kept)) == (None, 0, 0), "the old value is gone"
    kept.put("b", bytes(700))
    assert kept.get("b") == bytes(700)
    assert sized(0).get("x") is None


@given(st.integers(0, 4), st.integers(0, 2_000), st.lists(OPERATIONS, max_size=40))
def test_the_size_is_that_of_what_is_kept(
    bound: int, bound_bytes: int, steps: list[tuple[str, int]]
) -> None:
    items = LruMap[str, bytes](bound_bytes, bound=bound, size_of=len)
    for number, (step, key) in enumerate(steps):
        if step == "put":
            items.put(str(key), bytes(50 * number))
        elif step == "get":
            items.get(str(key))
        else:
            items.pop(str(key))
        values = list(map(items.get, items.keys()))
        assert items.size_bytes == sum(ENTRY + len(value or b"") for value in values) <= bound_bytes
        assert len(items) <= bound


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("k" * 60_000, sys.getsizeof("k" * 60_000)),
        ("\N{GRINNING FACE}" * 10_000, sys.getsizeof("\N{GRINNING FACE}" * 10_000)),
        (("a" * 9_000, "", "b"), sum(map(sys.getsizeof, ("a" * 9_000, "", "b")))),
    ],
)
def test_the_text_of_keys_counts(key: str | tuple[str, ...], size: int) -> None:
    items = LruMap[object, bytes](10**6, size_of=len)
    items.put(key, bytes(100))
    assert items.size_bytes == 250 + size + 100
    items.pop(key)
    assert items.size_bytes == 0


def test_texts_are_counted_where_nothing_else_is_said() -> None:
    items = LruMap[str, str](10**6)
    items.put("a", "v" * 5_000)
    assert items.size_bytes == ENTRY + sys.getsizeof("v" * 5_000)


# ----------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize(
    "use",
    [
        lambda items, key: items.get(key),
        lambda items, key: items.put(key, 1),
        lambda items, key: items.pop(key),
        lambda items, key: key in items,
    ],
    ids=["get", "put", "pop", "contains"],
)
def test_a_thread_waits_while_another_is_at_it(
    use: Callable[[LruMap[str, int], str], object],
) -> None:
    items, waited, threads = LruMap[str, int](BYTES, bound=2), list[bool](), list[Thread]()

    class Slow(str):
        """Hashed in the middle of an operation."""

        __slots__ = ()

        def __hash__(self) -> int:
            if not threads:
                threads.append(Thread(target=items.put, args=("other", 1)))
                threads[0].start()
                threads[0].join(0.05)
                waited.append(threads[0].is_alive())
            return str.__hash__(self)

    use(items, Slow("key"))
    threads[0].join(10)
    assert waited == [True]
    assert "other" in items


def test_keys_are_listed_while_nobody_changes_them() -> None:
    items, seen = LruMap[int, int](BYTES, bound=10), list[list[int]]()
    for number in range(3):
        items.put(number, number)
    with items._lock:
        threads = [
            Thread(target=lambda: seen.append(items.keys())),
            Thread(target=items.put, args=(9, 9)),
        ]
        for thread in threads:
            thread.start()
            thread.join(0.05)
        assert seen == []
    for thread in threads:
        thread.join(10)
    assert seen in ([[0, 1, 2]], [[0, 1, 2, 9]])


def test_nothing_of_a_caller_runs_under_the_lock() -> None:
    """It would wait for itself when it looks into the same map."""
    used: list[str] = []

    class Watched:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            items.get("x")
            used.append(self.name)

    def size_of(value: Watched) -> int:
        items.get("x")
        return len(value.name)

    items = LruMap[str, Watched](10_000, bound=2, size_of=size_of)
    items.put("a", Watched("set again"))
    items.put("a", Watched("oldest"))
    items.put("b", Watched("popped"))
    items.put("c", Watched("c" * 10_000))
    items.put("c", Watched("kept"))
    items.pop("b")
    assert used == ["set again", "c" * 10_000, "oldest", "popped"]


def test_threads_at_once() -> None:
    """What is pushed out by others and set again is there, and the size is right."""
    items = LruMap[str, bytes](20_000, bound=40, size_of=len)

    def step(chance: Random) -> None:
        key, draw = chr(32 + chance.randrange(60)), chance.random()
        if draw < 0.1:
            items.pop(key)
        elif draw < 0.5:
            items.put(key, bytes(chance.randrange(300)))
        elif draw < 0.6:
            items.keys()
        else:
            items.get(key)

    race(step, 3_000)
    assert len(items) <= 40
    values = list(map(items.get, items.keys()))
    assert items.size_bytes == sum(ENTRY + len(value or b"") for value in values) <= 20_000
