"""Pending writes: rows of one call, whole or absent, and which writes win."""

from __future__ import annotations

import os
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _values
from langgraph.checkpoint.kusto._batch import MAX_BATCH_BYTES
from langgraph.checkpoint.kusto._clock import format_ticks
from langgraph.checkpoint.kusto._pending_writes import (
    PendingWrite,
    WriteSubmission,
    chosen_from_rows,
    submissions_from_rows,
    winners_with_origin,
    winning_writes,
)
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME
from langgraph.checkpoint.kusto._values import CHUNK_BYTES, encode_value
from langgraph.checkpoint.kusto.errors import CorruptValueError, UnknownCodecError

KEY = CheckpointKey("thread", "ns", "1ef")
NOW = 639_000_000_123_456_789
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def write(task: str = "t", idx: int = 0, data: bytes = b"x", path: str = "p") -> PendingWrite:
    return PendingWrite(task, path, idx, f"channel {idx}", encode_value("msgpack", data))


def submission(
    *writes: PendingWrite, name: str = "s1", at: int = NOW, epoch: str = "e1"
) -> WriteSubmission:
    return WriteSubmission(KEY, epoch, "run", name, at, writes)


def from_kusto(lines: list[bytes]) -> list[dict[str, Any]]:
    """Rows as Kusto shows them; a truncated cell or a property without a column is a failure."""
    columns = {column.name: column for column in TABLE_BY_NAME["CheckpointWrites"].columns}
    rows = []
    for line in lines:
        body = orjson.loads(bytes(line))
        assert set(body) == set(columns)
        assert len(line) <= MAX_BATCH_BYTES
        assert body["row_bytes"] >= len(line)
        for name, value in body.items():
            assert not isinstance(value, str) or len(value.encode()) <= 1_000_000, name
            if columns[name].type == "int":
                assert -(2**31) <= value < 2**31, name
        rows.append(body)
    return rows


# --------------------------------------------------------------------------------- to rows and back


def test_one_row_in_full() -> None:
    (row,) = from_kusto(submission(write("task", -3, b"abc", "~__pregel_pull, a")).to_rows())

    row.pop("row_bytes")
    assert row == {
        "thread_id": "thread",
        "checkpoint_ns": "ns",
        "checkpoint_id": "1ef",
        "epoch": "e1",
        "run_id": "run",
        "submission_id": "s1",
        "submission_row": 0,
        "submission_rows": 1,
        "task_id": "task",
        "task_path": "~__pregel_pull, a",
        "idx": -3,
        "channel": "channel -3",
        "value_type": "msgpack",
        "codec": 1,
        "encoding": "raw",
        "chunk": 0,
        "chunks": 1,
        "value_bytes": 3,
        "value_hash": encode_value("msgpack", b"abc").value_hash,
        "written_at": format_ticks(NOW),
        "data": "YWJj",
    }


def test_large_writes_are_cut_and_numbered_through() -> None:
    sent = submission(
        write("a", 0, os.urandom(2 * CHUNK_BYTES + 1)),
        write("a", 1, b""),
        write("a", 2, os.urandom(CHUNK_BYTES)),
    )
    rows = from_kusto(sent.to_rows())

    assert [(row["idx"], row["chunk"], row["chunks"]) for row in rows] == [
        (0, 0, 3),
        (0, 1, 3),
        (0, 2, 3),
        (1, 0, 1),
        (2, 0, 1),
    ]
    assert [row["submission_row"] for row in rows] == [0, 1, 2, 3, 4]
    assert {row["submission_rows"] for row in rows} == {5}
    assert submissions_from_rows(rows) == [sent]


def test_no_writes_are_no_rows() -> None:
    assert submission().to_rows() == []
    assert submissions_from_rows([]) == []


