"""A process that writes until it is killed: `python -m shared.crash_writer URI DATABASE [trace]`.

It forks for each writer, so that a test can kill many without starting Python each time. Commands
come on standard input: `start SEED THREAD...` and `kill`. A writer says `ack THREAD ID DIGEST`
after each put that returned and `ackw THREAD ID DIGEST` after each `put_writes`. With `trace` it
also keeps the log that tells which requests were in flight: `begun NUMBER NANOSECONDS` when an
ingest request is handed to the HTTP client, `ended NUMBER NANOSECONDS OUTCOME` when it returned;
some values then need several requests, and a writer outlives its server. No test stands here.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from typing import Any

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto._transport import SdkTransport, parse_endpoint

from .stored_rows import digest
from .threads import Chain

SIZES = (100, 40_000, 300_000, 900_000)
LARGER = 3_500_000  # as base64 more than one request takes
PATIENCE: dict[str, Any] = {"max_retries": 10_000, "retry_backoff": 0.02, "retry_timeout": 100.0}


def say(line: str) -> None:
    """Write one line at once, whole."""
    os.write(1, line.encode() + b"\n")


class TracingTransport(SdkTransport):
    """Says when an ingest request begins and when it ends, with the time all processes share."""

    async def open(self) -> None:
        await super().open()
        client: Any = self._client
        really_send, numbers = client.execute_streaming_ingest, itertools.count()

        async def send(*arguments: Any, **named: Any) -> None:
            number, outcome = next(numbers), "failed"
            say(f"begun {number} {time.monotonic_ns()}")
            try:
                await really_send(*arguments, **named)
                outcome = "answered"
            finally:
                say(f"ended {number} {time.monotonic_ns()} {outcome}")

        client.execute_streaming_ingest = send


def new_saver(uri: str, database: str, trace: bool) -> AsyncKustoSaver:
    """The saver of a writer."""
    if not trace:
        return AsyncKustoSaver(uri, database)
    return AsyncKustoSaver(transport=TracingTransport(parse_endpoint(uri, database)), **PATIENCE)


async def write(uri: str, database: str, seed: int, threads: list[str], trace: bool) -> None:
    """Write threads side by side, for ever: small and large values, and pending writes."""
    saver = new_saver(uri, database, trace)
    value_sizes = (*SIZES * 8, LARGER) if trace else SIZES
    piece_sizes = (*(10, 500_000) * 8, LARGER) if trace else (10, 500_000)

    async def live(thread_id: str, rng: random.Random) -> None:
        chain = Chain(saver, thread_id)
        for number in range(1_000_000):
            changed: dict[str, Any] = {"number": number}
            for channel in ("a", "b", "c"):
                if rng.random() < 0.6:
                    changed[channel] = rng.randbytes(rng.choice(value_sizes))
            if rng.random() < 0.8:  # what grows is stored as what changed
                changed["grows"] = chain.values.get("grows", b"")[-60_000:] + rng.randbytes(2_000)
            metadata = {"digest": digest({**chain.values, **changed}), "step": number}
            stored = await chain.step(metadata, **changed)
            name = f"{thread_id} {stored['configurable']['checkpoint_id']}"
            say(f"ack {name} {metadata['digest']}")
            pieces = [rng.randbytes(rng.choice(piece_sizes)) for _ in range(3)]
            writes = [("piece", piece) for piece in pieces]
            whole = digest({str(place): piece for place, piece in enumerate(pieces)})
            await saver.aput_writes(stored, [("digest", whole), *writes], f"task {number}")
            say(f"ackw {name} {whole}")

    await asyncio.gather(*[live(name, random.Random(f"{seed} {name}")) for name in threads])


def main(uri: str, database: str, trace: str = "") -> None:
    """Start and kill writers as told."""
    writer = 0
    say("ready")
    for line in sys.stdin:
        word, *arguments = line.split()
        if word == "start":
            writer = os.fork()
            if writer == 0:
                asyncio.run(write(uri, database, int(arguments[0]), arguments[1:], bool(trace)))
                os._exit(0)
        else:
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            say("killed")


if __name__ == "__main__":
    main(*sys.argv[1:])
