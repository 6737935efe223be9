"""Shared reads: questions that wait for a request, taken out for one, and its answer dealt (pure).

Rules:
- A request asks at most one question of each thread, so the thread a row names is whose it is.
  Equal questions are one. Another question about a thread that is in already waits for the next.
- Nobody gets what is not certainly the answer to the own question: ids are compared here once
  more, and the rows counted. Who gets none asks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ._tombstones import to_item

MAX_READS = 16
"""Threads of one request, unless an option says otherwise."""

MAX_QUESTION_CHARS = 240_000
"""Characters of all questions of one request: Kusto splits them into a dynamic, which has at most
1 MiB, and characters may be escaped in it."""

W = TypeVar("W")
T = TypeVar("T")
Columns = tuple[str, ...]
Rows = Sequence[Sequence[Any]]


class TableLike(Protocol):
    """One result table."""

    @property
    def columns(self) -> Columns: ...
    @property
    def rows(self) -> Rows: ...


@dataclass(frozen=True)
class Question:
    """What one read of a newest checkpoint asks; `local` is what the overlay has of it."""

    thread_id: str
    checkpoint_ns: str
    local_id: str
    local_blobs: str
    """Blobs that the overlay's row needs and the overlay has no longer."""
    local_bytes: int
    """What these weigh at most."""
    dead: str
    """Tombstones of the overlay."""
    since: str
    """The time from which tombstones may concern the overlay."""
    budget_bytes: int
    budget_rows: int

    def parameters(self) -> dict[str, str | int]:
        """Ask it alone."""
        return {
            "p_thread": self.thread_id,
            "p_ns": self.checkpoint_ns,
            "p_encoded_ns": to_item(self.checkpoint_ns),
            "p_local": self.local_id,
            "p_blobs": self.local_blobs,
            "p_dead": self.dead,
            "p_since": f"datetime({self.since})",  # not a string: a literal
            "p_budget": self.budget_bytes,
            "p_rows": self.budget_rows,
        }

    def item(self) -> str:
        """Encode for the list of questions of a shared request."""
        ids = map(to_item, (self.thread_id, self.checkpoint_ns, self.local_id))
        return "|".join((*ids, self.since, self.local_blobs, str(self.local_bytes)))

    @property
    def chars(self) -> int:
        """What it adds to a shared request, at most."""
        ids = len(self.thread_id) + len(self.checkpoint_ns) + len(self.local_id)
        return ids * 6 + len(self.local_blobs) + len(self.dead) + 100


@dataclass
class Share(Generic[W]):
    """One question of a request, and everybody who waits for its answer."""

    question: Question
    waiters: list[W]


def shared_parameters(questions: Sequence[Question]) -> dict[str, str | int]:
    """Ask several questions, of a thread each, in one request; the budget is for all of them."""
    return {
        "p_questions": ";".join(question.item() for question in questions),
        "p_dead": ";".join(question.dead for question in questions if question.dead),
        "p_budget": min(question.budget_bytes for question in questions),
        "p_rows": min(question.budget_rows for question in questions),
    }


class Gathering(Generic[W]):
    """Questions that wait to be asked, by who waits, oldest first.

    Args:
        most: How many are asked at once.
    """

    def __init__(self, most: int = MAX_READS) -> None:
        self._most = most
        self._waiting: dict[W, Question] = {}

    def __repr__(self) -> str:
        return f"<Gathering waiting={len(self._waiting)}>"

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, question: Question, waiter: W) -> None:
        """Append a question."""
        self._waiting[waiter] = question

    def leave(self, waiter: W) -> None:
        """Take out somebody who waits no longer, if the question was not asked yet."""
        self._waiting.pop(waiter, None)

    def drain(self) -> list[Share[W]]:
        """Take out what fits one request; at least one question if there is any."""
        shares: dict[str, Share[W]] = {}
        chars = 0
        for waiter, question in self._waiting.items():
            share = shares.get(question.thread_id)
            if share is not None:
                if share.question == question:
                    share.waiters.append(waiter)
                continue
            chars += question.chars
            if shares and (len(shares) == self._most or chars > MAX_QUESTION_CHARS):
                break
            shares[question.thread_id] = Share(question, [waiter])
        for share in shares.values():
            for waiter in share.waiters:
                del self._waiting[waiter]
        return list(shares.values())

    def clear(self) -> list[W]:
        """Take out everybody, to fail them."""
        waiters = list(self._waiting)
        self._waiting.clear()
        return waiters


def deal(
    tables: Sequence[TableLike],
    questions: Sequence[Question],
    make: Callable[[Columns, Rows], T],
) -> dict[str, list[T]]:
    """Give each thread the tables that `READ_LATEST` would have answered, its own rows in them.

    A thread that is not in the result has to be asked about alone: it did not fit, or its rows are
    not all there.

    Args:
        tables: The answer to `READ_LATEST_SHARED`.
        questions: What was asked.
        make: Makes a table.

    Raises:
        LookupError, ValueError: The answer is not one to these questions.
    """
    marks, heads, blobs, writes, stones = tables
    asked = {question.thread_id: question for question in questions}
    answers = _answers(marks, asked)
    places = {thread_id: _place(mark) for thread_id, (mark, _) in answers.items() if mark["fits"]}
    threads = set(places)
    dealt = [(table, _by_thread(table, threads)) for table in (heads, blobs, writes, stones)]
    for table in (heads, writes):
        _check_places(table, places)
    found: dict[str, list[T]] = {}
    for thread_id, (mark, row) in answers.items():
        if thread_id not in threads:
            continue
        own = [(table, rows.get(thread_id, [])) for table, rows in dealt]
        if len(own[0][1]) == mark["head_rows"] and len(own[2][1]) == mark["write_rows"]:
            every = [(marks, [row]), *own]
            found[thread_id] = [make(table.columns, rows) for table, rows in every]
    return found


Mark = dict[str, Any]


def _answers(
    marks: TableLike, asked: Mapping[str, Question]
) -> dict[str, tuple[Mark, Sequence[Any]]]:
    """What is said of each thread."""
    found: dict[str, tuple[Mark, Sequence[Any]]] = {}
    for row in marks.rows:
        mark = dict(zip(marks.columns, row, strict=True))
        thread_id = mark["thread_id"]
        if thread_id in found or asked[thread_id].checkpoint_ns != mark["checkpoint_ns"]:
            raise ValueError(f"an answer nobody asked for, of thread {thread_id!r}")
        found[thread_id] = (mark, row)
    return found


def _place(mark: Mark) -> tuple[str, str]:
    return mark["checkpoint_ns"], mark["wanted_id"]


def _by_thread(table: TableLike, threads: set[str]) -> dict[str, list[Sequence[Any]]]:
    at = table.columns.index("thread_id")
    found: dict[str, list[Sequence[Any]]] = {}
    for row in table.rows:
        found.setdefault(row[at], []).append(row)
    if not threads >= found.keys():
        raise ValueError("rows of a thread that nobody asked about")
    return found


def _check_places(table: TableLike, places: Mapping[str, tuple[str, str]]) -> None:
    """Rows are of the namespace and the checkpoint that are wanted of their thread."""
    names = ("thread_id", "checkpoint_ns", "checkpoint_id")
    thread, ns, checkpoint = map(table.columns.index, names)
    for row in table.rows:
        if places[row[thread]] != (row[ns], row[checkpoint]):
            raise ValueError(f"rows of another checkpoint, of thread {row[thread]!r}")
