"""The walk over ancestors: parents, never the order of ids, down to a value of each channel."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._delta_channel import Link, Walk, delta_counters, walk


def links(**rows: str) -> dict[str, Link]:
    """`c3="c2 a"`: the parent ("-" for none) and the letters of the channels it holds."""
    found = {}
    for name, row in rows.items():
        parent, _, held = row.partition(" ")
        found[name] = Link("" if parent == "-" else parent, frozenset(held))
    return found


LINE = links(c1="- ab", c2="c1", c3="c2 a", c4="c3", c5="c4")


def test_a_walk_ends_for_each_channel_at_its_nearest_value() -> None:
    found = walk("c5", LINE, ["a", "b"])

    assert found.spans == {"a": ["c5", "c4", "c3"], "b": ["c5", "c4", "c3", "c2", "c1"]}
    assert found.seeds == {"a": "c3", "b": "c1"}
    assert found.missing == ""
    assert found.path == {"c1", "c2", "c3", "c4", "c5"}


def test_nothing_older_is_looked_at_than_is_needed() -> None:
    """Also not whether it is there."""
    found = walk("c4", links(c4="c3", c3="c2 a"), ["a"])

    assert (found.spans, found.seeds, found.missing) == ({"a": ["c4", "c3"]}, {"a": "c3"}, "")
    assert found.path == {"c4", "c3"}


def test_a_value_at_the_start() -> None:
    found = walk("c3", LINE, ["a"])
    assert (found.spans, found.seeds) == ({"a": ["c3"]}, {"a": "c3"})


def test_without_a_value_the_whole_way_to_the_root_counts() -> None:
    found = walk("c3", LINE, ["z", "a"])

    assert found.spans == {"z": ["c3", "c2", "c1"], "a": ["c3"]}
    assert found.seeds == {"a": "c3"}
    assert found.missing == ""


def test_a_missing_ancestor_is_named_when_some_channel_needs_it() -> None:
    gap = {name: link for name, link in LINE.items() if name != "c2"}
    found = walk("c5", gap, ["a", "b"])

    assert found.missing == "c2"
    assert found.spans == {"a": ["c5", "c4", "c3"], "b": ["c5", "c4", "c3"]}
    assert found.seeds == {"a": "c3"}
    assert walk("c5", gap, ["a"]).missing == ""
    assert walk("c9", gap, ["a"]) == Walk(spans={"a": []}, missing="c9")


@pytest.mark.parametrize(("start", "channels"), [("", ["a"]), ("c5", []), ("", [])])
def test_nowhere_to_go(start: str, channels: list[str]) -> None:
    found = walk(start, LINE, channels)

    assert found == Walk(spans={channel: [] for channel in channels})
    assert found.path == set()


def test_the_other_branch_of_a_fork_is_not_walked() -> None:
    fork = links(c1="- a", c2="c1", c3="c1 a", c4="c2")

    assert walk("c4", fork, ["a"]).spans == {"a": ["c4", "c2", "c1"]}
    assert walk("c3", fork, ["a"]).spans == {"a": ["c3"]}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (links(c1="c1"), ["c1"]),
        (links(c1="c2", c2="c1"), ["c1", "c2"]),
        (links(c1="c2", c2="c3", c3="c2"), ["c1", "c2", "c3"]),
    ],
)
def test_a_chain_that_comes_back_to_itself_ends(rows: dict[str, Link], expected: list[str]) -> None:
    found = walk("c1", rows, ["a"])

    assert found == Walk(spans={"a": expected})


def test_a_channel_that_is_asked_for_twice_counts_once() -> None:
    assert walk("c3", LINE, ["a", "a"]).spans == {"a": ["c3"]}


def test_a_link_holds_nothing_unless_told() -> None:
    assert Link("c1").holds == frozenset()
    assert (Walk().spans, Walk().seeds, Walk().missing) == ({}, {}, "")


@given(
    st.dictionaries(
        st.integers(0, 7),
        st.tuples(st.integers(-1, 8), st.sets(st.sampled_from("abc"))),
        max_size=8,
    ),
    st.integers(-1, 8),
    st.sets(st.sampled_from("abcd")),
)
def test_each_channel_is_walked_as_if_it_were_alone(
    rows: dict[int, tuple[int, set[str]]], start: int, channels: set[str]
) -> None:
    def name(number: int) -> str:
        return "" if number < 0 else f"c{number}"

    found_links = {
        name(number): Link(name(parent), frozenset(held)) for number, (parent, held) in rows.items()
    }
    together = walk(name(start), found_links, sorted(channels))
    missing = set()
    for channel in channels:
        span: list[str] = []
        seed = ""
        cursor = name(start)
        while cursor and cursor not in span:
            if cursor not in found_links:
                missing.add(cursor)
                break
            span.append(cursor)
            if channel in found_links[cursor].holds:
                seed = cursor
                break
            cursor = found_links[cursor].parent_id
        assert together.spans[channel] == span
        assert together.seeds.get(channel, "") == seed
    assert together.missing == next(iter(missing), "")
    assert together.spans.keys() == channels


@pytest.mark.parametrize("missing", [True, False])
def test_a_channel_that_was_never_written_needs_nothing_older(missing: bool) -> None:
    """Its way ends where it begins, that checkpoint's writes included, but it has no seed there."""
    line = {**LINE, "c4": Link("c3", frozenset(), frozenset("bz"))}
    if missing:
        del line["c2"], line["c1"]
    found = walk("c5", line, ["z", "a", "b"])

    assert found.spans == {"z": ["c5", "c4"], "a": ["c5", "c4", "c3"], "b": ["c5", "c4"]}
    assert found.seeds == {"a": "c3"}
    assert found.missing == ""


def test_a_value_counts_where_a_channel_begins_all_the_same() -> None:
    found = walk("c2", {"c2": Link("c1", frozenset("a"), frozenset("a"))}, ["a"])
    assert (found.spans, found.seeds, found.missing) == ({"a": ["c2"]}, {"a": "c2"}, "")


# -------------------------------------------------------------------------------- which channels


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"counters_since_delta_snapshot": {"a": 3, "b": [1, 2]}}, {"a", "b"}),
        ({"counters_since_delta_snapshot": {}}, set()),
        ({"counters_since_delta_snapshot": None}, set()),
        ({"counters_since_delta_snapshot": ["a"]}, set()),
        ({"counters_since_delta_snapshot": {"a": 1, 2: 3}}, {"a"}),
        ({"step": 1}, set()),
        ({}, set()),
        (None, set()),
    ],
)
def test_channels_whose_updates_are_counted(metadata: Any, expected: set[str]) -> None:
    assert delta_counters(metadata) == expected
