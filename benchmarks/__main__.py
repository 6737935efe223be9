"""The whole run: `make bench`, or `python -m benchmarks --size quick --workload chats_100`.

`python -m benchmarks --show results.json` prints the tables of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .bench import FULL, SIZES
from .machine import described
from .places import Places
from .runs import measure_all
from .tables import results_text, targets_text
from .targets import outcomes
from .workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; give the exit code, which speed does not change."""
    asked = _arguments(arguments)
    if asked.show is not None:
        return _show(asked.show)
    workloads = [WORKLOADS[name] for name in asked.workload or WORKLOADS]
    savers = set(asked.saver or ())
    began = time.monotonic()
    found: dict[str, Any] = {"machine": described(), "size": asked.size, "runs": asked.runs}
    with Places() as places:
        results, failures = measure_all(
            places,
            workloads,
            lambda name: not savers or name in savers,
            asked.size,
            asked.runs,
            lambda line: print(line, file=sys.stderr, flush=True),
        )
    held = outcomes(results)
    found |= {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "results": results,
        "targets": [asdict(outcome) for outcome in held],
        "failures": failures,
    }
    _print(found)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        written = asked.out / "results.json"
        written.write_text(json.dumps(found, indent=1) + "\n")
        print(f"written: {written}")
        if asked.plots:
            from .plots import draw

            for path in draw(found, asked.out):
                print(f"written: {path}")
    return 1 if failures else 0


def _show(path: Path) -> int:
    try:
        found = json.loads(path.read_text())
        _print(found)
    except (OSError, ValueError) as error:
        print(f"{path} cannot be read: {error}", file=sys.stderr)
    except (KeyError, TypeError) as error:
        print(f"{path} holds no run of this program: {error!r}", file=sys.stderr)
    else:
        return 0
    return 2


def _print(found: Mapping[str, Any]) -> None:
    size, results = found["size"], found["results"]
    print(results_text(list(WORKLOADS.values()), size, results))
    print(f"\n{targets_text(outcomes(results))}\n")
    if size != FULL:
        print(f"The targets are about full sizes; these are {size}.")
    print(json.dumps(found["machine"]))
    for failure in found["failures"]:
        print(f"FAILED: {failure}")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default=FULL)
    parser.add_argument("--runs", type=int, default=3, help="the median of so many runs counts")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    savers = sorted({saver for workload in WORKLOADS.values() for saver in workload.savers})
    parser.add_argument("--saver", action="append", choices=savers)
    parser.add_argument("--out", type=Path, help="directory for results.json and the plots")
    parser.add_argument("--show", type=Path, help="print an earlier run's results.json, and end")
    parser.add_argument("--plots", action="store_true", help="draw them, with matplotlib")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
