"""What a workload costs its process: latencies, CPU, memory. Linux only (`/proc`).

Nothing about savers or servers.
"""

from __future__ import annotations

import math
import resource
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_PAGE_BYTES = resource.getpagesize()
_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Meter:
    """Latencies by the name of the operation; safe from several threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._units = 0

    async def timed(self, name: str, work: Awaitable[T]) -> T:
        """Await one operation and note how long it took."""
        began = time.perf_counter()
        found = await work
        self._seconds[name].append(time.perf_counter() - began)
        return found

    def note(self, name: str, seconds: float) -> None:
        """Note an operation that was timed elsewhere."""
        self._seconds[name].append(seconds)

    def add_units(self, units: int) -> None:
        """Count what the rate is about, where that is not the number of operations."""
        self._units += units

    @property
    def units(self) -> int:
        """What rates and costs are divided by."""
        return self._units or sum(map(len, self._seconds.values()))

    def report(self) -> dict[str, dict[str, float]]:
        """Count and quantiles of each operation, in milliseconds."""
        return {name: _spread(sorted(taken)) for name, taken in sorted(self._seconds.items())}


def _spread(taken: Sequence[float]) -> dict[str, float]:
    found: dict[str, float] = {"count": len(taken)}
    for name, share in _QUANTILES.items():
        rank = max(math.ceil(share * len(taken)), 1)  # nearest rank: a latency that occurred
        found[name] = taken[rank - 1] * 1000
    return found


class Cost:
    """Wall time, CPU of all threads and the growth of memory since it was made."""

    def __init__(self) -> None:
        self._resident = resident_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def report(self, units: int) -> dict[str, Any]:
        """What it came to, in all and for each unit."""
        seconds = time.perf_counter() - self._began
        cpu = time.process_time() - self._cpu
        return {
            "units": units,
            "seconds": seconds,
            "per_second": units / seconds,
            "cpu_seconds": cpu,
            "cpu_us_per_unit": cpu / units * 1e6,
            "peak_growth_bytes": highest_bytes() - self._resident,
        }


def resident_bytes() -> int:
    """Bytes resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def highest_bytes() -> int:
    """The most bytes that were resident since a `Cost` was made."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
