"""Ways of ingestion that sequences may run with, and what a server for one is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from shared.azurite import wait_until_empty
from shared.places import DATABASE

from . import operations as op

VISIBILITY_SECONDS = 60.0
"""How long a server hides rows; nobody waits for it, its clock is set forward."""

QUEUE_SECONDS = 0.3
"""How long rows of queued ingestion wait in a world that delays them; large values do not."""


@dataclass(frozen=True)
class Way:
    """A way of ingestion; queued ingestion needs an Azurite, and a database nobody else uses."""

    ingestion: str = "streaming"
    storage: str = ""
    database: str = DATABASE

    @property
    def is_queued(self) -> bool:
        """Whether rows travel through a queue."""
        return self.ingestion == "queued"

    def server(self, world: op.World) -> dict[str, Any]:
        """What a server is told; but for streaming ingestion nothing can go that way."""
        told: dict[str, Any] = {
            "database": self.database,
            "seed": world.seed,
            "turbulence": world.turbulence,
            "streaming": self.ingestion == "streaming",
        }
        if not self.is_queued:
            return {**told, "visibility": VISIBILITY_SECONDS if world.delayed else 0.0}
        # A put waits until its large values show, so their table cannot wait for a clock.
        return {
            **told,
            "azurite": self.storage,
            "queue_delay": QUEUE_SECONDS if world.delayed else 0.0,
        }

    async def settle(self) -> None:
        """Wait until Kusto has taken everything that was acknowledged."""
        if self.is_queued:
            await asyncio.to_thread(wait_until_empty, self.storage)
