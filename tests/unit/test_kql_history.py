"""What the texts mean that delta channels are rebuilt from: run over rows."""

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
from langgraph.checkpoint.kusto._row_cells import value_mark

NO_REFS = '{"values":{}}'
THREAD = {"p_thread": "t", "p_ns": ""}


@pytest.fixture
def db() -> Database:
    return Database()


# ------------------------------------------------------------------------------------- the chain


def ask_chain(
    db: Database, target: str, *channels: str, text: str = "", **changes: Any
) -> list[list[Cells]]:
    marks = {f"p_mark{number}": value_mark(name) for number, name in enumerate(channels)}
    marks |= {f"p_name{number}": name for number, name in enumerate(channels)}
    named = {"p_channels": ",".join(map(encoded, channels))}
    place = {**THREAD, "p_target": target, "p_below": "", "p_whole": "bool(false)"}
    text = text or _kql.history_chain(len(channels))
    return db.ask(text, **{**place, **named, **marks, **NOTHING_DEAD, **changes})


def chain(db: Database, target: str, *channels: str, **changes: Any) -> dict[str, str]:
    """Ids with what they may hold, in the order they come."""
    rows = ask_chain(db, target, *channels, **changes)[0]
    return {row["checkpoint_id"]: row["holds"].strip(",") for row in rows}


def holding(*channels: str) -> str:
    return "{" + ",".join(value_mark(name) + "1]" for name in channels) + "}"


def add_line(db: Database, line: dict[str, str], **cells: Any) -> None:
    """Checkpoints that hold channels of one letter each, small ones in the row."""
    for number, (checkpoint_id, names) in enumerate(line.items()):
        small = holding(*(name for name in names if name.islower()))
        large = holding(*(name for name in names if name.isupper()))
        own = {"inline_data": small, "blob_refs": f'{{"values":{large}}}'}
        db.checkpoint(f"s{number}", checkpoint_id, "e1", **own, **cells)


LINE = {"9": "a", "8": "", "7": "a", "6": "B", "5": "ac", "4": "", "3": "Bc", "2": "a", "10": "a"}


@pytest.mark.parametrize(
    ("target", "channels", "expected"),
    [
        ("9", "a", "987"),  # what the target itself holds does not count
        ("8", "a", "87"),
        ("8", "B", "876"),
        ("8", "aB", "876"),
        ("8", "ac", "8765"),
        ("8", "caB", "8765"),
        ("6", "B", "6543"),
        ("6", "aBc", "6543"),
        ("2", "a", ["2", "10"]),
        ("4", "aBc", ["4", "3", "2"]),
        ("3", "aB", ["3", "2", "10"]),  # no value of B before it: all
        ("8", "z", [*"8765432", "10"]),
        ("8", "az", [*"8765432", "10"]),
        ("1", "a", []),
    ],
)
def test_a_chain_begins_at_the_nearest_row_that_holds_each_channel(
    target: str, channels: str, expected: list[str], db: Database
) -> None:
    add_line(db, dict(reversed(LINE.items())))
    add_line(db, {"71": "aBc"}, checkpoint_ns="child")
    add_line(db, {"72": "aBc"}, thread_id="other")

    assert list(chain(db, target, *channels)) == list(expected)


def test_a_chain_of_the_whole_namespace(db: Database) -> None:
    """Forks: a parent may have a greater id than its child, or stand below what holds."""
    add_line(db, LINE)
    whole = {"p_whole": "bool(true)"}

    assert list(chain(db, "5", "a", **whole)) == [*"98765432", "10"]
    assert list(chain(db, "5", "a", **whole, p_below="7")) == [*"65432", "10"]


def test_a_chain_goes_on_below_what_was_cut(db: Database) -> None:
    add_line(db, LINE)

    assert list(chain(db, "8", "z", p_below="4")) == ["3", "2", "10"]
    assert list(chain(db, "8", "a", p_below="4")) == ["3", "2"]
    assert chain(db, "8", "a", p_below="10") == {}


