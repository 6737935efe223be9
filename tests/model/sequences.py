"""Sequences by number: what is drawn for one, and how one that fails is made small.

The number decides every choice hypothesis makes for a sequence and what the server leaves open;
what the clocks of threads and of the network do, it cannot decide.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import InMemoryExampleDatabase
from shared.places import local_place

from langgraph.checkpoint.kusto.local import LocalKusto

from . import operations as op
from .trial import Trial
from .ways import Way

FIRST = 1
SOME = 50

_CHOICE_BYTES = 20_000
_MEMORY = Path("/dev/shm")  # commits need no disk here; elsewhere it is only slower
_database = InMemoryExampleDatabase()
_taken: list[int] = []
_ways: list[Way] = []


def try_sequence(number: int, way: Way | None = None) -> int:
    """Run a sequence, with streaming ingestion by default; give the number of its steps.

    Raises:
        Difference: A saver showed something else than the reference.
    """
    logging.getLogger("langgraph.checkpoint.kusto").setLevel(logging.CRITICAL)
    _taken.clear()
    _ways[:] = [way or Way()]
    choices = random.Random(f"sequence {number}").randbytes(_CHOICE_BYTES)
    _sequence.hypothesis.fuzz_one_input(choices)
    return _taken[-1]


def shrink() -> None:
    """Make the sequence that failed last as small as it gets, and fail with that.

    Hypothesis prints it. A sequence has 30 steps at least, so the superfluous ones become a `Get`
    of nothing instead of going.

    Raises:
        Difference: As the sequence did, or another one.
    """
    _sequence()


@settings(
    database=_database,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.shrink),
)
@given(world=op.worlds, steps=op.steps)
def _sequence(world: op.World, steps: list[op.Step]) -> None:
    (way,) = _ways
    with _server(world, way) as local:
        trial = Trial(world, local, way)
        asyncio.run(trial.run(steps))
        _taken.append(trial.taken)


@contextmanager
def _server(world: op.World, way: Way) -> Iterator[LocalKusto]:
    """A server of its own, which leaves open what the world says."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        path = Path(folder) / "kusto"
        shutil.copyfile(_template(way.database), path)
        with LocalKusto(path, **way.server(world)) as local:
            yield local


@functools.cache
def _template(database: str) -> Path:
    """A file of a server with all tables and no rows, made once by each process."""
    path = Path(tempfile.mkdtemp()) / "kusto"
    with local_place(path=path, database=database):
        pass
    return path
