"""Ratios between two runs: `python -m benchmarks.compare before.json after.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .tables import aligned


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str]]:
    """After / before, of what both runs measured: rate, CPU, requests, bytes, latencies."""
    rows = [["workload, saver", "rate", "CPU", "requests", "bytes", "p50 of each operation"]]
    for workload, savers in after["results"].items():
        for saver, new in savers.items():
            old = before["results"].get(workload, {}).get(saver)
            if old is None:
                continue
            rows.append(
                [
                    f"{workload}, {saver}",
                    _ratio(old, new, "per_second"),
                    _ratio(old, new, "cpu_us_per_unit"),
                    _ratio(old["counts"], new["counts"], "ingest"),
                    _ratio(old["counts"], new["counts"], "ingest_bytes"),
                    ", ".join(
                        f"{name} {_ratio(old['operations'][name], new['operations'][name], 'p50')}"
                        for name in new["operations"]
                        if name in old["operations"]
                    ),
                ]
            )
    return rows


def _ratio(old: Mapping[str, float], new: Mapping[str, float], name: str) -> str:
    if not old.get(name) or name not in new:
        return "-"
    return f"{new[name] / old[name]:.2f}"


def main(paths: list[str]) -> int:
    """Print the ratios; give the exit code."""
    if len(paths) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    before, after = (json.loads(Path(path).read_text()) for path in paths)
    if before["size"] != after["size"]:
        print(f"sizes differ: {before['size']} and {after['size']}", file=sys.stderr)
        return 1
    print("\n".join(aligned(compared(before, after))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
