"""A client under steady load: `python -m slow.steady_client URL DATABASE RATE MINUTES`.

Begins durable calls at a rate, whether those before have returned or not, each in a thread that
waits for nothing else. Says after each minute what became of them, as JSON. Linux only (`/proc`).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

from shared.threads import Chain, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .large_client import resident

THREADS = 100
"""Each is used every two seconds at a rate of 50, far longer than a call takes."""

READ_EVERY = 20
"""A thread is read, and compared, after so many of its calls."""


class Load:
    """Calls that were begun, and what became of them."""

    def __init__(self, saver: AsyncKustoSaver) -> None:
        self._saver = saver
        self._chains = [Chain(saver, f"steady {number}") for number in range(THREADS)]
        self._locks = [asyncio.Lock() for _ in self._chains]
        self._calls = [0] * THREADS
        self._random = random.Random(1)
        self.done = 0
        self.seconds: list[float] = []
        self.errors: list[str] = []

    async def call(self, place: int) -> None:
        """Make the next call in a thread: a put, then the writes of two tasks."""
        async with self._locks[place]:
            began = time.monotonic()
            try:
                await self._call(self._chains[place], self._calls[place])
                self.seconds.append(time.monotonic() - began)
                self.done += 1
                self._calls[place] += 1
                if self._calls[place] % READ_EVERY == 0:
                    chain = self._chains[place]
                    if await values_of(self._saver, chain.place) != chain.values:
                        raise ValueError(f"other values in {chain.thread_id}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self.errors.append(f"{type(error).__name__}: {error}")

    async def _call(self, chain: Chain, number: int) -> None:
        if number % 3 == 0:
            size = 60_000 if self._random.random() < 0.05 else 500
            await chain.step(number=number, text=self._random.randbytes(size))
            chain.stored.clear()
        else:
            writes = [("number", number), ("text", self._random.randbytes(200))]
            await self._saver.aput_writes(chain.config, writes, f"task {number}")

    def take_minute(self, minute: int) -> dict[str, Any]:
        """What the last minute was like."""
        taken, self.seconds = sorted(self.seconds), []
        done, self.done = self.done, 0
        return {
            "minute": minute,
            "calls": done,
            "resident": resident(),
            "median": taken[len(taken) // 2] if taken else None,
            "p99": taken[len(taken) * 99 // 100] if taken else None,
            "errors": self.errors[:5],
        }


async def main(url: str, database: str, rate: float, minutes: int) -> None:
    """Begin the calls, a minute at a time."""
    async with AsyncKustoSaver(url, database) as saver:
        load = Load(saver)
        begun: set[asyncio.Task[None]] = set()
        started, number = time.monotonic(), 0
        for minute in range(1, minutes + 1):
            while (due := started + number / rate) < started + minute * 60:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                task = asyncio.create_task(load.call(number % THREADS))
                begun.add(task)
                task.add_done_callback(begun.discard)
                number += 1
            print(json.dumps(load.take_minute(minute)), flush=True)
        await asyncio.gather(*begun)
        rest = load.take_minute(minutes)
        end = {"rest": rest["calls"], "errors": load.errors, "stats": saver.stats()}
        print(json.dumps(end), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
