"""Operations: the steps a sequence is made of, and how hypothesis draws them.

Steps are plain data and say little: which thread, roughly which checkpoint. What that comes to is
decided when the step is taken (`trial`), so that a sequence stays one when steps are left out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from langgraph.checkpoint.serde.types import _DeltaSnapshot

LEAST_STEPS = 30
MOST_STEPS = 40

HOSTILE = (
    "' or 1 == 1 //",
    '"; .drop table Checkpoints',
    "a\nb\r\n\tc",
    "back\\slash\\",
    "a@b;c|d,e",
    "☃ \U0001f600 中文 ß",
    "{p_thread} %s {0}",
    " leading and trailing ",
    "\x00\x01",
    "NaN",
    "00012",
    "2026-01-02T03:04:05.1234567Z",
    "~",
    "A" * 500,
)
NAMESPACES = ("", "child:1", "child:1|grand:2", "other'\"|\n")
CHANNELS = ("a", "messages", "log", 'c"\n|,', "__resume__", "__error__", "__interrupt__")
WRITE_CHANNELS = (*CHANNELS, *("log",) * 5, 'l"g')
STATE_CHANNELS = ("a", "messages", 'c"\n|,')
DELTA_CHANNELS = ("log", 'l"g')
RUNS = ("", "run-1", "run 2,'|", "ラン3")
TASKS = ("t1", "t2", "t3,'")
PATHS = ("", "~__pregel_pull, a", "~__pregel_pull, b")


@dataclass(frozen=True)
class World:
    """Where a sequence runs: the savers, their clocks, what the server leaves open."""

    kinds: tuple[str, ...]
    buffered: tuple[bool, ...]
    seed: int
    turbulence: bool
    delayed: bool
    small_pages: bool
    narrow: bool
    minutes: tuple[int, ...]
    threads: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One step; `saver` takes it, in `thread`, an index into the threads of the world."""

    saver: int
    thread: int


@dataclass(frozen=True)
class Put(Step):
    """A checkpoint; `parent` and `name` say in words which, `pick` chooses among several."""

    namespace: str
    parent: str
    name: str
    pick: int
    run: str
    change: tuple[tuple[str, str], ...]
    delta: str


@dataclass(frozen=True)
class PutWrites(Step):
    """Pending writes."""

    namespace: str
    of: str
    pick: int
    run: str
    task: str
    path: str
    writes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Get(Step):
    """A checkpoint, read by a saver that did not write last."""

    namespace: str
    of: str
    pick: int


@dataclass(frozen=True)
class List(Step):
    """A list; `reach` says what it ranges over."""

    reach: str
    namespace: str
    pick: int
    filter: int
    before: str
    limit: int | None
    taken: int | None


@dataclass(frozen=True)
class History(Step):
    """The history of delta channels."""

    namespace: str
    of: str
    pick: int


@dataclass(frozen=True)
class DeleteThread(Step):
    """A whole thread."""


@dataclass(frozen=True)
class DeleteRuns(Step):
    """One run or two."""

    runs: tuple[str, ...]


@dataclass(frozen=True)
class DeleteCheckpoint(Step):
    """One checkpoint."""

    namespace: str
    of: str
    pick: int


@dataclass(frozen=True)
class CopyThread(Step):
    """A thread onto another one."""

    target: int


@dataclass(frozen=True)
class Prune(Step):
    """A thread, or all of them."""

    strategy: str
    all_threads: bool
    dry_run: bool


@dataclass(frozen=True)
class Restart(Step):
    """The saver is closed; another one takes its place."""


@dataclass(frozen=True)
class Peek(Step):
    """A saver that never writes looks, before everything is visible."""


NARROW_THREADS = 2
THREADS = 4
SAVERS = 3

_common: dict[str, Any] = {
    "saver": st.sampled_from((0, 0, 0, 1, 1, 2)),
    "thread": st.sampled_from((0, 0, 0, 0, 0, 0, 1, 1, 2, 3)),
}
_namespace = st.sampled_from(("",) * 7 + NAMESPACES)
_pick = st.integers(0, 31)
_of = st.sampled_from(("newest", "newest", "newest", "living", "ever", "dead", "missing"))
_run = st.sampled_from(RUNS)
_kind = st.sampled_from(
    (
        *(
            "int",
            "text",
            "none",
            "bytes 0",
            "bytes 100",
            "hostile",
            "dict",
            "list",
            "tuple",
            "time",
        ),
        *("big", "huge", "float", "text 0", "nan", "bytes 5000", "text 20000"),
        *("bytes 40000", "bytes 100000", "grown 7000", "grown 7000", "grown 9000", "grown 9000"),
    )
)

