"""Tombstones: pages of ids, whole or absent, and what they kill."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _tombstones
from langgraph.checkpoint.kusto._batch import MAX_BATCH_BYTES
from langgraph.checkpoint.kusto._clock import format_ticks
from langgraph.checkpoint.kusto._pending_writes import WriteSubmission
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME
from langgraph.checkpoint.kusto._tombstones import (
    CHECKPOINTS,
    EPOCHS,
    RUNS,
    DeadCheckpoint,
    Deaths,
    Tombstone,
    deaths_parameter,
    run_items,
    tombstones_from_rows,
)
from langgraph.checkpoint.kusto.errors import UnknownCodecError

NOW = 639_000_000_123_456_789


def stone(*ids: str, name: str = "t1", scope: str = EPOCHS) -> Tombstone:
    return Tombstone("thread", name, scope, ids, NOW, "delete_thread")


def from_kusto(lines: list[bytes]) -> list[dict[str, Any]]:
    columns = {column.name for column in TABLE_BY_NAME["CheckpointTombstones"].columns}
    rows = []
    for line in lines:
        body = orjson.loads(line)
        # `through` belongs to tombstones of checkpoints; without it the cell is null.
        assert set(body) == columns - (set() if body["scope"] == CHECKPOINTS else {"through"})
        # Kusto splits the ids into a dynamic, which over 1 MiB is null without an error.
        assert len(body["ids"].encode()) < 250_000
        rows.append(body)
    return rows


def test_one_row() -> None:
    sent = stone("e1", "e2")
    (row,) = from_kusto(sent.to_rows())

    assert (row["ids"], row["part"], row["parts"], row["scope"]) == ("e1,e2", 0, 1, "epochs")
    assert row["reason"] == "delete_thread"
    assert tombstones_from_rows([row]) == [sent]


@pytest.mark.parametrize(
    ("count", "parts"), [(1, 1), (5_294, 1), (5_295, 2), (10_000, 2), (30_000, 6)]
)
def test_pages(count: int, parts: int) -> None:
    sent = stone(*(f"e{number:032x}" for number in range(count)))
    rows = from_kusto(sent.to_rows())

    assert [row["part"] for row in rows] == list(range(parts))
    assert tombstones_from_rows([*reversed(rows), *rows]) == [sent]
    assert Deaths.of(tombstones_from_rows(rows)).epochs == set(sent.items)
    if parts > 1:
        assert tombstones_from_rows(rows[1:]) == []
        assert tombstones_from_rows(rows[:-1] * 2) == []


@pytest.mark.parametrize(
    ("items", "pages"),
    [
        ("aaaa bbbb cccc dddd", ["aaaa,bbbb", "cccc,dddd"]),
        ("aaaa bbbbb cccc", ["aaaa", "bbbbb", "cccc"]),
        ("aaaa bbb c", ["aaaa,bbb", "c"]),
        ("aa bb cc dd", ["aa,bb,cc", "dd"]),
    ],
)
def test_a_page_is_filled_up_to_its_bound(
    items: str, pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comma counts for each item."""
    monkeypatch.setattr(_tombstones, "_PAGE_BYTES", 10)
    rows = [orjson.loads(row) for row in stone(*items.split()).to_rows()]

    assert [row["ids"] for row in rows] == pages


def test_nothing_killed_is_no_row() -> None:
    assert stone().to_rows() == []
    assert tombstones_from_rows([]) == []


@given(
    st.lists(
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=7).map(tuple),
        min_size=1,
        max_size=4,
    ),
    st.integers(),
    st.integers(0, 6),
)
def test_whole_or_absent(groups: list[tuple[str, ...]], seed: int, lost: int) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tombstones, "_PAGE_BYTES", 4)
        sent = [stone(*ids, name=f"t{number}") for number, ids in enumerate(groups)]
        lines = [item.to_rows() for item in sent]
    rows = [row for group in lines for row in from_kusto(group)]
    rows = chance.sample(rows * 2, 2 * len(rows))

    found = tombstones_from_rows(rows)
    assert sorted(found, key=lambda item: item.tombstone_id) == sent
    assert Deaths.of(found).epochs == {item for ids in groups for item in ids}

    missing = ("t0", lost % len(lines[0]))
    rest = [row for row in rows if (row["tombstone_id"], row["part"]) != missing]
    found = tombstones_from_rows(rest)
    assert sorted(found, key=lambda item: item.tombstone_id) == sent[1:]


def row_of(
    key: CheckpointKey, epoch: str = "e1", run_id: str = "", at: int = NOW
) -> WriteSubmission:
    return WriteSubmission(key, epoch, run_id, "s", at, ())


KEY = CheckpointKey("thread", "", "1")
texts = st.text(max_size=40)


def test_each_scope_kills_its_own() -> None:
    stones = [stone("e1"), stone(*run_items(["r 1", "r,2"]), name="t2", scope=RUNS)]
    deaths = Deaths.of(stones)

    assert deaths.epochs == {"e1"}
    assert deaths.runs == {("thread", "r 1"), ("thread", "r,2")}
    assert (EPOCHS, RUNS, CHECKPOINTS) == ("epochs", "runs", "checkpoints"), "as queries say"
    assert Deaths.of(stones[:1])
    assert Deaths.of(stones[1:])
    assert Deaths(checkpoints={(KEY, "e1"): 0})
    assert not Deaths.of([])
    assert not Deaths.of([stone("e1", scope="of a later version")])
    assert deaths.kills(row_of(KEY))
    assert deaths.kills(row_of(KEY, "e2", "r,2"))
    assert not deaths.kills(row_of(KEY, "e2", "r"))
    assert not deaths.kills(row_of(CheckpointKey("other", "", "1"), "e2", "r 1"))


