"""A writer in front of a Kusto in the process, which holds and answers requests as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._writer import Writer
from langgraph.checkpoint.kusto.options import SaverOptions

T, OTHER = "Checkpoints", "CheckpointWrites"
MIB = 1024 * 1024


class FakeKusto:
    """An ingest endpoint in the process: holds requests while asked to, answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.landed: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self.answer: Callable[[str, bytes], BaseException | None] = lambda table, payload: None

    async def __call__(self, table: str, mapping: str, payload: bytes) -> None:
        assert len(payload) <= 4 * MIB or payload.count(b"\n") == 0
        self.requests.append((table, mapping, payload))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            error = self.answer(table, payload)
            if error is not None:
                raise error
            self.landed += payload.split(b"\n")
        finally:
            self.at_once -= 1

    def fail(self, *errors: BaseException | None) -> None:
        """Answer the next requests with these, and all others well."""
        queue = list(errors)
        self.answer = lambda table, payload: queue.pop(0) if queue else None

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, _, payload in self.requests]


class Bench:
    """A writer in front of a `FakeKusto`, and what it counted."""

    def __init__(self, **options: Any) -> None:
        self.kusto = FakeKusto()
        self.stats = Stats()
        self.writer = Writer(self.kusto, SaverOptions(**options), self.stats)

    def submit(self, *rows: bytes, table: str = T) -> asyncio.Future[None]:
        return self.writer.submit(table, rows)


async def settle() -> None:
    """Let the loop run what is ready, and what that makes ready."""
    for _ in range(30):
        await asyncio.sleep(0)


async def outcomes(answers: list[asyncio.Future[None]]) -> list[BaseException | None]:
    return await asyncio.gather(*answers, return_exceptions=True)