def test_a_chain_is_cut_at_so_many_rows_the_oldest_first(db: Database) -> None:
    add_line(db, LINE)
    text = _kql.history_chain(1)
    assert f"| top {_kql.HISTORY_ROWS} by" in text
    short = text.replace(f"| top {_kql.HISTORY_ROWS} by", "| top 3 by")
    db.write("w", "7", "e1", channel="z")
    db.write("w", "4", "e1", channel="z")

    assert list(chain(db, "8", "z", text=short)) == ["8", "7", "6"]
    assert list(chain(db, "8", "z", text=short, p_below="6")) == ["5", "4", "3"]
    assert column(ask_chain(db, "8", "z", text=short)[1], "checkpoint_id") == ["7"]


@pytest.mark.parametrize("count", range(1, _kql.HISTORY_CHANNELS + 1))
def test_channels_are_told_by_their_number(count: int, db: Database) -> None:
    names = [f"channel {number}" for number in range(count)]
    for number, name in enumerate(names):
        db.checkpoint("s", f"{number + 10}", "e1", inline_data=holding(name), blob_refs=NO_REFS)
    db.checkpoint("s", "09", "e1", inline_data="{}", blob_refs=NO_REFS)

    assert chain(db, "99", *names) == {f"{n + 10}": f"{n}" for n in reversed(range(count))}


@pytest.mark.parametrize(
    "name", ["a", "a b", 'a"b', "a\\b", "漢", "a.b|c", "\x01", "", "refs", "values", "inline"]
)
def test_the_mark_of_a_name_is_found_as_it_stands(name: str, db: Database) -> None:
    """In the row or among the references, whatever other channels are called."""
    others = '{"values":' + holding("refs", "inline", "values") + "}"
    db.checkpoint("s", "1", "e1", inline_data=holding("x", name), blob_refs=NO_REFS)
    db.checkpoint("s", "2", "e1", inline_data=holding(name + "x", "x" + name), blob_refs=NO_REFS)
    db.checkpoint("s", "3", "e1", inline_data=holding("A"), blob_refs=others)
    own = '{"values":' + holding("refs", name) + "}"
    db.checkpoint("s", "4", "e1", inline_data=holding("A"), blob_refs=own)
    is_other = name in ("refs", "inline", "values")

    assert chain(db, "5", name)["4"] == "0"
    assert chain(db, "4", name)["3"] == ("0" if is_other else "")
    assert chain(db, "3", name) == {"3": "0" if is_other else "", "2": "", "1": "0"}


@pytest.mark.parametrize(
    "cells",
    [
        {"inline_data": "", "blob_refs": '{"inline":["b1",1,1,""],"values":{}}'},
        {"inline_data": "{}", "blob_refs": '{"refs":["b1",1,1,""]}'},
        # It stands elsewhere in the row: in another channel's value, or its name.
        {
            "inline_data": '{"x":["t","r",1,"h","\\"a\\":["]}'.replace('\\"', '"'),
            "blob_refs": NO_REFS,
        },
        {"inline_data": "{}", "blob_refs": '{"checkpoint":[],"values":{},"a":[]}'},
    ],
)
def test_a_row_may_hold_what_stands_elsewhere(cells: dict[str, str], db: Database) -> None:
    """Too much is found, never too little; the caller looks closer."""
    db.checkpoint("s", "1", "e1", inline_data="{}", blob_refs=NO_REFS)
    db.checkpoint("s", "2", "e1", **cells)
    db.checkpoint("s", "3", "e1", inline_data="{}", blob_refs=NO_REFS)

    assert chain(db, "3", "a") == {"3": "", "2": "0"}


def test_a_chain_shows_the_copy_that_was_written_last(db: Database) -> None:
    def copy(name: str, epoch: str, at: int, parent: str, held: str, **cells: Any) -> None:
        own = {"inline_data": "{}", "blob_refs": '{"values":' + holding(held) + "}"}
        db.checkpoint(name, "1", epoch, written_at=at, parent_checkpoint_id=parent, **own, **cells)

    copy("s1", "e1", 5, "p1", "a")
    copy("s4", "e2", 7, "p4", "b")
    copy("s3", "e1", 7, "p3", "a")
    copy("s6", "e0", 9, "p6", "a")
    rows = ask_chain(db, "1", "b", p_dead=dead("epochs", "e0"))[0]

    assert rows == [
        {
            "checkpoint_id": "1",
            "parent_checkpoint_id": "p4",
            "submission_id": "s4",
            "written_at": 7,
            "holds": ",0,",
            "refs": '{"values":' + holding("b") + "}",
            "spilled": False,
            "begins": ",",
            "ingested": 7,
        }
    ]
    assert ask_chain(db, "1", "a", p_dead=dead("epochs", "e0"))[0][0]["refs"] == ""


