"""A client process: one workload over one saver, `python -m benchmarks.client TASK`.

TASK is JSON: `saver`, `workload`, `size`, `address`, `cold`, `profile` (a file to write one
to), and `spawned`, the monotonic clock at its start.
Prints `{"ready": true}`, waits for a line, runs the workload and prints what it cost: the parent
counts at the servers between the two. Heavy modules are imported late, because a cold start is one
of the workloads.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .driver import run_here

if TYPE_CHECKING:
    from .bench import Bench, Workload


def main(task: dict[str, Any]) -> None:
    """Run one task."""
    if task["cold"]:
        from .cold import measure

        print(json.dumps({"ready": True}), flush=True)
        print(json.dumps(measure(task)), flush=True)
        return
    from .savers import is_sync, opened_sync
    from .workloads import WORKLOADS

    workload = WORKLOADS[task["workload"]]
    if is_sync(task["saver"]):
        address = task["address"]
        bench = opened_sync(task["saver"], address, create=bool(address.get("create")))
        with bench.checkpointer:
            run_here(_measured(bench, workload, task))
    else:
        asyncio.run(_over_async(workload, task))


async def _over_async(workload: Workload, task: dict[str, Any]) -> None:
    from .savers import opened

    async with opened(task["saver"], task["address"]) as bench:
        await _measured(bench, workload, task)


async def _measured(bench: Bench, workload: Workload, task: dict[str, Any]) -> None:
    from .chats import warm_up
    from .meter import Cost, Meter

    await warm_up(bench)
    prepared = await workload.prepare(bench, **workload.sizes[task["size"]])
    bench.meter = Meter()
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    cost = Cost()
    with _profile(task["profile"]):
        await workload.run(bench, prepared)
    report = {
        **cost.report(max(bench.meter.units, 1)),
        "operations": bench.meter.report(),
        "notes": bench.notes,
    }
    print(json.dumps(report), flush=True)
    sys.stdin.readline()  # what it stored is measured while it still lives


@contextmanager
def _profile(path: str | None) -> Iterator[None]:
    """Write a profile of what is done here, if one was asked for."""
    if path is None:
        yield
        return
    from pathlib import Path

    from .sampler import Sampler

    with Sampler() as sampler:
        yield
    sampler.write(Path(path))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
