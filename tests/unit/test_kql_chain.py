"""What the text means that looks for the ancestors delta channels need: run over rows."""

from __future__ import annotations

from typing import Any

import pytest
from shared.kql_database import DEATHS, NOTHING_DEAD, Cells, Database, Death, column, dead, encoded

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._row_cells import value_mark

NO_REFS = '{"values":{}}'


@pytest.fixture
def db() -> Database:
    return Database()


def ask_chain(
    db: Database, target: str, *channels: str, text: str = "", **changes: Any
) -> list[list[Cells]]:
    marks = {f"p_mark{number}": value_mark(name) for number, name in enumerate(channels)}
    marks |= {f"p_name{number}": name for number, name in enumerate(channels)}
    named = {"p_channels": ",".join(map(encoded, channels))}
    place = {
        "p_thread": "t",
        "p_ns": "",
        "p_target": target,
        "p_below": "",
        "p_whole": "bool(false)",
    }
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
        ("8", "w1", 0, 50, {"submission_rows": 2}),
        ("8", "w1", 0, 80, {"submission_rows": 2, "channel": "x"}),
        ("8", "w1", 1, 60, {"submission_rows": 2, "channel": "x"}),
        ("8", "w2", 0, 70, {}),
        ("7", "w3", 0, None, {"written_at": 33}),
        ("8", "w4", 0, 1, {"checkpoint_ns": "child"}),
        ("8", "w5", 0, 1, {"thread_id": "other"}),
    ):
        cells = {"submission_row": row, "ingested": landed, **more}
        db.write(submission_id, checkpoint_id, "e1", **cells)
    found = ask_chain(db, "9", "a")[2]
    assert {row["checkpoint_id"]: row["ingested"] for row in found} == {"8": 60, "7": 33}


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
@pytest.mark.parametrize("known", [True, False])
def test_writes_that_are_dead_or_torn_have_no_age(db: Database, death: Death, known: bool) -> None:
    """What a renewal leaves alone would make one due at every turn."""
    add_line(db, {"9": "", "8": "", "7": "a"})
    db.checkpoint("s", "8", death.epoch, run_id=death.run_id)
    db.write("w1", "8", "e1", run_id="r1", ingested=50)
    db.write("w0", "8", death.epoch, run_id=death.run_id, ingested=1)
    db.write("torn", "8", "e1", run_id="r1", submission_rows=2, ingested=2)
    if death.scope == "epochs":  # it was meant for the copy that is dead
        db.write("meant", "8", "", run_id="r1", ingested=3)
    items = death.items(("", "8"))
    if not known:
        db.kill(*items, scope=death.scope)
    told = {"p_dead": dead(death.scope, *items)} if known else {}
    found = ask_chain(db, "9", "a", **told)[2]
    assert {row["checkpoint_id"]: row["ingested"] for row in found} == {"8": 50}


def test_writes_whose_row_is_not_there_tell_their_age_in_the_range(db: Database) -> None:
    """The row may have expired before them, and be put again."""
    add_line(db, {"9": "", "7": "a", "5": "a"})
    for number in "6789":
        db.write(f"w{number}", number, "e1", ingested=int(number))
    db.write("w4", "4", "e1", ingested=4)

    def ages(target: str, channel: str, **changes: Any) -> dict[str, int]:
        found = ask_chain(db, target, channel, **changes)[2]
        return {row["checkpoint_id"]: row["ingested"] for row in found}

    assert ages("9", "a") == {"9": 9, "8": 8, "7": 7}
    assert ages("8", "a") == {"8": 8, "7": 7}
    assert ages("8", "a", p_below="8") == {"7": 7}
    assert ages("8", "z", p_below="8") == {"7": 7, "6": 6, "4": 4}
    assert ages("7", "a", p_whole="bool(true)") == {str(n): n for n in (4, 6, 7, 8, 9)}
    short = _kql.history_chain(1).replace("| top 100000 by", "| top 2 by")
    short = short.replace("(page | count) < 100000", "(page | count) < 2")
    assert ages("9", "z", text=short) == {"9": 9, "8": 8, "7": 7}, "those below come with the rest"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("b", {"inline_data": holding('a"b', "b\\"), "blob_refs": NO_REFS}),
        ("b", {"inline_data": holding(',"b', '{"b'), "blob_refs": NO_REFS}),
        ("b", {"inline_data": "{}", "blob_refs": '{"values":' + holding('a"b', "bb") + "}"}),
        *(
            (name, {"inline_data": "{}", "blob_refs": f'{{"{name}":["b1",1,1,""],"values":{{}}}}'})
            for name in ("checkpoint", "metadata")
        ),
        ("values", {"inline_data": "{}", "blob_refs": '{"metadata":["b1",1,1,""],"values":{}}'}),
        ("values", {"inline_data": "{}", "blob_refs": '{"values":' + holding("a") + "}"}),
    ],
)
def test_a_row_does_not_hold_what_only_looks_like_it(
    name: str, cells: dict[str, str], db: Database
) -> None:
    """The end of a longer name, or a part of the row that spilled: no value of the channel."""
    db.checkpoint("s", "1", "e1", inline_data=holding(name), blob_refs=NO_REFS)
    db.checkpoint("s", "2", "e1", **cells)
    db.checkpoint("s", "3", "e1", inline_data="{}", blob_refs=NO_REFS)

    assert chain(db, "3", name) == {"3": "", "2": "", "1": "0"}


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
