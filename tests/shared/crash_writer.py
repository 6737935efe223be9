"""A process that writes until it is killed: `python -m shared.crash_writer URI DATABASE`.

It forks for each writer, so that a test can kill many without starting Python each time. Commands
come on standard input: `start SEED THREAD...` and `kill`; a writer says `ack THREAD ID` after each
put that returned. No test stands here.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from collections.abc import Mapping
from typing import Any

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .threads import Chain


def digest(values: Mapping[str, Any]) -> str:
    """What the values of a checkpoint must add up to."""
    seen = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        seen.update(
            name.encode() + b"\0" + (value if isinstance(value, bytes) else repr(value).encode())
        )
    return seen.hexdigest()


def say(line: str) -> None:
    """Write one line at once, whole."""
    os.write(1, line.encode() + b"\n")


async def write(uri: str, database: str, seed: int, threads: list[str]) -> None:
    """Write threads side by side, for ever: small and large values, and pending writes."""
    saver = AsyncKustoSaver(uri, database)

    async def live(thread_id: str, rng: random.Random) -> None:
        chain = Chain(saver, thread_id)
        for number in range(1_000_000):
            changed: dict[str, Any] = {"number": number}
            for name in ("a", "b", "c"):
                if rng.random() < 0.6:
                    changed[name] = rng.randbytes(rng.choice([100, 40_000, 300_000, 900_000]))
            metadata = {"digest": digest({**chain.values, **changed}), "step": number}
            stored = await chain.step(metadata, **changed)
            say(f"ack {thread_id} {stored['configurable']['checkpoint_id']}")
            pieces = [rng.randbytes(rng.choice([10, 500_000])) for _ in range(3)]
            writes = [("piece", piece) for piece in pieces]
            whole = digest({str(place): piece for place, piece in enumerate(pieces)})
            await saver.aput_writes(stored, [("digest", whole), *writes], f"task {number}")
            say(f"ackw {thread_id} {stored['configurable']['checkpoint_id']}")

    await asyncio.gather(*[live(name, random.Random(f"{seed} {name}")) for name in threads])


def main(uri: str, database: str) -> None:
    """Start and kill writers as told."""
    writer = 0
    say("ready")
    for line in sys.stdin:
        word, *arguments = line.split()
        if word == "start":
            writer = os.fork()
            if writer == 0:
                asyncio.run(write(uri, database, int(arguments[0]), arguments[1:]))
                os._exit(0)
        else:
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            say("killed")


if __name__ == "__main__":
    main(*sys.argv[1:])
