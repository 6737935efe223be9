"""What the text means that reads what delta channels are rebuilt from: run over rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.kql_database import (
    DEATHS,
    NOTHING_DEAD,
    Cells,
    Database,
    Death,
    column,
    dead,
    encoded,
)

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._clock import format_ticks
from langgraph.checkpoint.kusto._pending_writes import chosen_from_rows, winners_with_origin

THREAD = {"p_thread": "t", "p_ns": ""}


@pytest.fixture
def db() -> Database:
    return Database()


def ask_history(db: Database, *channels: str, **changes: Any) -> list[list[Cells]]:
    place = {**THREAD, "p_low": "", "p_high": "~", "p_fresh": "", "p_heads": "", "p_blobs": ""}
    named = {"p_channels": ",".join(map(encoded, channels))}
    return db.answer(_kql.READ_HISTORY, **{**place, **named, **NOTHING_DEAD, **changes})


def read(db: Database, *channels: str, **changes: Any) -> list[tuple[str, int]]:
    """Submissions with the number of the row."""
    rows = ask_history(db, *channels, **changes)[2]
    return sorted((row["submission_id"], row["submission_row"]) for row in rows)


def call(db: Database, name: str, *writes: tuple[str, int, str], at: int, **cells: Any) -> None:
    """One `put_writes` call, whole: (task, idx, channel) each."""
    for row, (task, idx, channel) in enumerate(writes):
        own = {"task_id": task, "idx": idx, "channel": channel, "submission_row": row}
        own |= {"submission_rows": len(writes), "written_at": at, **cells}
        db.write(name, own.pop("checkpoint_id", "1"), own.pop("epoch", "e1"), **own)


def test_writes_of_some_channels_in_a_range(db: Database) -> None:
    for number in range(1, 6):
        call(db, f"w{number}", ("t", 0, "a"), ("t", 1, "x"), at=number, checkpoint_id=f"{number}")
    call(db, "w3c", ("t", 0, "a"), at=9, checkpoint_id="3", checkpoint_ns="child")
    call(db, "w3o", ("t", 0, "a"), at=9, checkpoint_id="3", thread_id="other")

    assert read(db, "a", p_low="2", p_high="4") == [("w2", 0), ("w3", 0), ("w4", 0)]
    assert read(db, "a", "x", p_low="3", p_high="3") == [("w3", 0), ("w3", 1)]
    assert read(db, "b") == []


def test_of_ordinary_channels_the_first_wins_of_special_ones_the_last(db: Database) -> None:
    for name, at in (("w3", 7), ("w1", 7), ("w2", 6), ("w5", 9), ("w6", 9)):
        call(db, name, ("t", 0, "a"), ("t", -1, "a"), at=at)

    assert read(db, "a") == [("w2", 0), ("w6", 1)]


def test_equal_times_are_decided_by_the_submission(db: Database) -> None:
    for name in ("w2", "w1", "w3"):
        call(db, name, ("t", 0, "a"), ("t", -1, "a"), at=5)

    assert read(db, "a") == [("w1", 0), ("w3", 1)]


def test_within_a_call_rows_count_as_numbers(db: Database) -> None:
    call(db, "w1", *([("t", 0, "a")] * 12), *([("u", -1, "a")] * 12), at=5)

    assert read(db, "a") == [("w1", 0), ("w1", 23)]


def test_tasks_indexes_and_checkpoints_do_not_compete(db: Database) -> None:
    call(db, "w1", ("t", 0, "a"), ("u", 0, "a"), ("t", 1, "a"), at=5)
    call(db, "w2", ("t", 0, "a"), at=6, checkpoint_id="2")

    assert read(db, "a") == [("w1", 0), ("w1", 1), ("w1", 2), ("w2", 0)]


def test_a_winner_of_another_channel_wins_all_the_same(db: Database) -> None:
    call(db, "w1", ("t", 0, "x"), at=5)
    call(db, "w2", ("t", 0, "a"), at=6)

    assert read(db, "a") == []
    assert read(db, "x") == [("w1", 0)]


def test_a_call_that_lacks_a_row_does_not_compete(db: Database) -> None:
    for _ in range(2):
        db.write("w1", "1", "e1", task_id="t", channel="a", submission_rows=2, written_at=5)
    call(db, "w2", ("t", 0, "a"), at=6)
    assert read(db, "a") == [("w2", 0)]

    db.write("w1", "1", "e1", task_id="u", submission_row=1, submission_rows=2, written_at=5)
    assert read(db, "a") == [("w1", 0), ("w1", 0)], "as often as it landed"


def test_dead_calls_do_not_compete(db: Database) -> None:
    call(db, "w1", ("t", 0, "a"), at=5, epoch="e0")
    call(db, "w2", ("t", 0, "a"), at=6, run_id="r0")
    call(db, "w3", ("t", 0, "a"), at=7)
    call(db, "w9", ("t", 0, "a"), at=3, thread_id="other")
    told = {"p_dead": f"{dead('epochs', 'e0')};{dead('runs', encoded('r0'))}"}

    assert read(db, "a", **told) == [("w3", 0)]


def test_of_checkpoints_with_writes_here_the_winners_of_every_channel(db: Database) -> None:
    """A write that Kusto does not show yet may lose against one of another channel."""
    for checkpoint_id in ("1", "2", "a,b"):
        call(
            db,
            f"w{checkpoint_id}",
            ("t", 0, "a"),
            ("t", 1, "x"),
            at=5,
            checkpoint_id=checkpoint_id,
        )
    fresh = ",".join(map(encoded, ("2", "a,b", "9")))

    assert read(db, "a", p_fresh=fresh) == [
        *[("w1", 0), ("w2", 0), ("w2", 1), ("wa,b", 0), ("wa,b", 1)]
    ]


def test_all_chunks_come_from_the_winner(db: Database) -> None:
    for name, at in (("w1", 5), ("w2", 6)):
        for row, (idx, chunk, chunks) in enumerate(((0, 0, 1), (1, 0, 3), (1, 1, 3), (1, 2, 3))):
            own = {"idx": idx, "chunk": chunk, "chunks": chunks, "channel": "ab"[idx]}
            own |= {"submission_row": row, "submission_rows": 4, "written_at": at}
            db.write(name, "1", "e1", task_id="t", **own)

    assert read(db, "b") == [("w1", 1), ("w1", 2), ("w1", 3)]
    assert read(db, "a") == [("w1", 0)]


def test_rows_and_blobs_that_hold_values_come_along(db: Database) -> None:
    for name in ("s1", "s2", "s3"):
        db.checkpoint(name, "1", "e1")
        db.blob(name.replace("s", "b"))
    db.checkpoint("s1", "1", "e1", thread_id="other")
    db.blob("b1", thread_id="other")
    db.blob("b2", 1)
    heads, blobs, writes, *_ = ask_history(db, "a", p_heads="s1,s3,s9", p_blobs="b2,b9")

    assert column(heads, "submission_id") == ["s1", "s3"]
    assert {row["thread_id"] for row in heads} == {"t"}
    assert [(row["blob_id"], row["chunk"]) for row in blobs] == [("b2", 0), ("b2", 1)]
    assert writes == []
    assert len(ask_history(db, "a", p_blobs="b1")[1]) == 1


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_the_checkpoints_that_are_alive_by_now(stored: bool, death: Death, db: Database) -> None:
    """The chain was read a moment before."""
    for name in "12345":
        db.checkpoint("s", name, death.epoch, run_id=death.run_id)
    for _ in range(2):
        db.checkpoint("s", "2", "e1", run_id="r1")
    db.checkpoint("s", "3", "e1", checkpoint_ns="child", run_id="r1")
    db.checkpoint("s", "3", "e1", thread_id="other", run_id="r1")
    db.checkpoint("s", "3x", death.epoch, checkpoint_ns="child", run_id=death.run_id)
    db.checkpoint("s", "4", death.epoch, run_id=death.run_id)  # it landed twice
    bounds = {"p_low": "2", "p_high": "4"}
    assert column(ask_history(db, "a", **bounds)[3], "checkpoint_id") == ["2", "3", "4"]
    items = death.items(("", "2"), ("", "3"), ("", "4"))
    if stored:
        db.kill(*items, scope=death.scope)
    told = {} if stored else {"p_dead": dead(death.scope, *items)}
    alive, haunted = ask_history(db, "a", **bounds, **told)[3:5]

    assert column(alive, "checkpoint_id") == ["2"]
    expected = ["2", "3", "4"] if death.scope == "epochs" else []
    assert column(haunted, "checkpoint_id") == expected
    assert all(list(row) == ["checkpoint_id"] for row in [*alive, *haunted])


one_call = st.tuples(
    st.integers(0, 2),  # written at
    st.sampled_from("123"),  # checkpoint
    st.lists(
        st.tuples(st.sampled_from("tu"), st.integers(-2, 1), st.sampled_from("ax")),
        min_size=1,
        max_size=4,
    ),
)


@given(st.lists(one_call, max_size=6), st.sets(st.sampled_from("123")))
def test_the_query_chooses_as_the_library_does(
    calls: list[tuple[int, str, list[tuple[str, int, str]]]], fresh: set[str]
) -> None:
    db = Database()
    for number, (at, checkpoint_id, writes) in enumerate(calls):
        cells = {"codec": 1, "value_type": "t", "encoding": "raw", "value_bytes": 0}
        call(db, f"w{number}", *writes, at=at, checkpoint_id=checkpoint_id, **cells)
    everything = db.ask("CheckpointWrites")[0]
    shown = [{**row, "written_at": format_ticks(row["written_at"])} for row in everything]
    chosen = ask_history(db, "a", p_fresh=",".join(map(encoded, sorted(fresh))))[2]

    def winners(rows: list[Cells], checkpoint_id: str) -> list[tuple[str, str, int, str]]:
        submissions = chosen_from_rows(row for row in rows if row["checkpoint_id"] == checkpoint_id)
        return [
            (submission.submission_id, write.task_id, write.idx, write.channel)
            for submission, write in winners_with_origin(submissions)
            if write.channel == "a" or checkpoint_id in fresh
        ]

    for checkpoint_id in "123":
        assert winners(chosen, checkpoint_id) == winners(shown, checkpoint_id)
    assert all(row["channel"] == "a" or row["checkpoint_id"] in fresh for row in chosen)
