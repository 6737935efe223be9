"""A process that puts through queued ingestion and then waits to be killed.

`python -m shared.queued_writer URI DATABASE THREAD` says `small` and `large` when those two puts
and a `put_writes` were acknowledged. No test stands here.
"""

from __future__ import annotations

import asyncio
import sys

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .threads import Chain, noise


async def main(uri: str, database: str, thread_id: str) -> None:
    """Write, say so, wait; the saver is never closed."""
    saver = AsyncKustoSaver(uri, database, ingestion="queued")
    chain = Chain(saver, thread_id)
    stored = await chain.step(small=1)
    await saver.aput_writes(stored, [("small", 2)], "task")
    print("small", flush=True)
    await chain.step(large=noise(300_000))
    print("large", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
