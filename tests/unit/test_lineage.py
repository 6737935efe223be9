"""How old what a checkpoint needs is: carried from parent to child, learned from reads."""

from __future__ import annotations

import sys

import pytest

from langgraph.checkpoint.kusto._clock import TICKS_PER_SECOND, parse_ticks
from langgraph.checkpoint.kusto._lineage import UNKNOWN_AGE, Lineage, Lineages, Step, born_at
from langgraph.checkpoint.kusto._rows import CheckpointKey

KEY = CheckpointKey("t", "", "c1")
OTHER = CheckpointKey("t", "child", "c1")


def step(counted: str = "", held: str = "", versions: str = "") -> Step:
    """Channels of one letter each."""
    return Step(frozenset(counted), frozenset(held), frozenset(versions))


# ----------------------------------------------------------------------------------------- Lineage


def test_what_a_lineage_lacks_and_its_oldest() -> None:
    lineage = Lineage({"a": 5, "b": 3})

    assert lineage.lacks(["a", "c", "b", "d"]) == ["c", "d"]
    assert lineage.oldest(["a"]) == 5
    assert lineage.oldest(["a", "b"]) == 3
    assert lineage.oldest([]) is None


def test_later_knowledge_counts() -> None:
    lineage = Lineage({"a": 5, "b": 3})

    assert lineage.learned({"b": 9, "c": 1}) == Lineage({"a": 5, "b": 9, "c": 1})
    assert lineage == Lineage({"a": 5, "b": 3})


def test_lineages_are_of_one_checkpoint_each() -> None:
    lineages = Lineages()
    assert lineages.of(KEY) is None
    assert lineages.learn(KEY, {"a": 5}) == Lineage({"a": 5})
    assert lineages.learn(KEY, {"b": 3}) == Lineage({"a": 5, "b": 3})
    assert lineages.of(KEY) == Lineage({"a": 5, "b": 3})
    assert lineages.of(OTHER) is None


def test_lineages_of_long_names_are_bounded_by_bytes() -> None:
    lineages = Lineages(bound_bytes=500_000)
    keys = [CheckpointKey("t", "", f"{number}") for number in range(9)]
    for key in keys:
        lineages.learn(key, {"a" * 60_000: 5, "b" * 60_000: 5})
    assert [key for key in keys if lineages.of(key)] == keys[-4:]


def test_the_names_and_times_of_a_lineage_count() -> None:
    assert Lineage({}).size_bytes == 0
    names = ["a", "b" * 1_000]
    found = Lineage(dict.fromkeys(names, 5)).size_bytes
    assert found == sum(map(sys.getsizeof, names)) + 2 * 100


def test_lineages_are_bounded() -> None:
    lineages = Lineages(bound=1)
    lineages.learn(KEY, {"a": 5})
    lineages.learn(OTHER, {"a": 6})

    assert lineages.of(KEY) is None
    assert lineages.of(OTHER) == Lineage({"a": 6})


# -------------------------------------------------------------------------------------------- Step


@pytest.mark.parametrize(
    ("taken", "parent", "channels", "needed"),
    [
        (step("ba", "b", "ab"), None, "a", "a"),
        (step("ab", "", "b"), None, "ab", "b"),  # a was never written
        (step("ab", "", ""), None, "ab", "ab"),  # what was written is not known
        (step("", "a", "abc"), {"a": 1, "b": 2, "c": 3}, "bc", "bc"),  # no counters: the parent's
        (step("a", "", "abc"), {"a": 1, "b": 2}, "a", "a"),  # b is no channel any more
        (step("", "a", "a"), None, "", ""),
    ],
)
def test_which_channels_need_ancestors(
    taken: Step, parent: dict[str, int] | None, channels: str, needed: str
) -> None:
    known = None if parent is None else Lineage(parent)

    assert taken.channels(known) == list(channels)
    assert taken.needed(known) == list(needed)


def test_children_depend_on_the_oldest_part_of_the_way() -> None:
    parent = Lineage({"a": 5, "b": 3, "s": 1, "x": 2})
    taken = step("abn", "sp", "abps")

    assert taken.since(parent, 9) == {
        "a": 5,
        "b": 3,
        "n": 9,  # never written: nothing before this checkpoint counts
        "s": 9,  # a value: the way begins anew
    }


def test_the_first_checkpoint_depends_on_nothing() -> None:
    assert step("a", "p", "ap").since(None, 9) == {"a": 9}
    assert step("", "p", "p").since(None, 9) == {}


def test_a_checkpoint_may_be_older_than_its_put() -> None:
    """Writes of months ago may lie under its id: neither a value nor a new channel changes that."""
    parent = Lineage({"a": 5, "s": 9})

    assert step("an", "s", "as").since(parent, 3) == {"a": 3, "n": 3, "s": 3}


MADE = "1f0c5b5a-2c00-6abc-8123-0123456789ab"
MADE_AT = parse_ticks("2025-11-20T02:07:15.8732476Z")


@pytest.mark.parametrize(
    ("checkpoint_id", "now", "born"),
    [
        (MADE, MADE_AT + 5, MADE_AT),
        (MADE, MADE_AT, MADE_AT),
        (MADE, MADE_AT - 3_600 * TICKS_PER_SECOND, MADE_AT - 3_600 * TICKS_PER_SECOND),
        (MADE, MADE_AT - 3_600 * TICKS_PER_SECOND - 1, UNKNOWN_AGE),
        ("1", MADE_AT, UNKNOWN_AGE),
        ("", MADE_AT, UNKNOWN_AGE),
    ],
)
def test_nothing_is_older_than_the_id_it_was_stored_under(
    checkpoint_id: str, now: int, born: int
) -> None:
    assert born_at(checkpoint_id, now) == born


def test_no_time_is_later_than_the_checkpoint_itself() -> None:
    """The clocks of two machines: what is ingested already is not younger than what is not."""
    assert step("a", "", "a").since(Lineage({"a": 50}), 9) == {"a": 9}
