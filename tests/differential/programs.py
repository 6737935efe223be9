"""Programs of generated operations, and the one state a run of them needs: what was put where.

Expectations stand in `test_programs.py`: both savers answer alike. Operations carry small numbers
that pick among what is there when they run, so a program can be cut down and still make sense.
What `AsyncPostgresSaver` cannot do (copying, deleting runs) is done to its tables by SQL.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ERROR, INTERRUPT, RESUME, SCHEDULED
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot
from shared.threads import config_of, new_checkpoint

from .documents import names, objects, values

picks = st.integers(0, 99)
NAMESPACES = ("", "sub", "node:task", "node:task|1")
DELTA = "delta"


@dataclass(frozen=True)
class Put:
    """A checkpoint: on the newest (parent None), on any, or on none (parent -1)."""

    thread: int
    namespace: int
    checkpoint_id: str
    parent: int | None
    changed: Mapping[str, Any]
    metadata: Mapping[str, Any]
    snapshot: bool
    again: bool
    extra: str


@dataclass(frozen=True)
class PutWrites:
    """Writes of a task on a checkpoint, or (target None) on the one that is put next."""

    thread: int
    namespace: int
    target: int | None
    task_id: str
    task_path: str
    writes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Delete:
    """A thread, one of its runs, or what `prune` takes."""

    kind: str
    thread: int


@dataclass(frozen=True)
class Copy:
    """A thread to another one, which is deleted first."""

    thread: int
    target: int


@dataclass(frozen=True)
class Look:
    """What is read after an operation, besides everything in the thread."""

    pick: int
    namespace: int
    limit: int | None
    before: int | None
    missing: str
    wanted: Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """A checkpoint that both savers were given: what a child of it starts from."""

    parent: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Thread:
    """What one thread has, as far as operations need to know to pick from it."""

    thread_id: str
    known: dict[str, dict[str, Known]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    """Checkpoints a prune has deleted; a kept child still names one as its parent."""
    early: dict[str, str] = field(default_factory=dict)
    """Ids that have writes and no checkpoint yet, by namespace."""
    run: int = 0
    delta: bool = False
    """Whether it has a snapshot, or had since it was last deleted."""

    def ids(self, namespace: str) -> list[str]:
        """The ids of a namespace, oldest first."""
        return sorted(self.known.get(namespace, ()))

    def forget(self) -> None:
        """Know nothing of it any more: it was deleted."""
        self.known.clear()
        self.cut.clear()
        self.early.clear()
        self.delta = False


special = st.sampled_from([ERROR, SCHEDULED, INTERRUPT, RESUME])
writes = st.one_of(
    st.lists(st.tuples(st.one_of(st.sampled_from(["a", TASKS, DELTA]), names), values), max_size=4),
    # Special channels come alone: mixed with others Postgres keeps the first, see the differences.
    st.lists(st.tuples(special, values), min_size=1, max_size=3),
).map(tuple)

put = st.builds(
    Put,
    thread=picks,
    namespace=picks,
    checkpoint_id=names,
    parent=st.none() | st.integers(-1, 99),
    changed=st.dictionaries(st.one_of(st.sampled_from("abc"), names), values, max_size=3),
    metadata=objects,
    snapshot=st.integers(0, 3).map(lambda number: number == 3),
    again=st.integers(0, 4).map(lambda number: number == 4),
    extra=names,
)
put_writes = st.builds(
    PutWrites,
    thread=picks,
    namespace=picks,
    target=st.none() | picks,
    task_id=st.one_of(st.sampled_from(["t1", "t2", "t10"]), names),
    task_path=st.one_of(st.sampled_from(["", "~__pregel_pull, a", "p2", "p10"]), names),
    writes=writes,
)
delete = st.builds(
    Delete, kind=st.sampled_from(["thread", "run", "keep_latest", "delete"]), thread=picks
)
copy = st.builds(Copy, thread=picks, target=picks)
look = st.builds(
    Look,
    pick=picks,
    namespace=picks,
    limit=st.none() | st.integers(0, 4),
    before=st.none() | picks,
    missing=names,
    wanted=objects,
)
# A put is twice as likely as the others, a delete half as likely.
operation = st.one_of(put, put, put_writes, put, put_writes, put, delete, copy)
steps = st.tuples(operation, look)


@dataclass(frozen=True)
class Program:
    """Steps on two threads; `ordered` ids grow as LangGraph's do, others are any text."""

    ordered: bool
    steps: list[tuple[Any, Look]]


programs = st.builds(Program, ordered=st.booleans(), steps=st.lists(steps, min_size=3, max_size=8))


