"""What must be in the store, by the logs of all writers of a database.

Lives here: calls, lives, and which of them count; what reads gave, compared with what had been
acknowledged to the same writer. Does not live here: the store (`store`) and comparing with it
(`checker`). Nothing of the library is imported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .events import NONE, read_log

BAD_READS = frozenset(
    ("CorruptValueError", "DeserializationError", "IncompleteCheckpointError", "PartsLostError")
)
"""Errors of reads that say: what is there is not whole, or not what was stored."""

Key = tuple[str, str]
"""Thread and checkpoint, or thread and life."""


@dataclass
class Life:
    """A life of a thread.

    Attributes:
        dead: A delete that names it was acknowledged: nothing of it may be alive.
        endangered: A delete of its thread was begun: it need not be alive any more.
    """

    dead: bool = False
    endangered: bool = False


@dataclass(slots=True)
class Put:
    """One call of `aput`."""

    life: str
    parent: str
    values: str
    metadata: str
    acknowledged: bool = False


@dataclass(slots=True)
class Writes:
    """One call of `aput_writes`."""

    life: str
    pieces: str
    acknowledged: bool = False


@dataclass
class Read:
    """One call of `aget_tuple`, and what its writer knew when it began."""

    thread_id: str
    wanted: str
    least: str
    """The newest checkpoint acknowledged to this writer in this life; none is the empty text."""


@dataclass
class History:
    """Everything that was begun, and what came of it."""

    lives: dict[Key, Life] = field(default_factory=dict)
    puts: dict[Key, list[Put]] = field(default_factory=lambda: defaultdict(list))
    writes: dict[tuple[str, str, str], list[Writes]] = field(
        default_factory=lambda: defaultdict(list)
    )
    acknowledged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reads: int = 0
    under_way: int = 0
    """Calls that were begun and neither returned nor raised: their writer was killed."""
    wrong_reads: list[str] = field(default_factory=list)

    def life(self, thread_id: str, label: str) -> Life:
        """A life; one that nobody began is an error of the writer."""
        return self.lives[thread_id, label]

    def wrong_read(self, what: str) -> None:
        """Note a read that gave what it must not."""
        self.wrong_reads.append(what)


def read_history(logs: Iterable[Path]) -> History:
    """Read the logs of writers that followed each other."""
    history = History()
    for path in logs:
        reader = _LogReader(history)
        for words in read_log(path):
            reader.hear(words)
        history.under_way += reader.under_way
    return history


class _LogReader:
    """Follows one writer: what it has begun, and what it knows to be acknowledged.

    Of what other writers did it may see less than there is, for as long as Kusto does not show it.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._begun: dict[str, tuple[str, Sequence[str]]] = {}
        self._calls: dict[str, Put | Writes] = {}
        self._reads: dict[str, Read] = {}
        self._newest: dict[str, str] = {}
        self._own_puts: set[Key] = set()
        self._own_tasks: dict[Key, set[str]] = defaultdict(set)
        self._own_deletes: set[Key] = set()

    @property
    def under_way(self) -> int:
        """Calls that came to no end yet."""
        return len(self._begun)

    def hear(self, words: Sequence[str]) -> None:
        """Take in one line."""
        kind, number, *rest = words
        if kind == "done":
            self._done(number)
        elif kind == "got":
            del self._begun[number]
            self._got(self._reads.pop(number), rest)
        elif kind == "failed":
            self._failed(number, rest[0])
        else:
            self._begin(kind, number, rest)

    def _begin(self, kind: str, number: str, rest: Sequence[str]) -> None:
        history, thread_id = self._history, rest[0]
        self._begun[number] = kind, rest
        if kind == "put":
            _, life, checkpoint_id, parent, values, metadata = rest
            history.lives.setdefault((thread_id, life), Life())
            put = Put(life, parent, values, metadata)
            history.puts[thread_id, checkpoint_id].append(put)
            self._calls[number] = put
        elif kind == "writes":
            _, life, checkpoint_id, task, _, pieces = rest
            call = Writes(life, pieces)
            history.writes[thread_id, checkpoint_id, task].append(call)
            self._calls[number] = call
        elif kind == "delete":
            for (thread, _), life_ in history.lives.items():
                if thread == thread_id:
                    life_.endangered = True
        else:
            self._reads[number] = Read(thread_id, rest[1], self._newest.get(thread_id, ""))

    def _done(self, number: str) -> None:
        kind, rest = self._begun.pop(number)
        history, thread_id = self._history, rest[0]
        history.acknowledged[kind] += 1
        if kind == "delete":
            for life in rest[1].split(","):
                history.lives[thread_id, life].dead = True
                self._own_deletes.add((thread_id, life))
            self._newest.pop(thread_id, None)
            return
        call = self._calls.pop(number)
        call.acknowledged = True
        where = thread_id, rest[2]
        if kind == "writes":
            self._own_tasks[where].add(rest[3])
            return
        self._own_puts.add(where)
        if not history.lives[thread_id, call.life].endangered:
            self._newest[thread_id] = max(rest[2], self._newest.get(thread_id, ""))

    def _failed(self, number: str, error: str) -> None:
        kind, rest = self._begun.pop(number)
        self._history.errors[f"{kind} {error}"] += 1
        self._calls.pop(number, None)
        if self._reads.pop(number, None) is not None and error in BAD_READS:
            self._history.wrong_read(f"read of {rest[0]} {rest[1]} raised {error}")

    def _got(self, read: Read, words: Sequence[str]) -> None:
        history, thread_id = self._history, read.thread_id
        history.reads += 1
        checkpoint_id, *rest = words
        where = f"read of {thread_id} {read.wanted}"
        if checkpoint_id == NONE:
            if read.least:
                history.wrong_read(f"{where} gave none, not {read.least}")
            return
        life, values, metadata, tasks = rest
        if (thread_id, life) in self._own_deletes:
            history.wrong_read(f"{where} gave {checkpoint_id} of the deleted life {life}")
        if read.wanted != NONE and checkpoint_id != read.wanted:
            history.wrong_read(f"{where} gave {checkpoint_id}")
        if read.wanted == NONE and checkpoint_id < read.least:
            history.wrong_read(f"{where} gave {checkpoint_id}, older than {read.least}")
        puts: Sequence[Put] = history.puts.get((thread_id, checkpoint_id), [])
        allowed = allowed_puts(puts) if (thread_id, checkpoint_id) in self._own_puts else puts
        if (values, metadata) not in [(put.values, put.metadata) for put in allowed]:
            history.wrong_read(f"{where} gave {checkpoint_id} with values no put wrote")
        self._compare_writes(f"{where} gave {checkpoint_id}", thread_id, checkpoint_id, tasks)

    def _compare_writes(self, where: str, thread_id: str, checkpoint_id: str, tasks: str) -> None:
        history = self._history
        shown = dict(item.split(":")[::2] for item in tasks.split(",") if tasks != NONE)
        for task, pieces in shown.items():
            calls = history.writes.get((thread_id, checkpoint_id, task), [])
            if pieces not in [call.pieces for call in calls]:
                history.wrong_read(f"{where} with writes of {task} that no call wrote")
        for task in self._own_tasks[thread_id, checkpoint_id] - shown.keys():
            history.wrong_read(f"{where} without the writes of {task}")


def allowed_puts(calls: Sequence[Put]) -> Sequence[Put]:
    """The calls one of which a reader must get: the last acknowledged, and those after it."""
    acknowledged = [place for place, call in enumerate(calls) if call.acknowledged]
    return calls[acknowledged[-1] :] if acknowledged else calls


def allowed_writes(calls: Sequence[Writes]) -> Sequence[Writes]:
    """The calls one of which a reader must get: the first acknowledged, and those before it."""
    acknowledged = [place for place, call in enumerate(calls) if call.acknowledged]
    return calls[: acknowledged[0] + 1] if acknowledged else calls
