"""What a workload is, and what it is given. The workloads stand in modules of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .driver import AsyncDriver, Driver
from .meter import Meter


@dataclass
class Bench:
    """A saver under a workload.

    `saver` has the async names; `checkpointer` is what a graph is compiled with. `notes` are
    further results of a workload, by name. `prefix` begins its thread ids, where several workloads
    share a place.
    """

    saver: Any
    checkpointer: Any
    driver: Driver = field(default_factory=AsyncDriver)
    meter: Meter = field(default_factory=Meter)
    notes: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""

    def thread(self, name: str) -> dict[str, Any]:
        """The config of a thread."""
        return {"configurable": {"thread_id": f"{self.prefix}{name}", "checkpoint_ns": ""}}

    def ingested_bytes(self) -> int | None:
        """Bytes this saver has ingested so far, uncompressed; None for other libraries' savers."""
        return self._stat("ingest_bytes")

    def queries(self) -> int | None:
        """Queries this saver has sent so far; None for other libraries' savers."""
        return self._stat("queries")

    def _stat(self, name: str) -> int | None:
        stats = getattr(self.saver, "stats", None)
        return None if stats is None else int(stats()[name])


Prepare = Callable[..., Awaitable[Any]]
Run = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Workload:
    """One workload.

    `prepare(bench, **size)` does what is not measured and gives what `run(bench, prepared)` needs.
    """

    name: str
    about: str
    unit: str
    sizes: Mapping[str, Mapping[str, Any]]
    savers: tuple[str, ...]
    prepare: Prepare
    run: Run
    cold: bool = False
    """Measured from the start of the process on, over what an earlier process stored."""

    full_only: tuple[str, ...] = ()
    """Savers that would take too long for a quick run."""


FULL, QUICK, TINY = "full", "quick", "tiny"
SIZES = (FULL, QUICK, TINY)
