"""Shared reads: which questions go together, and whose the rows of the answer are."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _shared_reads
from langgraph.checkpoint.kusto._shared_reads import (
    MAX_QUESTION_CHARS,
    MAX_READS,
    Gathering,
    Question,
    Share,
    deal,
    shared_parameters,
)

PLAIN = Question("t", "", "", "", 0, "", "9999-12-31", 1_000, 100)


def ask(thread_id: str, **changes: Any) -> Question:
    return replace(PLAIN, thread_id=thread_id, **changes)


# -------------------------------------------------------------------------------------- questions


def test_a_question_alone_is_the_query_of_one_thread() -> None:
    question = Question("t", "ns", "5", "b1,b2", 7, "epochs|x|e1", "2026-01-02", 11, 12)

    assert question.parameters() == {
        "p_thread": "t",
        "p_ns": "ns",
        "p_encoded_ns": "bbnM=",
        "p_local": "5",
        "p_blobs": "b1,b2",
        "p_dead": "epochs|x|e1",
        "p_since": "datetime(2026-01-02)",
        "p_budget": 11,
        "p_rows": 12,
    }
    assert question.item() == "bdA==|bbnM=|bNQ==|2026-01-02|b1,b2|7"


def test_questions_together_share_the_budget_and_what_is_dead() -> None:
    asked = [
        ask("a", dead="epochs|1", budget_bytes=9, budget_rows=8),
        ask("b", budget_bytes=8, budget_rows=9),
        ask("c", dead="runs|2"),
    ]

    assert shared_parameters(asked) == {
        "p_questions": ";".join(question.item() for question in asked),
        "p_dead": "epochs|1;runs|2",
        "p_budget": 8,
        "p_rows": 8,
    }


def test_what_a_question_adds_to_a_request() -> None:
    question = ask("abc", checkpoint_ns="de", local_id="f", local_blobs="gh", dead="ijk")

    assert question.chars == (3 + 2 + 1) * 6 + 2 + 3 + 100


@given(st.text(), st.text(), st.text())
def test_ids_of_any_text_travel_in_a_list(thread_id: str, ns: str, local_id: str) -> None:
    question = ask(thread_id, checkpoint_ns=ns, local_id=local_id)
    fields = question.item().split("|")

    assert [base64.b64decode(field[1:]).decode() for field in fields[:3]] == [
        thread_id,
        ns,
        local_id,
    ]
    assert len(fields) == 6
    assert ";" not in question.item()
    assert len(question.item()) <= question.chars


# -------------------------------------------------------------------------------------- gathering


def gathered(*questions: Question) -> Gathering[int]:
    gathering: Gathering[int] = Gathering()
    for waiter, question in enumerate(questions):
        gathering.add(question, waiter)
    return gathering


def test_nobody_waits() -> None:
    gathering = gathered()

    assert gathering.drain() == []
    assert len(gathering) == 0
    assert gathering.clear() == []
    assert not gathering


def test_who_waits_longest_goes_first_as_many_as_a_request_may_ask() -> None:
    questions = [ask(f"t{number}") for number in range(2 * MAX_READS + 1)]
    gathering = gathered(*questions)
    assert (len(gathering), repr(gathering)) == (33, "<Gathering waiting=33>")

    taken = [gathering.drain() for _ in range(3)]
    assert [len(shares) for shares in taken] == [MAX_READS, MAX_READS, 1]
    assert [share for shares in taken for share in shares] == [
        Share(question, [waiter]) for waiter, question in enumerate(questions)
    ]
    assert gathering.drain() == []


def test_equal_questions_are_one() -> None:
    gathering = gathered(ask("a"), ask("b"), ask("a"), ask("a"))

    assert gathering.drain() == [Share(ask("a"), [0, 2, 3]), Share(ask("b"), [1])]
    assert len(gathering) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint_ns": "child"},
        {"local_id": "5"},
        {"local_blobs": "b1"},
        {"local_bytes": 1},
        {"dead": "epochs|x|e1"},
        {"since": "2026-01-01"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_question_about_a_thread_waits_for_the_next_request(
    changes: dict[str, Any],
) -> None:
    """And keeps its place: before those who came later."""
    other = ask("a", **changes)
    gathering = gathered(ask("a"), other, ask("b"), other, ask("c"))

    assert gathering.drain() == [
        Share(ask("a"), [0]),
        Share(ask("b"), [2]),
        Share(ask("c"), [4]),
    ]
    gathering.add(ask("d"), 5)
    assert gathering.drain() == [Share(other, [1, 3]), Share(ask("d"), [5])]


def test_equal_questions_join_until_the_first_that_finds_no_room() -> None:
    full = [ask(f"t{number}") for number in range(MAX_READS)]
    gathering = gathered(*full, ask("t0"), ask("late"), ask("t0"))

    first = gathering.drain()
    assert (len(first), first[0].waiters) == (MAX_READS, [0, MAX_READS])
    assert gathering.drain() == [
        Share(ask("late"), [MAX_READS + 1]),
        Share(ask("t0"), [MAX_READS + 2]),
    ]


def test_the_texts_of_a_request_are_bounded() -> None:
    room = MAX_QUESTION_CHARS - ask("a").chars - ask("b").chars
    fits, too_much = "x" * room, "x" * (room + 1)

    assert len(gathered(ask("a", dead=fits), ask("b")).drain()) == 2
    gathering = gathered(ask("a", dead=too_much), ask("b"), ask("c"))
    assert [len(gathering.drain()) for _ in range(2)] == [1, 2]


def test_a_question_larger_than_a_request_may_be_goes_alone() -> None:
    huge = ask("h" * MAX_QUESTION_CHARS)
    gathering = gathered(ask("a"), huge, ask("b"))

    assert [share.question for share in gathering.drain()] == [ask("a")]
    assert [share.question for share in gathering.drain()] == [huge]
    assert [share.question for share in gathering.drain()] == [ask("b")]


def test_whoever_leaves_is_not_asked_for() -> None:
    gathering = gathered(ask("a"), ask("b"), ask("a"))
    gathering.leave(0)
    gathering.leave(1)
    gathering.leave(1)  # no longer there

    assert gathering.drain() == [Share(ask("a"), [2])]


def test_everybody_is_given_back() -> None:
    gathering = gathered(ask("a"), ask("b"))

    assert gathering.clear() == [0, 1]
    assert len(gathering) == 0


# ---------------------------------------------------------------------------------------- dealing


@dataclass
class Rows:
    """A table of an answer."""

    columns: tuple[str, ...]
    rows: list[Sequence[Any]]


MARKS = ("thread_id", "checkpoint_ns", "wanted_id", "fits", "head_rows", "write_rows")
PLACED = ("submission_id", "thread_id", "checkpoint_ns", "checkpoint_id")


class Answer:
    """An answer about threads `a` and `b`, right unless a test spoils it."""

    def __init__(self) -> None:
        self.marks = Rows(MARKS, [("b", "ns", "6", True, 1, 2), ("a", "", "5", True, 0, 1)])
        self.heads = Rows(PLACED, [("s1", "b", "ns", "6")])
        self.blobs = Rows(("thread_id", "blob_id"), [("b", "1"), ("a", "2"), ("b", "3")])
        self.writes = Rows(
            PLACED, [("w1", "b", "ns", "6"), ("w2", "a", "", "5"), ("w3", "b", "ns", "6")]
        )
        self.stones = Rows(("ids", "thread_id"), [("x", "a")])

    @property
    def tables(self) -> list[Rows]:
        return [self.marks, self.heads, self.blobs, self.writes, self.stones]

    def dealt(self) -> dict[str, list[tuple[Any, Any]]]:
        asked = [ask("a"), ask("b", checkpoint_ns="ns")]
        return deal(self.tables, asked, lambda columns, rows: (columns, list(rows)))


@pytest.fixture
def answer() -> Answer:
    return Answer()


def test_everybody_gets_the_own_rows(answer: Answer) -> None:
    names = [table.columns for table in answer.tables]
    marks, heads, blobs, writes, stones = (table.rows for table in answer.tables)
    of_a = [[marks[1]], [], [blobs[1]], [writes[1]], [stones[0]]]
    of_b = [[marks[0]], [heads[0]], [blobs[0], blobs[2]], [writes[0], writes[2]], []]

    assert answer.dealt() == {
        "a": [*zip(names, of_a, strict=True)],
        "b": [*zip(names, of_b, strict=True)],
    }


@pytest.mark.parametrize("fits", [False, 0, None])
def test_who_did_not_fit_gets_nothing(fits: object, answer: Answer) -> None:
    answer.marks.rows[0] = ("b", "ns", "6", fits, 1, 2)
    answer.heads.rows.clear()
    del answer.blobs.rows[::2], answer.writes.rows[::2]

    assert [*answer.dealt()] == ["a"]


def test_who_is_not_in_the_answer_gets_nothing(answer: Answer) -> None:
    answer.marks.rows.pop()
    for table in (answer.blobs, answer.writes, answer.stones):
        table.rows = [row for row in table.rows if "a" not in row]

    assert [*answer.dealt()] == ["b"]


@pytest.mark.parametrize("table", ["heads", "writes"])
@pytest.mark.parametrize("change", ["one less", "one more"])
def test_who_gets_another_number_of_rows_than_counted_gets_nothing(
    table: str, change: str, answer: Answer
) -> None:
    rows = getattr(answer, table).rows
    if change == "one less":
        rows.pop(0)
    else:
        rows.append(rows[0])

    assert [*answer.dealt()] == ["a"]


@pytest.mark.parametrize("table", ["heads", "blobs", "writes", "stones"])
def test_rows_of_a_thread_nobody_asked_about(table: str, answer: Answer) -> None:
    rows = getattr(answer, table)
    at = rows.columns.index("thread_id")
    for thread_id in ("c", "A", "a ", ""):
        stranger = ["x"] * len(rows.columns)
        stranger[at] = thread_id
        rows.rows.append(stranger)
        with pytest.raises(ValueError, match=r"^rows of a thread that nobody asked about$"):
            answer.dealt()
        rows.rows.pop()
    assert len(answer.dealt()) == 2


@pytest.mark.parametrize("table", ["heads", "blobs", "writes", "stones"])
def test_rows_of_who_did_not_fit(table: str, answer: Answer) -> None:
    """Half an answer is none."""
    for mark, row in enumerate(answer.marks.rows):
        answer.marks.rows[mark] = [*row[:3], False, *row[4:]]
    for other in ("heads", "blobs", "writes", "stones"):
        if other != table:
            getattr(answer, other).rows.clear()

    with pytest.raises(ValueError, match="nobody asked about"):
        answer.dealt()


@pytest.mark.parametrize("table", ["heads", "writes"])
@pytest.mark.parametrize(
    ("ns", "checkpoint_id"), [("", "6"), ("NS", "6"), ("ns", "5"), ("ns", "66"), ("ns", "")]
)
def test_rows_of_another_checkpoint(
    table: str, ns: str, checkpoint_id: str, answer: Answer
) -> None:
    getattr(answer, table).rows[0] = ("x", "b", ns, checkpoint_id)

    with pytest.raises(ValueError, match="rows of another checkpoint, of thread 'b'"):
        answer.dealt()


@pytest.mark.parametrize("ns", ["", "NS", "ns "])
def test_an_answer_about_another_namespace(ns: str, answer: Answer) -> None:
    answer.marks.rows[0] = ("b", ns, "6", True, 1, 2)

    with pytest.raises(ValueError, match="an answer nobody asked for, of thread 'b'"):
        answer.dealt()


def test_two_answers_about_a_thread(answer: Answer) -> None:
    answer.marks.rows.append(answer.marks.rows[0])

    with pytest.raises(ValueError, match="an answer nobody asked for, of thread 'b'"):
        answer.dealt()


def test_an_answer_wider_than_its_columns(answer: Answer) -> None:
    answer.marks.rows[0] = (*answer.marks.rows[0], "more")

    with pytest.raises(ValueError, match="longer"):
        answer.dealt()


def test_an_answer_about_another_thread(answer: Answer) -> None:
    answer.marks.rows.append(("c", "", "5", True, 0, 0))

    with pytest.raises(KeyError):
        answer.dealt()


@pytest.mark.parametrize("column", MARKS)
def test_an_answer_without_one_of_its_columns(column: str, answer: Answer) -> None:
    at = MARKS.index(column)
    answer.marks.columns = tuple(name for name in MARKS if name != column)
    answer.marks.rows = [[*row[:at], *row[at + 1 :]] for row in answer.marks.rows]

    with pytest.raises(KeyError):
        answer.dealt()


@pytest.mark.parametrize("table", ["heads", "blobs", "writes", "stones"])
def test_a_table_that_does_not_say_whose_its_rows_are(table: str, answer: Answer) -> None:
    rows = getattr(answer, table)
    rows.columns = tuple(f"{name}?" for name in rows.columns)

    with pytest.raises(ValueError, match="not in tuple"):
        answer.dealt()


@pytest.mark.parametrize("number", [0, 4, 6])
def test_an_answer_of_another_number_of_tables(number: int, answer: Answer) -> None:
    tables = [*answer.tables, answer.stones][:number]

    with pytest.raises(ValueError, match="unpack"):
        deal(tables, [ask("a"), ask("b", checkpoint_ns="ns")], lambda *_: None)


def test_bounds() -> None:
    """`docs/architecture.md` names the first; the second keeps away from Kusto's 1 MiB."""
    assert _shared_reads.MAX_READS == 16
    assert 100_000 < _shared_reads.MAX_QUESTION_CHARS < 1024 * 1024 / 4