def opening() -> list[Any]:
    """What every program begins with, without a look: otherwise most act on nothing."""
    return [
        step
        for thread in (0, 1)
        for namespace in (0, 1)
        for step in (
            Put(thread, namespace, "", None, {"a": [1]}, {"n": 1}, True, False, "x"),
            PutWrites(thread, namespace, 0, "t1", "", (("a", 2), (DELTA, "one"))),
            Put(thread, namespace, "", None, {"b": "text"}, {"n": 2}, False, False, "x"),
            PutWrites(thread, namespace, 1, "t2", "p", ((DELTA, "two"), (DELTA, "three"))),
            Put(thread, namespace, "", None, {"a": [3]}, {"n": {"m": 3}}, False, False, "x"),
        )
    ]


class State:
    """Remembers what both savers were given, and makes arguments of operations."""

    def __init__(self, case: str, *, ordered: bool) -> None:
        self.case = case
        self.ordered = ordered
        self.threads = [Thread(f"{case} '{name}'") for name in ("one", "two\U0001f600")]
        self._numbers = 0

    def number(self) -> int:
        """A number greater than all before it."""
        self._numbers += 1
        return self._numbers

    def thread(self, pick: int) -> Thread:
        """The thread an operation means."""
        return self.threads[pick % len(self.threads)]

    def run_id(self, thread: Thread) -> str:
        """The run that writes to a thread now."""
        return f"{thread.thread_id} run {thread.run}"

    def new_id(self, text: str) -> str:
        """An id that no checkpoint has had; an ordered one is greater than all before it."""
        return f"1ef-{self.number():09}" if self.ordered else f"{text}{self.number()}"

    def put(self, op: Put) -> tuple[RunnableConfig, Any, Any, dict[str, str]]:
        """The arguments of a put: every value, and the versions of those that changed."""
        thread = self.thread(op.thread)
        namespace = NAMESPACES[op.namespace % len(NAMESPACES)]
        known = thread.known.setdefault(namespace, {})
        ids, number = sorted(known), self.number()
        if op.again and ids:
            checkpoint_id = ids[(op.parent or 0) % len(ids)]
            # Another parent is not remembered by Postgres, see the differences.
            parent = known[checkpoint_id].parent
        else:
            checkpoint_id = thread.early.pop(namespace, None) or self.new_id(op.checkpoint_id)
            parent = "" if not ids or op.parent == -1 else ids[(op.parent or -1) % len(ids)]
        before = known.get(parent, Known())
        changed = {name: value for name, value in op.changed.items() if name != DELTA}
        # The delta channel is written in every step, so that a snapshot is in one checkpoint only.
        new = dict.fromkeys([*changed, DELTA], f"{number:032}.{number:016}")
        handed = {**before.values, **changed}
        versions = {**before.versions, **new}
        metadata = {
            **op.metadata,
            "source": "loop",
            "step": number,
            "parents": {},
            "case": self.case,
            "run_id": self.run_id(thread),
        }
        known[checkpoint_id] = Known(parent, metadata, dict(handed), versions)
        # One thread only: Postgres does not prune threads that have a snapshot.
        if op.snapshot and thread is self.threads[0]:
            handed[DELTA] = _DeltaSnapshot([number, "snapshot"])
            thread.delta = True
        checkpoint = new_checkpoint(
            handed,
            versions,
            checkpoint_id,
            versions_seen={"__input__": {}, op.extra: dict(versions)},
            updated_channels=sorted(changed) if changed else None,
        )
        return config_of(thread.thread_id, namespace, parent or None), checkpoint, metadata, new

    def put_writes(self, op: PutWrites) -> tuple[Any, ...]:
        """The arguments of a `put_writes`."""
        thread = self.thread(op.thread)
        namespace = NAMESPACES[op.namespace % len(NAMESPACES)]
        ids = thread.ids(namespace)
        if op.target is not None and ids:
            target = ids[op.target % len(ids)]
        else:
            target = thread.early.setdefault(namespace, self.new_id(op.task_id))
        config = config_of(thread.thread_id, namespace, target)
        return config, deque(op.writes), op.task_id, op.task_path

    def wanted(self, thread: Thread, look: Look) -> Mapping[str, Any]:
        """A filter: any, or a part of some metadata, which at least one checkpoint contains."""
        everything = [one.metadata for known in thread.known.values() for one in known.values()]
        if look.pick % 4 == 0 or not everything:
            return look.wanted
        metadata = everything[look.pick % len(everything)]
        names = sorted(metadata)
        return {name: metadata[name] for name in names[look.pick % len(names) :: 3]}

    def prune(self, thread: Thread) -> None:
        """Keep what `keep_latest` keeps."""
        for namespace, known in thread.known.items():
            thread.cut |= set(thread.ids(namespace)[:-1])
            thread.known[namespace] = {name: known[name] for name in thread.ids(namespace)[-1:]}

    def copy(self, source: Thread, target: Thread) -> None:
        """Give a thread what another one has."""
        target.forget()
        target.known = {namespace: dict(known) for namespace, known in source.known.items()}
        target.cut, target.delta = set(source.cut), source.delta