_put = st.builds(
    Put,
    **_common,
    namespace=_namespace,
    parent=st.sampled_from(
        ("newest",) * 8 + ("living", "dead", "dead", "killed", "killed", "none")
    ),
    name=st.sampled_from(
        ("next",) * 7 + ("planned", "planned", "hostile", "again", "dead", "killed")
    ),
    pick=_pick,
    run=_run,
    change=st.lists(st.tuples(st.sampled_from(STATE_CHANNELS), _kind), max_size=2).map(tuple),
    delta=st.sampled_from(("", "counted", "counted", "counted", "value", "value", "two")),
)
_put_writes = st.builds(
    PutWrites,
    **_common,
    namespace=_namespace,
    of=st.sampled_from(("newest", "last") * 4 + ("planned", "living", "dead", "killed")),
    pick=_pick,
    run=_run,
    task=st.sampled_from((TASKS[0], TASKS[0], *TASKS)),
    path=st.sampled_from(PATHS),
    writes=st.sampled_from((1,) * 9 + (0,)).flatmap(
        lambda some: st.lists(
            st.tuples(st.sampled_from(WRITE_CHANNELS), _kind), min_size=some, max_size=3 * some
        ).map(tuple)
    ),
)
_get = st.builds(Get, **_common, namespace=_namespace, of=_of, pick=_pick)
_list = st.builds(
    List,
    **_common,
    reach=st.sampled_from(("thread", "namespace", "all", "id")),
    namespace=_namespace,
    pick=_pick,
    filter=st.integers(0, 15),
    before=st.sampled_from(("", "", "living", "text")),
    limit=st.sampled_from((None, None, 0, -1, 1, 2, 5)),
    taken=st.sampled_from((None, None, 1)),
)
_history = st.builds(
    History,
    **_common,
    namespace=_namespace,
    of=st.sampled_from(("newest",) * 6 + ("living", "dead", "missing")),
    pick=_pick,
)
_delete_runs = st.builds(
    DeleteRuns,
    **_common,
    runs=st.lists(st.sampled_from(RUNS[1:]), min_size=1, max_size=2).map(tuple),
)
_delete_checkpoint = st.builds(
    DeleteCheckpoint, **_common, namespace=_namespace, of=_of, pick=_pick
)
_prune = st.builds(
    Prune,
    **_common,
    strategy=st.sampled_from(("keep_latest",) * 5 + ("delete",)),
    all_threads=st.sampled_from((False, False, False, True)),
    dry_run=st.sampled_from((False, False, True)),
)
_step = st.sampled_from(
    [_get]
    + [_put] * 16
    + [_put_writes] * 12
    + [_list] * 3
    + [_history] * 4
    + [st.builds(DeleteThread, **_common)]
    + [_delete_runs, _delete_checkpoint, _delete_checkpoint, _prune, _prune]
    + [st.builds(CopyThread, **_common, target=st.sampled_from((0, 0, 1, 2, 3)))] * 2
    + [st.builds(Restart, **_common), st.builds(Peek, **_common)]
).flatmap(lambda strategy: strategy)

worlds = st.builds(
    World,
    kinds=st.tuples(*[st.sampled_from(("async", "sync"))] * SAVERS),
    buffered=st.tuples(*[st.sampled_from((False, False, False, True))] * SAVERS),
    seed=st.integers(0, 2**31),
    turbulence=st.sampled_from((False, True)),
    delayed=st.sampled_from((False, True)),
    small_pages=st.sampled_from((False, False, False, True)),
    narrow=st.booleans(),
    minutes=st.just((0,) * SAVERS) | st.tuples(*[st.sampled_from((0, 5, -5))] * SAVERS),
    threads=st.lists(
        st.sampled_from(("thread", "Thread", *HOSTILE)),
        min_size=THREADS,
        max_size=THREADS,
        unique=True,
    ).map(tuple),
)
steps = st.lists(_step, min_size=LEAST_STEPS, max_size=MOST_STEPS)


def value_of(kind: str, number: int) -> Any:
    """A value of a kind; another one for each number."""
    word, _, size = kind.partition(" ")
    if word == "bytes":
        return random.Random(number).randbytes(int(size))
    if word == "grown":  # most of it stands in each: stored as what changed since the one before
        return random.Random(size).randbytes(int(size)) + random.Random(number).randbytes(700)
    if word == "text":
        return (f"{number} ☃ " * (int(size) // 4 + 1))[: int(size)] if size else f"text {number}"
    values: dict[str, Any] = {
        "int": number,
        "none": None,
        "hostile": HOSTILE[number % len(HOSTILE)],
        "dict": {"number": number, HOSTILE[number % 7]: [None, True, {"": 1.5}]},
        "list": [number, [number, [b""]], {"x", number}],
        "tuple": (number, {"a": (), "b": [(b"",)]}),
        "huge": -(2**70) - number,
        "time": datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=number),
        "big": 2**63 - 1 - number,
        "float": number + 0.1,
        "nan": [math.nan, math.inf, -0.0, number],
        "snapshot": _DeltaSnapshot([number, "snapshot"]),
    }
    return values[word]


def filter_of(number: int) -> dict[str, Any] | None:
    """A filter for a list; what the metadata holds is decided in `metadata_of`."""
    return (
        None,
        {},
        {"source": "loop"},
        {"tags": ["b"]},
        {"tags": ["b", "a"]},
        {"tags": []},
        {"who": {"name": HOSTILE[0]}},
        {"who": {}},
        {"nothing": None},
        {"missing": None},
        {"step": 3},
        {"step": 3.0},
        {"step": True},
        {HOSTILE[1]: HOSTILE[2]},
        {"run_id": RUNS[2]},
        {"source": "loop", "who": {"name": "x", "deep": [{"n": 1}]}},
    )[number]


def metadata_of(number: int, run: str) -> dict[str, Any]:
    """Metadata of a checkpoint."""
    metadata: dict[str, Any] = {
        "source": ("loop", "input", "update")[number % 3],
        "step": number % 7 - 1,
        "parents": {},
        "tags": ["a", "b", "c"][: number % 4],
        "who": {"name": HOSTILE[0] if number % 2 else "x", "deep": [{"n": number % 3, "m": None}]},
        "nothing": None,
        HOSTILE[1]: HOSTILE[number % 4],
    }
    return {**metadata, "run_id": run} if run else metadata


def narrowed(step: Step) -> Step:
    """The step where all of a sequence meets: in the root namespace of two threads, on few ids."""
    less: dict[str, Any] = {"thread": step.thread % NARROW_THREADS}
    if isinstance(step, CopyThread):
        less["target"] = 1 - less["thread"]
    if hasattr(step, "namespace"):
        less["namespace"] = ""
    if hasattr(step, "pick"):
        less["pick"] = step.pick % 3
    return replace(step, **less)