def test_a_row_is_as_old_as_its_last_landing_and_the_copy_that_counts(db: Database) -> None:
    db.checkpoint("s1", "9", "e1", written_at=5, ingested=90)
    for landed in (50, 70, 60):
        db.checkpoint("s2", "9", "e1", written_at=7, ingested=landed)
    db.checkpoint("s3", "8", "e1", written_at=3, ingested=None)
    found = {row["checkpoint_id"]: row["ingested"] for row in ask_chain(db, "9", "a")[0]}
    assert found == {"9": 70, "8": 3}, "a table without times of ingestion: as old as it says"


def test_writes_are_as_old_as_the_row_that_landed_longest_ago(db: Database) -> None:
    """Of all channels, and of each row its last landing; those of other places do not count."""
    add_line(db, {"9": "", "8": "", "7": "a"})
    for checkpoint_id, submission_id, row, landed, more in (
        ("8", "w1", 0, 50, {}),
        ("8", "w1", 0, 80, {"channel": "x"}),
        ("8", "w1", 1, 60, {"channel": "x"}),
        ("8", "w2", 0, 70, {}),
        ("7", "w3", 0, None, {"written_at": 33}),
        ("8", "w4", 0, 1, {"checkpoint_ns": "child"}),
        ("8", "w5", 0, 1, {"thread_id": "other"}),
    ):
        cells = {"submission_row": row, "ingested": landed, **more}
        db.write(submission_id, checkpoint_id, "e1", **cells)
    found = ask_chain(db, "9", "a")[2]
    assert {row["checkpoint_id"]: row["ingested"] for row in found} == {"8": 60, "7": 33}


@pytest.mark.parametrize(
    ("versions", "begins"),
    [
        ({"a": 1, 'b"é': "0001.5"}, ""),
        ({"a": 1}, "1"),
        ({"c": 1}, "01"),
        ({"c": 1, "_left_out": ["d"]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_channel_begins_where_the_copy_of_the_versions_lacks_it(
    db: Database, versions: Any, begins: str
) -> None:
    """A copy that is empty, or names what it left out, tells nothing."""
    db.checkpoint("s1", "9", "e1", channel_versions=versions)
    [row] = ask_chain(db, "9", "a", 'b"é')[0]
    assert row["begins"].replace(",", "") == begins


def test_a_row_whose_values_stand_elsewhere_says_so(db: Database) -> None:
    whole = '{"values":{}}'
    db.checkpoint("s1", "9", "e1", inline_data="{}", blob_refs=whole)
    db.checkpoint("s2", "8", "e1", inline_data="", blob_refs=whole)
    db.checkpoint("s3", "7", "e1", inline_data="{}", blob_refs='{"refs":["b1"]}')
    found = ask_chain(db, "9", "a", p_whole="bool(true)")[0]
    assert [row["spilled"] for row in found] == [False, True, True]


def test_what_the_writes_of_a_chain_weigh(db: Database) -> None:
    add_line(db, LINE)
    for checkpoint_id, channel, size in (
        *[("8", "a", 3), ("8", "a", 4), ("8", "b", 5), ("8", "x", 50), ("7", "b", 6)],
        *[("2", "a", 70), ("9", "a", 70)],
    ):
        db.write("w", checkpoint_id, "e1", channel=channel, row_bytes=size)
    db.write("w", "8", "e1", channel="a", row_bytes=70, checkpoint_ns="child")
    db.write("w", "8", "e1", channel="a", row_bytes=70, thread_id="other")
    found = ask_chain(db, "8", "a", "b", p_below="")[1]
    weights = {row["checkpoint_id"]: (row["row_count"], row["all_bytes"]) for row in found}
    assert weights == {"8": (3, 12), "7": (1, 6), "2": (1, 70)}, "no value of b: down to the first"

    found = ask_chain(db, "8", "a")[1]
    assert [(row["checkpoint_id"], row["row_count"], row["all_bytes"]) for row in found] == [
        ("8", 2, 7)
    ]


# ------------------------------------------------------------------------------------ the writes


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
