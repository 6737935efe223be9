"""What calls cost as a database grows: `make growth`, or `python -m benchmarks.growth`.

For each axis and point a client in a process of its own, over an empty local server, reads the
newest checkpoint and puts the next: CPU of both sides, median time, requests, bytes, and, in a
second pass, what SQLite does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.processes import Child

from .growth_axes import AXES, OPERATIONS, Axis
from .kusto_server import WORK
from .machine import described
from .places import Counts, Place, Places
from .runs import CLIENT_PATIENCE_SECONDS, _line
from .tables import aligned

_COUNTED_OPERATIONS = 20
Result = dict[str, Any]


def measure(places: Places, axis: Axis, at: int) -> Iterator[Result]:
    """Measure one point; yield a result for each operation."""
    with places.open("local") as place:
        task = {"axis": axis.name, "at": at, "address": place.address}
        client = Child(
            [sys.executable, "-m", "benchmarks.growth_client", json.dumps(task)],
            stdin=True,
            patience=CLIENT_PATIENCE_SECONDS,
        )
        try:
            operations = _line(client)["operations"]
            measured = [_asked(client, place, name, operations) for name in OPERATIONS]
            place.counts(WORK)
            few = min(operations, _COUNTED_OPERATIONS)
            works = [_asked(client, place, name, few) for name in OPERATIONS]
        finally:
            client.close()
    for name, (cost, counts), (again, work) in zip(OPERATIONS, measured, works, strict=True):
        yield {
            "axis": axis.name,
            "at": at,
            "operation": name,
            **_costs(cost, counts),
            **{name: work[name] / again["units"] for name in ("statements", "steps", "rows")},
        }


def _asked(client: Child, place: Place, operation: str, operations: int) -> tuple[Result, Counts]:
    """Let the client do something; give what it reports and what the server counted meanwhile."""
    before = place.counts()
    client.say(json.dumps({"operation": operation, "operations": operations}))
    cost = _line(client)
    after = place.counts()
    return cost, {name: after[name] - before.get(name, 0) for name in after}


def _costs(cost: Mapping[str, Any], counts: Counts) -> Result:
    """What one operation cost."""
    units = cost["units"]
    requests = sum(counts[name] for name in ("ingest", "query", "mgmt"))
    moved = sum(counts[name] for name in ("ingest_bytes", "query_bytes", "answer_bytes"))
    return {
        "operations": units,
        "client_us": cost["cpu_us_per_unit"],
        "server_us": counts["server_cpu_seconds"] / units * 1e6,
        "p50_ms": cost["p50"],
        "requests": requests / units,
        "bytes": moved / units,
    }


def text(results: Sequence[Result]) -> str:
    """A table for each axis."""
    parts = []
    for axis in AXES.values():
        found = [result for result in results if result["axis"] == axis.name]
        if found:
            heads = ["", "operation", "client us", "server us", "p50 ms", "requests", "kB"]
            heads += ["statements", "steps", "rows"]
            rows = [heads, *map(_cells, found)]
            parts.append("\n".join([f"{axis.name}: {axis.about}", *aligned(rows)]))
    return "\n\n".join(parts)


def _cells(result: Result) -> list[str]:
    return [
        f"{result['at']:,}",
        result["operation"],
        f"{result['client_us']:,.0f}",
        f"{result['server_us']:,.0f}",
        f"{result['p50_ms']:,.2f}",
        f"{result['requests']:.3f}",
        f"{result['bytes'] / 1000:,.2f}",
        *(f"{result[name]:,.1f}" for name in ("statements", "steps", "rows")),
    ]


def main() -> int:
    """Measure, print, write."""
    asked = _arguments()
    found: Result = {"machine": described(), "results": []}
    with Places() as places:
        for axis in [AXES[name] for name in asked.axis or AXES]:
            for at in axis.quick if asked.quick else axis.points:
                print(f"{axis.name} {at:,}", file=sys.stderr, flush=True)
                found["results"] += measure(places, axis, at)
    print(text(found["results"]))
    print(json.dumps(found["machine"]))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
        if asked.plots:
            from .plots import draw_growth

            draw_growth(found["results"], asked.out / "growth.svg")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--axis", action="append", choices=list(AXES), help="repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller points")
    parser.add_argument("--out", type=Path, help="directory for growth.json and growth.svg")
    parser.add_argument("--plots", action="store_true", help="draw growth.svg, with matplotlib")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
