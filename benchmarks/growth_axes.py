"""What grows, and the threads that are measured at each size."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from typing import Any

from .bench import Bench
from .chats import checkpoint_of

_SMALL_BYTES = 1_000
_GROWTH_BYTES = 500
_AT_A_TIME = 100
_OPERATIONS = 200

Values = Iterator[bytes]


def new_values(size: int) -> Values:
    """States of which nothing stands in the one before, and which do not compress."""
    for number in count():
        yield random.Random(number).randbytes(size)


def grown_values(size: int) -> Values:
    """States that are the one before and 500 bytes more."""
    value = random.Random(0).randbytes(size)
    for number in count(1):
        yield value
        value += random.Random(number).randbytes(_GROWTH_BYTES)


class Thread:
    """A thread that a writer puts into and a reader of its own reads, as another process would."""

    def __init__(self, writer: Bench, reader: Bench, name: str, values: Values) -> None:
        self._saver, self._reader = writer.saver, reader.saver
        self._place = writer.thread(name)
        self._config = self._place
        self._coming = values
        self._ready: list[bytes] = []
        self._number = 0
        self._last = b""

    def prepare(self, puts: int) -> None:
        """Make the states of so many puts."""
        self._ready += islice(self._coming, puts)

    async def fill(self, driver: Any, checkpoints: int) -> None:
        """Put so many checkpoints, each the child of the one before."""
        self.prepare(checkpoints)
        await self.put()  # it starts the thread; the others inherit from it
        puts = [self._next() for _ in range(checkpoints - 1)]
        for start in range(0, len(puts), _AT_A_TIME):
            await driver.together(puts[start : start + _AT_A_TIME])

    async def put(self) -> None:
        """Put a checkpoint."""
        await self._next()()

    async def get(self) -> None:
        """Read the newest checkpoint."""
        found = await self._reader.aget_tuple(self._place)
        if found is None or found.checkpoint["channel_values"]["value"] != self._last:
            raise ValueError(f"another value in {self._place}")

    def _next(self) -> Callable[[], Awaitable[Any]]:
        self._last = self._ready.pop(0)
        self._number += 1
        versions = {"value": f"{self._number:032}.0"}
        body = checkpoint_of({"value": self._last}, versions, {}, ["value"])
        metadata = {"source": "loop", "step": self._number, "parents": {}}
        put = partial(self._saver.aput, self._config, body, metadata, versions)
        self._config = {
            "configurable": {**self._place["configurable"], "checkpoint_id": body["id"]}
        }
        return put


@dataclass(frozen=True)
class Subject:
    """Threads that are measured: one call after the other, or all threads at the same time."""

    threads: list[Thread]
    operations: int
    together: bool = False

    async def prepare(self, driver: Any, checkpoints: int) -> None:
        """Write what is there before, and make the states of the puts to come."""
        for thread in self.threads:
            await thread.fill(driver, checkpoints)
            await thread.get()

    async def run(self, bench: Bench, operation: str, operations: int) -> None:
        """Measure one operation."""
        share = -(-operations // len(self.threads))

        async def some(thread: Thread, times: int) -> None:
            for _ in range(times):
                await bench.meter.timed(operation, getattr(thread, operation)())

        if self.together:
            bodies = [partial(some, thread, share) for thread in self.threads]
            await bench.driver.together(bodies)
        else:
            for number in range(operations):
                await some(self.threads[number % len(self.threads)], 1)


Make = Callable[[Bench, Bench, int], Subject]


@dataclass(frozen=True)
class Axis:
    """One thing that grows."""

    name: str
    about: str
    points: tuple[int, ...]
    quick: tuple[int, ...]
    make: Make
    others: Callable[[int], int] = field(default=lambda at: 0)
    """How many other threads there are at a point."""

    history: Callable[[int], int] = field(default=lambda at: 1)
    """How many checkpoints a measured thread has."""


def _small(writer: Bench, reader: Bench, threads: int) -> list[Thread]:
    return [
        Thread(writer, reader, f"small {number}", new_values(_SMALL_BYTES))
        for number in range(threads)
    ]


def _alone(writer: Bench, reader: Bench, at: int) -> Subject:
    return Subject(_small(writer, reader, 1), _OPERATIONS)


def _long(writer: Bench, reader: Bench, at: int) -> Subject:
    """Several short ones, so that what is put meanwhile does not make them long."""
    return Subject(_small(writer, reader, max(_OPERATIONS // 2 // at, 1)), _OPERATIONS)


def _large(values: Callable[[int], Values], writer: Bench, reader: Bench, at: int) -> Subject:
    operations = min(max(50_000_000 // at, 5), _OPERATIONS // 2)
    return Subject([Thread(writer, reader, "large", values(at))], operations)


def _callers(writer: Bench, reader: Bench, at: int) -> Subject:
    return Subject(_small(writer, reader, at), max(2 * _OPERATIONS, 4 * at), together=True)


_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_LISTED = (
    Axis(
        "threads",
        "other threads in the database",
        (1, 100, 10_000, 100_000),
        (1, 1_000),
        _alone,
        others=lambda at: at,
    ),
    Axis(
        "history",
        "checkpoints of the thread",
        (1, 10, 100, 1_000, 10_000),
        (1, 500),
        _long,
        history=lambda at: at,
    ),
    Axis(
        "state",
        "bytes of a state, all of them new with each put",
        _SIZES,
        _SIZES[:3],
        partial(_large, new_values),
    ),
    Axis(
        "grown",
        "bytes of a state that grew by 500 since the last put",
        _SIZES,
        _SIZES[:3],
        partial(_large, grown_values),
    ),
    Axis("callers", "calls at the same time", (1, 10, 100, 500), (1, 20), _callers),
)
AXES: Mapping[str, Axis] = {axis.name: axis for axis in _LISTED}
OPERATIONS = ("get", "put")
