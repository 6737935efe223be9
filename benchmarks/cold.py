"""A cold start: the time from the start of a process until it has read a checkpoint.

Imports nothing heavy: what an import takes is part of it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .driver import run_here

if TYPE_CHECKING:
    from .bench import Bench


async def prepare(bench: Bench, *, steps: int) -> int:
    """Write the thread that a later process reads."""
    from .chats import Chat

    await Chat(bench, "cold", steps).run()
    return steps


async def run(bench: Bench, steps: int) -> None:
    """Nothing more, in the process that wrote it."""


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Open the saver and read; give the times, from the start of the process on."""
    from .savers import is_sync, opened_sync

    sync = is_sync(task["saver"])
    marks = {"python": time.monotonic()}
    if sync:
        bench = opened_sync(task["saver"], task["address"], create=False)
        marks["opened"] = time.monotonic()
        with bench.checkpointer:
            run_here(_first(bench, marks))
    else:
        asyncio.run(_open_and_read(task, marks))
    from .meter import highest_bytes

    cpu, began = time.process_time(), task["spawned"]
    milliseconds = {name: (moment - began) * 1000 for name, moment in marks.items()}
    total = (marks["read"] - began) * 1000
    return {
        "units": 1,
        "seconds": total / 1000,
        "per_second": 1000 / total,
        "cpu_seconds": cpu,
        "cpu_us_per_unit": cpu * 1e6,
        "peak_growth_bytes": highest_bytes(),
        "operations": {"start": {"count": 1, "p50": total, "p95": total, "p99": total}},
        "notes": {f"ms_until_{name}": value for name, value in milliseconds.items()},
    }


async def _open_and_read(task: dict[str, Any], marks: dict[str, float]) -> None:
    from .savers import opened

    async with opened(task["saver"], task["address"]) as bench:
        marks["opened"] = time.monotonic()
        await _first(bench, marks)


async def _first(bench: Bench, marks: dict[str, float]) -> None:
    found = await bench.saver.aget_tuple(bench.thread("cold"))
    marks["read"] = time.monotonic()
    if found is None:
        raise ValueError("the thread that was prepared is not there")
