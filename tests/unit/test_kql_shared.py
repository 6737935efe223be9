"""What a read of several threads means: each is answered as if it were alone.

`test_kql_reads.py`, `test_kql_deaths.py` and `test_kql_rows.py` run it as they run the other reads,
with another thread beside. Here: what the threads of one request have to do with each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from shared.id_bodies import HOSTILE
from shared.kql_database import DEATHS, Cells, Database, Death, column, dead, encoded

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._shared_reads import Question, deal, shared_parameters
from langgraph.checkpoint.kusto._transport import Table

MEGABYTE = 1_000_000
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def db() -> Database:
    return Database()


def ask(thread_id: str, checkpoint_ns: str = "", **changes: Any) -> Question:
    given: dict[str, Any] = {
        "local_id": "",
        "local_blobs": "",
        "local_bytes": 0,
        "dead": "",
        "since": "9999-12-31",
        "budget_bytes": MEGABYTE,
        "budget_rows": 100,
    }
    return Question(thread_id, checkpoint_ns, **{**given, **changes})


def asked(db: Database, *questions: Question) -> list[Table]:
    return db.tables(_kql.READ_LATEST_SHARED, **shared_parameters(questions))


def together(db: Database, *questions: Question) -> dict[str, list[list[Cells]]]:
    """What each thread gets of a shared request."""
    dealt = deal(asked(db, *questions), questions, Table)
    return {name: [table.records() for table in tables] for name, tables in dealt.items()}


def alone(db: Database, question: Question) -> list[list[Cells]]:
    return db.ask(_kql.READ_LATEST, **question.parameters())


def same(shared: Sequence[list[Cells]], single: Sequence[list[Cells]]) -> bool:
    """Whether an answer is that of the read alone; rows have no order."""
    (mark,), *parts = shared
    own = {"thread_id", "checkpoint_ns", "head_rows", "write_rows"}
    assert own <= set(mark)
    if [{name: cell for name, cell in mark.items() if name not in own}] != single[0]:
        return False
    for row in parts[1]:
        del row["thread_id"]
    return [*map(unordered, parts)] == [*map(unordered, single[1:])]


def unordered(rows: list[Cells]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


def weights(db: Database, *questions: Question) -> dict[str, bool]:
    return {row["thread_id"]: row["fits"] for row in asked(db, *questions)[0].records()}


# --------------------------------------------------------------------------------- each for itself


@pytest.mark.parametrize("seed", range(40))
def test_each_thread_is_answered_as_if_it_were_alone(seed: int, db: Database) -> None:
    """Threads, namespaces, ids, epochs, runs and blobs have the same names all over."""
    chance = random.Random(seed)
    threads, namespaces, ids = ["a", "b", "c", "d"], ["", "n"], ["1", "2", "3"]
    for number in range(60):
        place = {"thread_id": chance.choice(threads), "checkpoint_ns": chance.choice(namespaces)}
        epoch, run = chance.choice(["e1", "e2", "e3"]), chance.choice(["r1", "r2", ""])
        blobs = ",".join(chance.sample(["b1", "b2", "b3"], chance.randrange(3)))
        kind = chance.randrange(3)
        if kind == 0:
            db.checkpoint(
                f"s{number}", chance.choice(ids), epoch, run_id=run, blob_ids=blobs, **place
            )
        elif kind == 1:
            epoch = chance.choice([epoch, ""])
            db.write(f"w{number % 20}", chance.choice(ids), epoch, run_id=run, **place)
        else:
            db.blob(chance.choice(["b1", "b2", "b3"]), chance.randrange(2), **place)
    for death in chance.sample([*DEATHS, Death("epochs", "e1", ""), Death("runs", "", "r2")], 3):
        keys = [(chance.choice(namespaces), chance.choice(ids)) for _ in range(2)]
        items = death.items(*keys, through=chance.randrange(80))
        cells = {"scope": death.scope, "thread_id": chance.choice(threads)}
        db.kill(*items, parts=chance.choice([1, 1, 2]), **cells)
    questions = [
        ask(
            name,
            chance.choice(namespaces),
            local_id=chance.choice(["", "2", "4"]),
            local_blobs=chance.choice(["", "b1", "b3,b9"]),
            dead=chance.choice(["", "", dead("epochs", "e1", thread_id=name)]),
            since=chance.choice(["9999-12-31", "0001-01-01"]),
        )
        for name in chance.sample(threads, 3)
    ]

    found = together(db, *questions)
    assert [*sorted(found)] == sorted(question.thread_id for question in questions)
    for question in questions:
        assert same(found[question.thread_id], alone(db, question)), question


@pytest.mark.parametrize("thread_id", [text for text in HOSTILE if len(text) < 5_000], ids=repr)
def test_ids_of_any_text(thread_id: str, db: Database) -> None:
    others = ["t", thread_id + " ", thread_id.swapcase() + "x"]
    names = [thread_id, *others]
    for number, name in enumerate(names):
        cells = {"thread_id": name, "checkpoint_ns": thread_id}
        db.checkpoint(f"s{number}", thread_id, f"e{number}", blob_ids=f"b{number}", **cells)
        db.blob(f"b{number}", **cells)
        db.write(f"w{number}", thread_id, f"e{number}", **cells)
    questions = [ask(name, thread_id, local_id=thread_id) for name in names]

    found = together(db, *questions)
    for number, question in enumerate(questions):
        assert same(found[question.thread_id], alone(db, question))
        assert column(found[question.thread_id][1], "submission_id") == [f"s{number}"]


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.scope)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "known here"])
def test_a_thread_kills_nothing_of_another(stored: bool, death: Death, db: Database) -> None:
    """Not even an epoch: those have names of their own unless somebody made them the same."""
    for name in ("t", "other"):
        db.checkpoint("s1", "1", death.epoch, run_id=death.run_id, thread_id=name)
        db.write("w1", "1", death.epoch, run_id=death.run_id, thread_id=name)
    items = death.items(("", "1"))
    if stored:
        db.kill(*items, scope=death.scope, thread_id="other")
    told = "" if stored else dead(death.scope, *items, thread_id="other")
    questions = [ask("t"), ask("other", dead=told)]

    found = together(db, *questions)
    assert column(found["t"][1], "submission_id") == ["s1"]
    assert column(found["t"][3], "submission_id") == ["w1"]
    assert found["other"][1] == found["other"][3] == []


def test_tombstones_of_checkpoints_come_from_the_time_of_each_question(db: Database) -> None:
    for name in ("t", "other"):
        for at in (5, 6):
            db.kill(f"{encoded('')}@{encoded('9')}@e1@0001-01-01T00:00:00.0000000Z",
                    scope="checkpoints", written_at=at, thread_id=name)  # fmt: skip
    questions = [ask("t", since="0001-01-01T00:00:00.0000006Z"), ask("other")]

    found = together(db, *questions)
    assert column(found["t"][4], "written_at") == [6]
    assert found["other"][4] == []


# --------------------------------------------------------------------------------------- one budget


def heavy(db: Database, name: str, size: int, rows: int = 0) -> None:
    """A thread that weighs so much, in so many pending writes."""
    db.checkpoint("s", "1", "e1", thread_id=name, total_bytes=size - rows, blob_ids="b1")
    db.blob("b1", thread_id=name)
    for number in range(rows):
        db.write(f"w{number}", "1", "e1", thread_id=name, row_bytes=1)


@pytest.mark.parametrize(
    ("budget", "fits"), [(60, "abc"), (59, "ab"), (30, "ab"), (29, "a"), (10, "a"), (9, "")]
)
def test_payload_comes_for_as_many_as_fit_the_lightest_first(
    budget: int, fits: str, db: Database
) -> None:
    for name, size in (("c", 30), ("a", 10), ("b", 20)):
        heavy(db, name, size, rows=2)
    questions = [ask(name, budget_bytes=budget) for name in "bca"]

    assert [name for name, fit in sorted(weights(db, *questions).items()) if fit] == [*fits]
    assert sorted(together(db, *questions)) == [*fits]
    for table in asked(db, *questions)[1:4]:
        assert {row["thread_id"] for row in table.records()} == {*fits}


@pytest.mark.parametrize(
    ("rows", "fits"), [(7, "abc"), (6, "ab"), (3, "ab"), (2, "a"), (1, "a"), (0, "")]
)
def test_pending_writes_are_bounded_together(rows: int, fits: str, db: Database) -> None:
    for name, size, count in (("a", 10, 1), ("b", 20, 2), ("c", 30, 4)):
        heavy(db, name, size, rows=count)
    questions = [ask(name, budget_rows=rows) for name in "abc"]

    assert sorted(together(db, *questions)) == [*fits]


def test_equally_heavy_threads_fit_in_one_order(db: Database) -> None:
    """The same threads have to fit wherever a statement looks at it."""
    for name in "dbca":
        heavy(db, name, 10, rows=1)
    questions = [ask(name, budget_bytes=20) for name in "cadb"]

    assert sorted(together(db, *questions)) == ["a", "b"]


def test_tombstones_and_what_the_overlay_asks_for_weigh_too(db: Database) -> None:
    heavy(db, "a", 10)
    heavy(db, "b", 5)
    db.kill("e8", "e9", thread_id="b")  # five characters
    heavy(db, "c", 1)
    questions = [ask("a"), ask("b"), ask("c", local_blobs="b7", local_bytes=9)]

    def fit(budget: int) -> list[str]:
        return sorted(
            together(
                db,
                *[
                    Question(**{**question.__dict__, "budget_bytes": budget})
                    for question in questions
                ],
            )
        )

    assert fit(30) == ["a", "b", "c"]
    assert fit(29) == ["a", "b"]
    assert fit(9) == []


def test_who_has_nothing_weighs_nothing(db: Database) -> None:
    heavy(db, "a", 10)

    assert weights(db, ask("a", budget_bytes=0), ask("b")) == {"a": False, "b": True}
    found = together(db, ask("a", budget_bytes=0), ask("b"))
    assert (found["b"][0][0]["wanted_id"], found["b"][0][0]["present"]) == ("", False)


def test_what_is_counted_is_what_comes(db: Database) -> None:
    """Rows that landed twice are counted, and come, twice; the checkpoint comes once."""
    for _ in range(2):
        db.checkpoint("s", "1", "e1")
        db.write("w", "1", "e1", submission_rows=2)
        db.write("w", "1", "e1", submission_rows=2, submission_row=1)
    (mark,), heads, _, writes, _ = together(db, ask("t"), ask("other"))["t"]

    assert (mark["head_rows"], mark["write_rows"]) == (1, 4)
    assert (len(heads), len(writes)) == (1, 4)
