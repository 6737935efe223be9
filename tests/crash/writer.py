"""The process that forks writers: `python -m crash.writer [--defect NAME]`.

A writer drives one saver over many threads side by side until it is killed, and notes in its log
what it is about to do and what came of it (`events`). Lives here: one writer and what it does to
its threads. Does not live here: starting and killing (`forks`, `campaign`), judging (`checker`).
No test stands here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from shared.threads import config_of, id_of, new_checkpoint

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto.errors import (
    BackpressureError,
    InvalidConfigError,
    KustoCheckpointError,
    SerializationError,
    ValueTooLargeError,
)

from .defects import plant
from .events import NONE, Log, digest, metadata_digest, pieces_digest
from .forks import Order, serve

NOISE = os.urandom(8_000_000)  # values are cut out of it: they do not compress
# Sizes of values that change rarely, and how often each is drawn; the largest takes two requests.
SIZES = {40_000: 80, 200_000: 12, 900_000: 3, 4_000_000: 1}
PIECES = {20: 300, 2_000: 40, 60_000: 4, 1_200_000: 1}
OPTIONS: dict[str, Any] = {
    "max_retries": 10_000,
    "retry_backoff": 0.02,
    "retry_timeout": 100.0,
    "ingest_timeout": 2.0,  # a request that the server holds is sent again after it
    "query_timeout": 10.0,
    "visibility_timeout": 60.0,
}
NOT_STORED = (BackpressureError, InvalidConfigError, SerializationError, ValueTooLargeError)
TRIES = 100
STEPS_OF_A_THREAD = 120


class GivenUpError(Exception):
    """A call failed as often as it may; its thread is left alone."""


def drawn_value(rng: random.Random, sizes: Mapping[int, int]) -> bytes:
    """A value nobody wrote before."""
    (size,) = rng.choices([*sizes], [*sizes.values()])
    start = rng.randrange(len(NOISE) - size)
    return rng.randbytes(8) + NOISE[start : start + size]


class Author:
    """Writes one thread, and reads it."""

    def __init__(self, saver: AsyncKustoSaver, log: Log, thread_id: str, order: Order) -> None:
        self._saver = saver
        self._log = log
        self._rng = random.Random(f"{order['seed']} {order['writer']} {thread_id}")
        self._prefix = f"{order['writer']}."
        self._changes: float = order["changes"]
        self.thread_id = thread_id
        self._lives = 0
        self._life = NONE
        self._known: set[str] = set()
        self._old = NONE
        self._forget()

    def _forget(self) -> None:
        self._config = config_of(self.thread_id)
        self._values: dict[str, Any] = {}
        self._versions: dict[str, Any] = {}
        self._step = 0
        self._known.clear()

    # -- calls -----------------------------------------------------------------------------------

    async def _call(
        self, begin: Callable[[], int], call: Callable[[], Awaitable[Any]]
    ) -> tuple[int, Any]:
        """Make a call until it returns, as a caller does that hears of an error.

        Raises:
            GivenUpError: it never did.
        """
        for _ in range(TRIES):
            number = begin()
            try:
                found = await call()
            except KustoCheckpointError as error:
                outcome = "never" if isinstance(error, NOT_STORED) else "maybe"
                self._log.failed(number, type(error).__name__, outcome)
                await asyncio.sleep(self._rng.random() * 0.05)
                continue
            return number, found
        raise GivenUpError(self.thread_id)

    async def _put(
        self, config: RunnableConfig, checkpoint: Any, new: Mapping[str, Any], life: str
    ) -> tuple[RunnableConfig, str]:
        """Put a checkpoint; without a parent each try is a life of its own. Give the life."""
        parent = str(config["configurable"].get("checkpoint_id", NONE))
        values = checkpoint["channel_values"]
        body: dict[str, Any] = {}

        def begin() -> int:
            nonlocal life
            if parent == NONE:
                self._lives += 1
                life = f"{self._prefix}{self._lives}"
            body.update(source="loop", step=self._step, parents={}, life=life, old=self._old)
            body["digest"] = digest(values)
            where = (self.thread_id, life, checkpoint["id"], parent)
            return self._log.begin("put", *where, body["digest"], metadata_digest(body))

        async def call() -> Any:
            return await self._saver.aput(config, checkpoint, body, dict(new))

        number, stored = await self._call(begin, call)
        self._log.done(number)
        return stored, life

    async def _put_writes(self, config: RunnableConfig, task: str, life: str) -> None:
        pieces = [drawn_value(self._rng, PIECES) for _ in range(self._rng.choice((1, 1, 2, 3)))]
        whole = pieces_digest(pieces)
        writes = [("digest", whole), *(("piece", piece) for piece in pieces)]
        where = (self.thread_id, life, id_of(config), task, len(writes), whole)

        async def call() -> None:
            await self._saver.aput_writes(config, writes, task)

        for _ in range(2 if self._rng.random() < 0.02 else 1):  # a caller may call twice
            number, _ = await self._call(lambda: self._log.begin("writes", *where), call)
            self._log.done(number)

    # -- what a thread goes through --------------------------------------------------------------

    async def live(self, steps: int) -> None:
        """Go on with the thread as it is found."""
        try:
            await self._read()
            if self._old != NONE and self._rng.random() < 0.5:
                life, checkpoint_id = self._old.split("|")
                await self._straggle(config_of(self.thread_id, "", checkpoint_id), life)
                # Writes before their checkpoint get the epoch last used in the thread, which now
                # is the old one, perhaps not known to be dead yet: a step of the living run first.
                await self._go_on(early=False)
            for _ in range(steps):
                await self._one()
        except GivenUpError:
            return

    async def _one(self) -> None:
        draw = self._rng.random()
        if self._step and draw < 0.015:
            await self._delete()
        elif draw < 0.03:
            await self._read()
        elif self._step and draw < 0.045:
            await self._read(id_of(self._config))
        else:
            await self._go_on()

    async def _go_on(self, *, early: bool = True) -> None:
        """One step: a put, sometimes put again, and pending writes, sometimes at the same time."""
        rng, new = self._rng, {}
        changed = {"note": rng.randbytes(rng.randrange(10, 200)), "number": self._step}
        for channel in ("steady", "other"):
            if rng.random() < (self._changes if self._step else max(0.25, self._changes)):
                changed[channel] = drawn_value(rng, SIZES)
        if rng.random() < 0.6:  # most of it stood there before: stored as what changed
            grown = self._values.get("history") or rng.randbytes(6_000)
            changed["history"] = grown[-40_000:] + rng.randbytes(rng.choice((100, 300, 2_000)))
        for channel, value in changed.items():
            self._values[channel] = value
            new[channel] = self._saver.get_next_version(self._versions.get(channel), None)
        self._versions |= new
        checkpoint = new_checkpoint(self._values, self._versions)
        named = config_of(self.thread_id, "", checkpoint["id"])
        # The writes may arrive before their checkpoint.
        if early and self._step and rng.random() < 0.3:
            (stored, self._life), _ = await both(
                self._put(self._config, checkpoint, new, self._life),
                self._put_writes(named, "early", self._life),
            )
        else:
            stored, self._life = await self._put(self._config, checkpoint, new, self._life)
        self._known.add(self._life)
        if rng.random() < 0.02:
            stored = await self._put_again(checkpoint, new)
        self._config = stored
        self._step += 1
        if rng.random() < 0.8:
            await self._put_writes(stored, "task", self._life)

    async def _put_again(self, checkpoint: Any, new: Mapping[str, Any]) -> RunnableConfig:
        """Put the same checkpoint once more, or another one of the same id."""
        if self._rng.random() < 0.5:
            self._values["note"] = self._rng.randbytes(50)
            checkpoint = {**checkpoint, "channel_values": dict(self._values)}
        stored, self._life = await self._put(self._config, checkpoint, new, self._life)
        self._known.add(self._life)
        return stored

    async def _delete(self) -> None:
        """Delete the thread; somebody who does not know goes on with it, somebody begins anew."""
        config, life = self._config, self._life
        lives = ",".join(sorted(self._known))
        number, _ = await self._call(
            lambda: self._log.begin("delete", self.thread_id, lives),
            lambda: self._saver.adelete_thread(self.thread_id),
        )
        self._log.done(number)
        self._old = f"{life}|{id_of(config)}"
        self._forget()
        await self._read()
        draw = self._rng.random()
        if draw < 0.4:
            await both(self._go_on(), self._straggle(config, life))
        elif draw < 0.8:
            await self._go_on()
            await self._straggle(config, life)
        else:
            await self._straggle(config, life)

    async def _straggle(self, config: RunnableConfig, life: str) -> None:
        """Write as a run does that began in a life that was deleted meanwhile."""
        values = {"note": self._rng.randbytes(30), "number": -1}
        if self._rng.random() < 0.2:
            values["steady"] = drawn_value(self._rng, SIZES)
        versions = dict.fromkeys(values, "00000000000000000000000000000001.5")
        checkpoint = new_checkpoint(values, versions)
        stored, _ = await self._put(config, checkpoint, versions, life)
        await self._put_writes(stored, "straggler", life)
        await self._put_writes(config, "straggler", life)

    async def _read(self, checkpoint_id: str | None = None) -> None:
        """Read, note what came back; without an id, go on from it."""
        config = config_of(self.thread_id, "", checkpoint_id)
        number, found = await self._call(
            lambda: self._log.begin("read", self.thread_id, checkpoint_id or NONE),
            lambda: self._saver.aget_tuple(config),
        )
        if found is None:
            self._log.got(number, NONE)
            if checkpoint_id is None:
                self._forget()
            return
        values, metadata = found.checkpoint["channel_values"], found.metadata
        words = (metadata.get("life"), digest(values), metadata_digest(metadata))
        self._log.got(number, found.checkpoint["id"], *words, noted_writes(found.pending_writes))
        if checkpoint_id is None:
            self._values, self._versions = dict(values), dict(found.checkpoint["channel_versions"])
            self._config, self._life = found.config, metadata["life"]
            self._known.add(self._life)
            self._step, self._old = max(1, metadata["step"] + 1), metadata["old"]


async def both(first: Awaitable[Any], second: Awaitable[Any]) -> tuple[Any, Any]:
    """Wait for both, also when one of them fails."""
    found = await asyncio.gather(first, second, return_exceptions=True)
    for item in found:
        if isinstance(item, BaseException):
            raise item
    return found[0], found[1]


def noted_writes(writes: list[tuple[str, str, Any]] | None) -> str:
    """The digest of the pieces of each task, in the order they came."""
    tasks: dict[str, list[Any]] = {}
    for task, channel, value in writes or ():
        pieces = tasks.setdefault(task, [])
        if channel == "piece":
            pieces.append(value)
    noted = [f"{task}:{len(pieces) + 1}:{pieces_digest(pieces)}" for task, pieces in tasks.items()]
    return ",".join(noted) or NONE


async def write(order: Order) -> None:
    """Write threads side by side until killed: those that are there first, then new ones."""
    log = Log(order["log"])
    saver = AsyncKustoSaver(order["uri"], order["database"], **{**OPTIONS, **order["options"]})

    async def one_after_the_other(place: int, name: str) -> None:
        number = 0
        while True:
            await Author(saver, log, name, order).live(STEPS_OF_A_THREAD)
            number += 1
            name = new_thread(order["writer"], place, number)

    await asyncio.gather(
        *[one_after_the_other(place, name) for place, name in enumerate(order["threads"])]
    )


def new_thread(writer: int, place: int, number: int = 0) -> str:
    """The name of a thread that no other writer begins."""
    return f"crash-{writer}-{place}-{number}"


def main() -> None:
    """Fork writers as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--defect")
    defect = parser.parse_args().defect

    def body(order: Order) -> None:
        if defect:
            plant(defect)
        asyncio.run(write(order))

    serve(body)


if __name__ == "__main__":
    main()