def test_a_checkpoint_is_dead_up_to_a_time_in_its_epoch() -> None:
    items = [DeadCheckpoint("", "1", "e1", NOW), DeadCheckpoint("", "1", "e2", NOW + 5)]
    deaths = Deaths.of([stone(*(item.to_item() for item in items), scope=CHECKPOINTS)])

    for epoch, at, dead in [
        ("e1", NOW, True),
        ("e1", NOW + 1, False),
        ("e2", NOW + 5, True),
        ("e2", NOW + 6, False),
        ("e3", 0, False),
        ("", NOW + 5, True),  # a write that came before its checkpoint dies with the last of them
        ("", NOW + 6, False),
    ]:
        assert deaths.kills(row_of(KEY, epoch, at=at)) == dead
    for key in (
        CheckpointKey("thread", "ns", "1"),
        CheckpointKey("thread", "", "2"),
        CheckpointKey("other", "", "1"),
    ):
        assert not deaths.kills(row_of(key, at=0))


def test_a_time_may_be_the_first_of_all() -> None:
    deaths = Deaths.of([stone(DeadCheckpoint("", "1", "e1", 0).to_item(), scope=CHECKPOINTS)])

    assert deaths.checkpoints == {(KEY, "e1"): 0, (KEY, ""): 0}
    assert (deaths | Deaths()).checkpoints == (Deaths() | deaths).checkpoints == deaths.checkpoints
    assert deaths.kills(row_of(KEY, at=0))
    assert not deaths.kills(row_of(KEY, at=1))


def test_deaths_add_up() -> None:
    first = Deaths(frozenset({"e1"}), frozenset({("t", "r")}), {(KEY, "e1"): 5, (KEY, "e2"): 1})
    second = Deaths(frozenset({"e2"}), frozenset(), {(KEY, "e1"): 3, (KEY, "e2"): 2})

    assert first | second == second | first
    assert first | second == Deaths(
        frozenset({"e1", "e2"}), frozenset({("t", "r")}), {(KEY, "e1"): 5, (KEY, "e2"): 2}
    )


@given(st.tuples(texts, texts, st.just("e1"), st.integers(0, 3 * 10**18)))
def test_ids_of_any_text_in_an_item(parts: tuple[str, str, str, int]) -> None:
    dead = DeadCheckpoint(*parts)
    item = dead.to_item()

    assert DeadCheckpoint.from_item(item) == dead
    assert item.isascii()
    assert not set(item) & set(",;|")
    assert item.count("@") == 3


@given(st.lists(texts, max_size=5), texts)
def test_run_ids_of_any_text(run_ids: list[str], thread_id: str) -> None:
    sent = Tombstone(thread_id, "t", RUNS, run_items(run_ids), NOW)
    assert Deaths.of([sent]).runs == {(thread_id, run_id) for run_id in run_ids}
    parameter = deaths_parameter([sent, stone("e1")])
    assert parameter.endswith(";epochs|bdGhyZWFk|e1")
    assert parameter.count(";") == 1
    assert parameter.count("|") == 4


def test_the_row_of_dead_checkpoints_says_the_latest_time() -> None:
    items = [DeadCheckpoint("", str(number), "e1", NOW - number) for number in range(3)]
    (row,) = from_kusto(stone(*(item.to_item() for item in items), scope=CHECKPOINTS).to_rows())
    assert row["through"] == format_ticks(NOW)


@pytest.mark.parametrize("character", ['"', "\\", "\x01", "漢", "a"])
def test_the_longest_rows_fit_a_request(character: str) -> None:
    text = character * (65_536 // len(character.encode()))
    items = [DeadCheckpoint(text, text[:-1] + end, "e" * 33, NOW).to_item() for end in "abc"]

    for scope, ids in ((CHECKPOINTS, tuple(items)), (RUNS, run_items([text] * 3))):
        sent = Tombstone(text, "t1", scope, ids, NOW, "delete_thread")
        rows = sent.to_rows()
        assert max(map(len, rows)) <= MAX_BATCH_BYTES
        assert tombstones_from_rows(from_kusto(rows)) == [sent]


def test_one_item_over_the_bound_of_a_page_is_a_page() -> None:
    large = DeadCheckpoint("n" * 65_536, "i" * 65_536, "e" * 33, NOW).to_item()
    assert _tombstones._PAGE_BYTES < 2 * len(large) < 500_000
    huge = large + "@" + large
    sent = stone(huge, huge, "e1", scope="any")
    rows = [orjson.loads(row) for row in sent.to_rows()]
    assert [row["ids"] for row in rows] == [huge, huge, "e1"]
    assert tombstones_from_rows(rows) == [sent]


def test_the_empty_epoch_is_never_killed() -> None:
    """Writes that arrived before their checkpoint have it; all of them would vanish."""
    assert Deaths.of([stone("e1", "")]).epochs == {"e1"}


def test_rows_of_a_newer_version() -> None:
    (row,) = from_kusto(stone("e1").to_rows())
    with pytest.raises(UnknownCodecError, match=r"a tombstone of thread 'thread'.*upgrade"):
        tombstones_from_rows([{**row, "codec": 9}])


def test_what_a_tombstone_does_not_say_is_empty() -> None:
    (row,) = Tombstone("t", "d1", EPOCHS, ("e1",), 1).to_rows()
    assert orjson.loads(row)["reason"] == ""
    assert orjson.loads(row)["checkpoint_ns"] == ""
