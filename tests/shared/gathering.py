"""Reads that have to wait for a slot and so share requests, and threads for them to read.

No test stands here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig

from langgraph.checkpoint.kusto.local import Faults

from .threads import Chain, config_of, eventually, noise

ONE: dict[str, Any] = {"max_queries": 1, "retry_backoff": 0.001}


async def written(saver: Any, names: Sequence[str]) -> list[RunnableConfig]:
    """Threads with a value, some with a large one, and a pending write each; where they are."""

    async def write(number: int, name: str) -> RunnableConfig:
        chain = Chain(saver, name)
        await chain.step(number=-1)
        stored = await chain.step(number=number, large=noise(40_000 * (number % 5 == 0), number))
        await saver.aput_writes(stored, [("a", number)], "task")
        return chain.place

    return await asyncio.gather(*[write(number, name) for number, name in enumerate(names)])


def check(found: Sequence[Any]) -> None:
    """Each read got its own thread."""
    for number, item in enumerate(found):
        assert item.checkpoint["channel_values"] == {
            "number": number,
            "large": noise(40_000 * (number % 5 == 0), number),
        }
        assert item.pending_writes == [("task", "a", number)]


def waiting(saver: Any) -> int:
    """Reads that gathered."""
    return len(saver._home._core._queries._gathering)


@asynccontextmanager
async def gathered(
    saver: Any, faults: Faults, places: Sequence[RunnableConfig], slots: int = 1
) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Reads that wait until all have come, behind others that fill the slots; leave to answer."""
    held = faults.add("stall", endpoint="query", times=slots)
    first = [asyncio.ensure_future(saver.aget_tuple(config_of("nothing"))) for _ in range(slots)]

    async def stalled() -> bool:
        return held.hits == slots

    await eventually(stalled)
    reads = [asyncio.ensure_future(saver.aget_tuple(place)) for place in places]

    async def all_wait() -> bool:
        return waiting(saver) == len(places)

    await eventually(all_wait)
    yield reads
    held.release()
    assert await asyncio.gather(*first) == [None] * slots
    await asyncio.wait(reads)
