"""A client process of `benchmarks.growth`: one point of one axis, `python -m ... TASK`.

TASK is JSON: `axis`, `at`, `address`. It says `{"ready": true}`, then does, for each line of its
input, that many operations: `{"operation": "get", "operations": 200}`, and prints what they cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from .bench import Bench
from .chats import warm_up
from .growth_axes import AXES, Subject
from .meter import Cost, Meter
from .others import write_others
from .savers import KUSTO, opened


async def main(task: dict[str, Any]) -> None:
    """Prepare one point and measure what is asked for."""
    axis, at, address = AXES[task["axis"]], task["at"], task["address"]
    async with opened(KUSTO, {**address, "create": True}) as bench, opened(KUSTO, address) as other:
        for each in (bench, other):
            await warm_up(each)
        await write_others(address["uri"], address["database"], axis.others(at))
        subject = axis.make(bench, other, at)
        await subject.prepare(bench.driver, axis.history(at))
        print(json.dumps({"ready": True, "operations": subject.operations}), flush=True)
        for line in sys.stdin:
            print(json.dumps(await _measured(bench, subject, **json.loads(line))), flush=True)


async def _measured(
    bench: Bench, subject: Subject, operation: str, operations: int
) -> dict[str, Any]:
    if operation == "put":
        for thread in subject.threads:
            thread.prepare(-(-operations // len(subject.threads)))
    bench.meter = Meter()
    cost = Cost()
    await subject.run(bench, operation, operations)
    report = cost.report(bench.meter.units)
    return {**report, "p50": bench.meter.report()[operation]["p50"]}


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
