"""Tombstones: pages of ids, whole or absent, and what they kill."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _tombstones
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME
from langgraph.checkpoint.kusto._tombstones import (
    EPOCHS,
    Tombstone,
    killed_epochs,
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
        assert set(body) == columns - {"through"}
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


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (2_000, 1), (2_001, 2), (10_000, 5)])
def test_pages(count: int, parts: int) -> None:
    sent = stone(*(f"e{number:032x}" for number in range(count)))
    rows = from_kusto(sent.to_rows())

    assert [row["part"] for row in rows] == list(range(parts))
    assert tombstones_from_rows([*reversed(rows), *rows]) == [sent]
    assert killed_epochs(tombstones_from_rows(rows)) == set(sent.ids)
    if parts > 1:
        assert tombstones_from_rows(rows[1:]) == []
        assert tombstones_from_rows(rows[:-1] * 2) == []


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
        patch.setattr(_tombstones, "_IDS_PER_ROW", 2)
        sent = [stone(*ids, name=f"t{number}") for number, ids in enumerate(groups)]
        lines = [item.to_rows() for item in sent]
    rows = [row for group in lines for row in from_kusto(group)]
    rows = chance.sample(rows * 2, 2 * len(rows))

    found = tombstones_from_rows(rows)
    assert sorted(found, key=lambda item: item.tombstone_id) == sent
    assert killed_epochs(found) == {item for ids in groups for item in ids}

    missing = ("t0", lost % len(lines[0]))
    rest = [row for row in rows if (row["tombstone_id"], row["part"]) != missing]
    found = tombstones_from_rows(rest)
    assert sorted(found, key=lambda item: item.tombstone_id) == sent[1:]


def test_only_epochs_are_killed_by_epoch() -> None:
    stones = [stone("e1"), stone("run 1", name="t2", scope="runs")]

    assert killed_epochs(stones) == {"e1"}
    assert killed_epochs([]) == set()


def test_the_empty_epoch_is_never_killed() -> None:
    """Writes that arrived before their checkpoint have it; all of them would vanish."""
    assert killed_epochs([stone("e1", "")]) == {"e1"}


def test_rows_of_a_newer_version() -> None:
    (row,) = from_kusto(stone("e1").to_rows())
    with pytest.raises(UnknownCodecError, match=r"a tombstone of thread 'thread'.*upgrade"):
        tombstones_from_rows([{**row, "codec": 9}])


def test_what_a_tombstone_does_not_say_is_empty() -> None:
    (row,) = Tombstone("t", "d1", EPOCHS, ("e1",), 1).to_rows()
    assert orjson.loads(row)["reason"] == ""
    assert orjson.loads(row)["checkpoint_ns"] == ""
