"""What no query shows: rows of deleted epochs, runs and checkpoints, whichever text asks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from shared.kql_database import (
    DEATHS,
    NOTHING_DEAD,
    Cells,
    Database,
    Death,
    checkpoint_item,
    column,
    dead,
    encoded,
    moment,
)

from langgraph.checkpoint.kusto import _kql

Shown = tuple[list[Cells] | None, list[Cells] | None, list[Cells] | None]
"""Checkpoints, writes and tombstones; None for what a text does not tell."""

PLACE = {"p_thread": "t", "p_ns": ""}
ROOM = {"p_budget": 1_000, "p_rows": 100, "p_blobs": "", "p_local": ""}
ALL = ",".join(f"s{number}" for number in range(10))
FLAGS = dict.fromkeys(("thread", "namespace", "by_id", "before", "cursor", "metadata"), False)


def one(text: Any) -> Callable[..., Shown]:
    def read(db: Database, **told: str) -> Shown:
        _, heads, _, writes, stones = db.ask(text, **PLACE, **ROOM, p_id="1", **told)
        return heads, writes, stones

    return read


def many(*, thread: bool) -> Callable[..., Shown]:
    def read(db: Database, **told: str) -> Shown:
        text = _kql.read_many(thread=thread)
        _, heads, _, _, writes, stones = db.ask(text, **PLACE, **ROOM, p_submissions=ALL, **told)
        return heads, writes, stones

    return read


def keys(**flags: bool) -> Callable[..., Shown]:
    def read(db: Database, **told: str) -> Shown:
        page, stones = db.ask(_kql.list_keys(**{**FLAGS, **flags}), **PLACE, **told)
        return page, None, stones

    return read


def sums(db: Database, **told: str) -> Shown:
    [found] = db.ask(_kql.SUM_WRITES, **PLACE, p_id="1", **told)
    return None, found, None


def whole_thread(db: Database, **told: str) -> Shown:
    found, _, stones = db.ask(_kql.list_chain(cursor=False), **PLACE, **told)
    return found, None, stones


def chain(db: Database, **told: str) -> Shown:
    marks = {"p_channels": encoded("c"), "p_mark0": '"c":[', "p_name0": "c"}
    place = {**PLACE, "p_target": "9", "p_below": "", "p_whole": "bool(false)"}
    found, _, _, stones = db.ask(_kql.history_chain(1), **place, **marks, **told)
    return found, None, stones


def history(db: Database, **told: str) -> Shown:
    place = {**PLACE, "p_low": "", "p_high": "9", "p_fresh": "", "p_heads": "", "p_blobs": ""}
    _, _, writes, _, _, stones = db.ask(_kql.READ_HISTORY, **place, p_channels=encoded("c"), **told)
    return None, writes, stones


READERS: dict[str, Callable[..., Shown]] = {
    "READ_BY_ID": one(_kql.READ_BY_ID),
    "READ_LATEST": one(_kql.READ_LATEST),
    "READ_LATEST_UNHIDDEN": one(_kql.READ_LATEST_UNHIDDEN),
    "READ_LATEST_SHARED": one(_kql.READ_LATEST_SHARED),
    "read_many of all": many(thread=False),
    "read_many of a thread": many(thread=True),
    "list_keys": keys(),
    "list_keys of a thread": keys(thread=True),
    "list_keys with metadata": keys(metadata=True),
    "SUM_WRITES": sums,
    "list_chain": whole_thread,
    "history_chain": chain,
    "READ_HISTORY": history,
}
each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
each_death = pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)


@pytest.fixture
def db() -> Database:
    return Database()


def shown(reader: Callable[..., Shown], db: Database, **told: Any) -> tuple[list[str], list[str]]:
    """Submissions a text shows; of what it does not tell, those it would."""
    checkpoints, writes, _ = reader(db, **{**NOTHING_DEAD, **told})
    return (
        ["?"] if checkpoints is None else column(checkpoints, "submission_id"),
        ["?"] if writes is None else column(writes, "submission_id"),
    )


def add_both(db: Database, death: Death, **cells: Any) -> None:
    """A living copy of a checkpoint, with a write, and a doomed one that was written later."""
    db.checkpoint("s1", "1", "e1", run_id="r1", **cells)
    db.write("w1", "1", "e1", run_id="r1", **cells)
    db.checkpoint("s2", "1", death.epoch, run_id=death.run_id, **cells)
    db.write("w2", "1", death.epoch, run_id=death.run_id, **cells)


def lives(found: tuple[list[str], list[str]], *numbers: int) -> bool:
    """Whether a text shows exactly the writes with some numbers, and no other checkpoints."""
    checkpoints, writes = found
    return (writes == ["?"] or writes == [f"w{number}" for number in numbers]) and (
        checkpoints == ["?"] or set(checkpoints) <= {f"s{number}" for number in numbers}
    )


@each_reader
@each_death
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_the_dead_are_not_shown_and_hide_nothing(
    stored: bool, death: Death, reader: Callable[..., Shown], db: Database
) -> None:
    add_both(db, death)
    checkpoints, writes = shown(reader, db)
    assert "s2" in checkpoints or checkpoints == ["?"]
    assert "w2" in writes or writes == ["?"]
    items = death.items(("", "1"))
    if stored:
        db.kill(*items, scope=death.scope)
    told = {} if stored else {"p_dead": dead(death.scope, *items)}

    checkpoints, writes = shown(reader, db, **told)
    assert checkpoints in (["s1"], ["?"])
    assert writes in (["w1"], ["?"])


@each_reader
@each_death
def test_only_whole_tombstones_kill(
    death: Death, reader: Callable[..., Shown], db: Database
) -> None:
    add_both(db, death)
    before = shown(reader, db)
    items = death.items(("", "1"))
    for _ in range(2):  # the same part, landed twice
        db.kill(*items, scope=death.scope, parts=2, tombstone_id="x", part=0)
    db.kill(*items, scope=death.scope, parts=2, tombstone_id="y", part=1)
    assert shown(reader, db) == before

    others = death.items(("", "8")) if death.scope == "checkpoints" else ["q"]
    db.kill(*others, scope=death.scope, parts=2, tombstone_id="x", part=1)
    assert lives(shown(reader, db), 1)


@each_reader
@each_death
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_one_tombstone_kills_many(
    stored: bool, death: Death, reader: Callable[..., Shown], db: Database
) -> None:
    add_both(db, death)
    others = [checkpoint_item("8", "e9", 9), checkpoint_item("7", "e9", 9)]
    if death.scope != "checkpoints":
        others = [encoded("r8"), encoded("r9")]
    items = [others[0], *death.items(("", "1")), others[1]]
    if stored:
        db.kill(*items, scope=death.scope)
    first = dead("epochs", "e9", "e8", thread_id="other")
    told = {} if stored else {"p_dead": f"{first};{dead(death.scope, *items)};{first}"}

    assert lives(shown(reader, db, **told), 1)


@each_reader
@each_death
def test_tombstones_of_another_thread(
    death: Death, reader: Callable[..., Shown], db: Database
) -> None:
    """Epochs are ours and kill wherever they are met; runs and checkpoints are named by users."""
    add_both(db, death)
    before = shown(reader, db)
    db.kill(*death.items(("", "1")), scope=death.scope, thread_id="other")
    known = dead(death.scope, *death.items(("", "1")), thread_id="other")

    if death.scope != "epochs":
        assert shown(reader, db) == shown(reader, db, p_dead=known) == before


@each_reader
@each_death
def test_a_scope_kills_by_its_own_name_only(
    death: Death, reader: Callable[..., Shown], db: Database
) -> None:
    add_both(db, death)
    before = shown(reader, db)
    for scope in ("epochs", "runs", "checkpoints", "later"):
        if scope == "checkpoints" or scope == death.scope:
            continue
        db.kill(*death.items(("", "1")), scope=scope)
        assert shown(reader, db, p_dead=dead(scope, *death.items(("", "1")))) == before


@each_reader
@pytest.mark.parametrize("scope", ["epochs", "runs", "checkpoints"])
def test_a_tombstone_that_names_nothing_kills_nothing(
    scope: str, reader: Callable[..., Shown], db: Database
) -> None:
    """Nor does it kill what has no epoch or no run, an empty text as well."""
    db.checkpoint("s1", "1", "", run_id="")
    db.write("w1", "1", "", run_id="")
    before = shown(reader, db)
    assert lives(before, 1)
    db.kill(scope=scope)

    assert shown(reader, db, p_dead=dead(scope)) == before


@each_reader
def test_names_of_any_text(reader: Callable[..., Shown], db: Database) -> None:
    for number, name in enumerate(("a,b", "a|b;c@d", "漢", "'\"")):
        db.checkpoint(f"s{number}", "1", "e1", run_id=name)
        db.write(f"w{number}", "1", "e1", run_id=name)
    told = {"p_dead": dead("runs", encoded("a,b"), encoded("漢"))}

    checkpoints, writes = shown(reader, db, **told)
    assert writes in (["w1", "w3"], ["?"])
    assert set(checkpoints) <= {"s1", "s3", "?"}
    db.kill(encoded("a|b;c@d"), encoded("'\""), scope="runs")
    checkpoints, writes = shown(reader, db, **told)
    assert (checkpoints in ([], ["?"]), writes in ([], ["?"])) == (True, True)


# ---------------------------------------------------------------------------------- checkpoints


@each_reader
@pytest.mark.parametrize(("through", "living"), [(4, (5, 6)), (5, (6,)), (6, ())])
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_a_checkpoint_is_dead_up_to_a_tick(
    stored: bool,
    through: int,
    living: tuple[int, ...],
    reader: Callable[..., Shown],
    db: Database,
) -> None:
    for at in (5, 6):
        db.checkpoint(f"s{at}", "1", "e1", written_at=at)
        db.write(f"w{at}", "1", "e1", written_at=at)
    item = checkpoint_item("1", "e1", through)
    if stored:
        db.kill(item, scope="checkpoints")
    checkpoints, writes = shown(
        reader, db, **({} if stored else {"p_dead": dead("checkpoints", item)})
    )

    assert writes in ([f"w{at}" for at in living], ["?"])
    if checkpoints != ["?"]:
        assert bool(checkpoints) == bool(living)
        assert set(checkpoints) <= {f"s{at}" for at in living}


@each_reader
def test_the_later_of_two_deletes_counts(reader: Callable[..., Shown], db: Database) -> None:
    db.checkpoint("s1", "1", "e1", written_at=5)
    db.write("w1", "1", "e1", written_at=5)
    told = {"p_dead": dead("checkpoints", checkpoint_item("1", "e1", 4))}
    db.kill(checkpoint_item("1", "e1", 3), scope="checkpoints")
    assert lives(shown(reader, db, **told), 1)

    told = {"p_dead": dead("checkpoints", checkpoint_item("1", "e1", 5))}
    assert shown(reader, db, **told) in (([], []), ([], ["?"]), (["?"], []))


@each_reader
@pytest.mark.parametrize(
    "item",
    [
        checkpoint_item("2", "e1", 1_000),
        checkpoint_item("1", "e2", 1_000),
        checkpoint_item("1", "e1", 1_000, "child"),
        checkpoint_item("11", "e1", 1_000),
        checkpoint_item("", "e1", 1_000),
    ],
)
def test_another_checkpoint_is_dead(item: str, reader: Callable[..., Shown], db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.write("w1", "1", "e1")
    db.kill(item, scope="checkpoints")

    assert shown(reader, db) in ((["s1"], ["w1"]), (["s1"], ["?"]), (["?"], ["w1"]))


@pytest.mark.parametrize("namespace", ["", "child", "a|b@c,d;"])
@pytest.mark.parametrize("checkpoint_id", ["1", "@", "漢,|;"])
@pytest.mark.parametrize("name", ["READ_BY_ID", "SUM_WRITES"])
def test_a_dead_checkpoint_is_found_by_its_very_names(
    name: str, checkpoint_id: str, namespace: str, db: Database
) -> None:
    """Only tombstones that hold its encoded names are expanded."""
    for thread_id, ns, one_id in itertools.product(
        ("t", "o"), (namespace, "other"), (checkpoint_id, "8")
    ):
        cells = {"thread_id": thread_id, "checkpoint_ns": ns}
        db.checkpoint("s", one_id, "e1", **cells)
        db.write("w", one_id, "e1", **cells)
    db.kill(
        checkpoint_item("0", "e1", 999),
        checkpoint_item(checkpoint_id, "e1", 999, namespace),
        scope="checkpoints",
    )
    text = _kql.READ_BY_ID if name == "READ_BY_ID" else _kql.SUM_WRITES

    for thread_id, ns, one_id in itertools.product(
        ("t", "o"), (namespace, "other"), (checkpoint_id, "8")
    ):
        place = {"p_thread": thread_id, "p_ns": ns, "p_id": one_id}
        tables = db.ask(text, **place, **ROOM, **NOTHING_DEAD)
        found = tables[3] if name == "READ_BY_ID" else tables[0]
        is_dead = (thread_id, ns, one_id) == ("t", namespace, checkpoint_id)
        assert len(found) == (0 if is_dead else 1)
        if name == "READ_BY_ID":
            assert len(tables[1]) == len(found)
            assert tables[0][0]["hidden"] == is_dead


# -------------------------------------------------------------------------- writes without epoch

WRITERS = {name: reader for name, reader in READERS.items() if "list_" not in name}
WRITERS.pop("history_chain")
each_writer = pytest.mark.parametrize("reader", WRITERS.values(), ids=WRITERS)


@each_writer
def test_a_write_without_an_epoch_lives_with_its_checkpoint(
    reader: Callable[..., Shown], db: Database
) -> None:
    db.checkpoint("s1", "1", "e1")
    db.write("w1", "1", "", run_id="r1")
    db.kill("e0", "e9")
    assert shown(reader, db)[1] == ["w1"]
    assert shown(reader, db, p_dead=dead("runs", encoded("r1")))[1] == []


@each_writer
@pytest.mark.parametrize(("through", "living"), [(4, ["w1"]), (5, [])])
@pytest.mark.parametrize("epoch", ["e1", "e7"])
def test_a_write_without_an_epoch_dies_with_a_checkpoint_of_any_epoch(
    epoch: str, through: int, living: list[str], reader: Callable[..., Shown], db: Database
) -> None:
    db.checkpoint("s1", "1", "e1", written_at=9)
    db.write("w1", "1", "", written_at=5)
    earlier = checkpoint_item("1", "e3", 2)
    told = {"p_dead": dead("checkpoints", checkpoint_item("1", epoch, through), earlier)}

    assert shown(reader, db, **told)[1] == living


@each_writer
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_a_write_without_an_epoch_is_not_for_a_later_copy(
    stored: bool, reader: Callable[..., Shown], db: Database
) -> None:
    """Its checkpoint died with the thread; the same id was copied there since."""
    db.checkpoint("s0", "1", "e0")
    db.write("w0", "1", "")
    db.checkpoint("s1", "1", "e1")
    db.write("w1", "1", "e1")
    assert shown(reader, db)[1] == ["w0", "w1"]
    if stored:
        db.kill("e0")
    told = {} if stored else {"p_dead": dead("epochs", "e0")}

    assert shown(reader, db, **told)[1] == ["w1"]


@each_writer
@pytest.mark.parametrize(
    "cells",
    [{"thread_id": "other"}, {"checkpoint_ns": "child"}, {"checkpoint_id": "0"}],
    ids=lambda cells: next(iter(cells)),
)
def test_a_write_is_haunted_only_by_its_own_checkpoint(
    cells: dict[str, str], reader: Callable[..., Shown], db: Database
) -> None:
    other: dict[str, Any] = {"thread_id": "t", "checkpoint_id": "1", **cells}
    db.checkpoint("s0", other.pop("checkpoint_id"), "e0", **other)
    db.checkpoint("s1", "1", "e1")
    db.write("w1", "1", "")
    db.kill("e0")

    assert shown(reader, db)[1] == ["w1"]


def test_a_read_says_whether_its_checkpoint_is_haunted(db: Database) -> None:
    """What this process has, too, is to be left out then."""
    db.checkpoint("s0", "1", "e0")
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "2", "e1")
    db.kill("e0")

    def haunted(text: Any, **told: str) -> object:
        found = db.ask(text, **{**PLACE, **ROOM, **NOTHING_DEAD, **told})
        return found[0][0]["haunted"]

    assert haunted(_kql.READ_BY_ID, p_id="1") is True
    assert haunted(_kql.READ_BY_ID, p_id="2") is haunted(_kql.READ_BY_ID, p_id="3") is False
    newest_dead = {"p_dead": dead("checkpoints", checkpoint_item("2", "e1", 99))}
    all_dead = {"p_dead": dead("epochs", "e1"), "p_local": "2"}
    for text, expected in (
        (_kql.READ_LATEST, False),
        (_kql.READ_LATEST_UNHIDDEN, True),
        (_kql.READ_LATEST_SHARED, False),
    ):
        assert haunted(text) is False
        assert haunted(text, **newest_dead) is expected, "which is 2, or 1"
        assert haunted(text, **all_dead) is True


@pytest.mark.parametrize("thread", [True, False])
def test_a_read_of_many_names_those_that_are_haunted(thread: bool, db: Database) -> None:
    for thread_id, namespace in (("t", ""), ("t", "child"), ("other", "")):
        for name in ("1", "2"):
            cells = {"thread_id": thread_id, "checkpoint_ns": namespace}
            db.checkpoint("s1" if name == "1" else "s2", name, "e1", **cells)
    for _ in range(2):
        db.checkpoint("s0", "1", "e0")
    db.checkpoint("s0", "2", "e0", thread_id="nobody")
    db.kill("e0")
    text = _kql.read_many(thread=thread)
    haunted = db.ask(text, **PLACE, **ROOM, **NOTHING_DEAD, p_submissions="s1,s2")[2]

    keys_of = [(row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]) for row in haunted]
    assert keys_of == [("t", "", "1")]


# --------------------------------------------------------------------------- tombstones are told

TELLERS = {name: reader for name, reader in READERS.items() if name != "SUM_WRITES"}


@pytest.mark.parametrize("reader", TELLERS.values(), ids=TELLERS)
@pytest.mark.parametrize(
    ("since", "expected"), [(5, ["c5", "c6"]), (6, ["c6"]), (7, []), (None, [])]
)
def test_only_tombstones_that_may_concern_this_process_are_told(
    since: int | None, expected: list[str], reader: Callable[..., Shown], db: Database
) -> None:
    """Those of checkpoints are many, and later than what they kill; the others kill for ever."""
    db.checkpoint("s1", "1", "e1")
    item = checkpoint_item("1", "e9", 3)
    for at in (5, 6):
        db.kill(item, scope="checkpoints", tombstone_id=f"c{at}", written_at=at)
    db.kill("e0", tombstone_id="e", written_at=1)
    db.kill(encoded("r0"), scope="runs", tombstone_id="r", written_at=1)
    told = {} if since is None else {"p_since": moment(since)}
    _, _, stones = reader(db, **{**NOTHING_DEAD, **told})

    assert stones is not None
    assert column(stones, "tombstone_id") == sorted([*expected, "e", "r"])


@pytest.mark.parametrize("reader", TELLERS.values(), ids=TELLERS)
def test_tombstones_are_told_of_the_threads_that_are_asked_about(
    reader: Callable[..., Shown], db: Database
) -> None:
    db.kill("e0", tombstone_id="a")
    db.kill("e5", tombstone_id="b", thread_id="other")
    _, _, stones = reader(db, **NOTHING_DEAD)
    of_all = reader in (READERS["read_many of all"], READERS["list_keys"])
    of_all = of_all or reader is READERS["list_keys with metadata"]

    assert stones is not None
    assert column(stones, "tombstone_id") == (["a", "b"] if of_all else ["a"])
