"""A process that puts by one way of ingestion and then waits to be killed.

`python -m shared.way_writer URI DATABASE THREAD INGESTION` says `small` and `large` when those two
puts and a `put_writes` were acknowledged. No test stands here.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .places import Place
from .processes import ROOT, Child, child_environment
from .threads import Chain, noise

LARGE = noise(300_000)


def start(place: Place, thread_id: str, ingestion: str) -> Child:
    """Start the process."""
    command = [sys.executable, "-m", "shared.way_writer", place.uri, place.database]
    paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
    return Child([*command, thread_id, ingestion], env={"PYTHONPATH": paths})


async def main(uri: str, database: str, thread_id: str, ingestion: Any) -> None:
    """Write, say so, wait; the saver is never closed."""
    saver = AsyncKustoSaver(uri, database, ingestion=ingestion)
    chain = Chain(saver, thread_id)
    stored = await chain.step(small=1)
    await saver.aput_writes(stored, [("small", 2)], "task")
    print("small", flush=True)
    await chain.step(large=LARGE)
    print("large", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