@pytest.mark.parametrize("character", ['"', "\\", "\x01", "漢", "a"])
def test_the_longest_ids_leave_room_for_the_data(character: str) -> None:
    text = character * (65_536 // len(character.encode()))
    sent = WriteSubmission(
        CheckpointKey(text, text, text),
        "e" * 33,
        text,
        "s1",
        NOW,
        (PendingWrite(text, text, 5, text, encode_value("msgpack", os.urandom(CHUNK_BYTES))),),
    )

    assert submissions_from_rows(from_kusto(sent.to_rows())) == [sent]


writes_strategy = st.lists(
    st.builds(
        PendingWrite,
        ANY_TEXT,
        ANY_TEXT,
        st.integers(-4, 12),
        ANY_TEXT,
        st.binary(max_size=100).map(lambda data: encode_value("msgpack", data)),
    ),
    min_size=1,
    max_size=6,
)


@given(
    calls=st.lists(writes_strategy, min_size=1, max_size=4),
    times=st.lists(st.integers(0, 3_155_378_975_999_999_999), min_size=4, max_size=4),
    seed=st.integers(),
    lost=st.integers(0, 5),
)
def test_calls_come_back_whole_or_not_at_all(
    calls: list[list[PendingWrite]], times: list[int], seed: int, lost: int
) -> None:
    """Doubled rows, any order, calls mixed; the first call lacks one row."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_values, "CHUNK_BYTES", 30)
        sent = [
            submission(*writes, name=f"s{number}", at=times[number])
            for number, writes in enumerate(calls)
        ]
        lines = [call.to_rows() for call in sent]
        rows = [row for group in lines for row in from_kusto(group)]
        rows += chance.sample(rows, len(rows) // 2)
        chance.shuffle(rows)
        found = submissions_from_rows(rows)
        assert sorted(found, key=lambda call: call.submission_id) == sent

        missing = lost % len(lines[0])
        rest = [
            row for row in rows if (row["submission_id"], row["submission_row"]) != ("s0", missing)
        ]
        found = submissions_from_rows(rest)
        assert sorted(found, key=lambda call: call.submission_id) == sent[1:]


def test_rows_of_a_newer_version() -> None:
    (row,) = from_kusto(submission(write()).to_rows())
    with pytest.raises(UnknownCodecError, match=r"a write of checkpoint '1ef'.*upgrade"):
        submissions_from_rows([{**row, "codec": 2}])


def test_a_damaged_cell_names_the_write() -> None:
    (row,) = from_kusto(submission(write("task 7", 4)).to_rows())
    with pytest.raises(CorruptValueError, match="write 4 of task 'task 7' is not base64"):
        submissions_from_rows([{**row, "data": "?"}])


# -------------------------------------------------------------------------------- chosen by a query


def test_chosen_writes_need_not_be_the_whole_call() -> None:
    sent = submission(
        write("a", 0, b"left out"),
        write("a", 1, os.urandom(2 * CHUNK_BYTES + 1)),
        write("a", 2, b"left out"),
        write("b", -1, b"last"),
    )
    rows = [row for row in from_kusto(sent.to_rows()) if row["idx"] in (1, -1)]
    chosen = submission(sent.writes[1], sent.writes[3])

    assert submissions_from_rows(rows) == []
    assert chosen_from_rows(rows) == [chosen]
    assert chosen_from_rows([*reversed(rows), *rows]) == [chosen], "landed twice, in any order"
    assert chosen_from_rows([]) == []


def test_chosen_writes_of_several_calls() -> None:
    calls = [submission(write("a", n, b"x"), name=f"s{n}", at=NOW + n) for n in range(3)]
    rows = [row for call in calls for row in from_kusto(call.to_rows())]

    assert chosen_from_rows(rows) == calls


@pytest.mark.parametrize("lost", range(5))
def test_a_chosen_write_that_lacks_a_chunk(lost: int) -> None:
    """Its rows became visible one by one, or the first was not chosen with the others."""
    sent = submission(
        write("a", 0, os.urandom(CHUNK_BYTES + 1)), write("a", 1, os.urandom(2 * CHUNK_BYTES + 1))
    )
    rows = from_kusto(sent.to_rows())
    del rows[lost]

    with pytest.raises(ValueError, match=r"write [01] of task 'a' lacks a chunk"):
        chosen_from_rows(rows)


def test_chosen_rows_of_a_newer_version() -> None:
    (row,) = from_kusto(submission(write()).to_rows())
    with pytest.raises(UnknownCodecError, match=r"a write of checkpoint '1ef'.*upgrade"):
        chosen_from_rows([{**row, "codec": 2}])


# ------------------------------------------------------------------------------------ who wins


def data_of(writes: list[PendingWrite]) -> list[bytes]:
    return [item.value.payload for item in writes]


def test_the_first_wins_for_ordinary_channels() -> None:
    first = submission(write("t", 0, b"first"), write("t", 1, b"one"), name="s9", at=NOW)
    second = submission(write("t", 0, b"second"), write("t", 2, b"two"), name="s1", at=NOW + 1)

    for calls in ([first, second], [second, first]):
        assert data_of(winning_writes(calls)) == [b"first", b"one", b"two"]


def test_a_winner_tells_the_call_it_comes_from() -> None:
    first = submission(write("t", 0, b"a"), write("t", -1, b"b"), name="s9", at=NOW)
    second = submission(write("t", 0, b"c"), write("t", -1, b"d"), name="s1", at=NOW + 1)
    found = winners_with_origin([second, first])

    assert found == [(second, second.writes[1]), (first, first.writes[0])]
    assert winners_with_origin([]) == []


@pytest.mark.parametrize("idx", [-1, -2, -3, -4])
def test_the_last_wins_for_special_channels(idx: int) -> None:
    first = submission(write("t", idx, b"first"), name="s9", at=NOW)
    second = submission(write("t", idx, b"second"), name="s1", at=NOW + 1)

    for calls in ([first, second], [second, first]):
        assert data_of(winning_writes(calls)) == [b"second"]


def test_equal_times_are_decided_by_the_submission_id() -> None:
    one = submission(write("t", 0, b"one"), write("t", -1, b"one!"), name="s1")
    two = submission(write("t", 0, b"two"), write("t", -1, b"two!"), name="s2")

    for calls in ([one, two], [two, one]):
        assert data_of(winning_writes(calls)) == [b"two!", b"one"]


def test_within_a_call_the_same_rules_hold() -> None:
    """Two interrupts of one task share an index; the last of them is what InMemorySaver keeps."""
    call = submission(
        write("t", 0, b"a"), write("t", 0, b"b"), write("t", -3, b"c"), write("t", -3, b"d")
    )

    assert data_of(winning_writes([call])) == [b"d", b"a"]


def test_tasks_do_not_compete() -> None:
    calls = [submission(write("a", 0, b"a")), submission(write("b", 0, b"b"), name="s2")]

    assert data_of(winning_writes(calls)) == [b"a", b"b"]


def test_order_is_path_then_task_then_number() -> None:
    call = submission(
        write("b", 10, b"5", "p1"),
        write("b", 9, b"4", "p1"),
        write("a", 10, b"3", "p1"),
        write("a", -1, b"2", "p1"),
        write("z", 0, b"1", "p0"),
        write("a", 0, b"6", "p10"),
        write("y", 0, b"0", ""),
    )

    assert data_of(winning_writes([call])) == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-4, 3), st.integers(0, 3), st.integers(0, 3)),
        max_size=20,
    ),
    st.integers(),
)
def test_winners_do_not_depend_on_the_order_of_rows(
    items: list[tuple[str, int, int, int]], seed: int
) -> None:
    calls = [
        submission(
            write(task, idx, f"{number}".encode(), f"path {task}"),
            name=f"s{tie}.{number:03}",
            at=NOW + at,
        )
        for number, (task, idx, at, tie) in enumerate(items)
    ]
    expected: dict[tuple[str, int], PendingWrite] = {}
    for call in sorted(calls, key=lambda item: (item.written_at, item.submission_id)):
        (one,) = call.writes
        if one.idx < 0:
            expected[one.task_id, one.idx] = one
        else:
            expected.setdefault((one.task_id, one.idx), one)
    shuffled = random.Random(seed).sample(calls, len(calls))
    found = winning_writes(shuffled)

    assert {(item.task_id, item.idx): item for item in found} == expected
    assert found == sorted(found, key=lambda item: (item.task_path, item.task_id, item.idx))
