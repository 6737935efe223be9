"""Where a client's CPU goes: `python -m benchmarks.profiled WORKLOAD SAVER`.

Prints, in microseconds for each unit of the workload, the functions with what they call, and the
lines that take most by themselves. `--under aput` looks only at what is called by a function of
that name.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .bench import FULL, SIZES
from .places import Places
from .runs import measure
from .sampler import Stack, read
from .workloads import WORKLOADS


def main() -> None:
    """Profile and print."""
    asked = _arguments()
    workload = WORKLOADS[asked.workload]
    stacks: Counter[Stack] = Counter()
    units = cpu = 0.0
    with Places() as places, tempfile.TemporaryDirectory(prefix="profile-") as folder:
        path = Path(folder, "stacks.json")
        for _ in range(asked.runs):
            found = measure(places, workload, asked.saver, asked.size, profile=str(path))
            stacks += read(path)
            units += found["units"]
            cpu += found["cpu_seconds"]
    each = cpu / units * 1e6
    print(f"{asked.workload} over {asked.saver}: {each:.0f} us CPU per {workload.unit}")
    print(f"{stacks.total()} samples of {each * units / stacks.total() / 1000:.1f} ms")
    scale = each / stacks.total()
    for under in ("", *(asked.under or ())):
        print(report(stacks, under, scale, asked.most))


def report(stacks: Counter[Stack], under: str, scale: float, most: int) -> str:
    """What functions take with what they call, and lines by themselves."""
    inclusive: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for stack, count in stacks.items():
        part = _below(stack, under)
        for name in dict.fromkeys(map(_function, part)):  # once, however often it calls itself
            inclusive[name] += count
        if part:
            alone[part[-1]] += count
    where = f" under {under}" if under else ""
    lines = [f"\nus with what they call{where}", *_rows(inclusive, scale, most)]
    return "\n".join([*lines, f"\nus by themselves{where}", *_rows(alone, scale, most)])


def _rows(found: Counter[str], scale: float, most: int) -> list[str]:
    rows = [["us", "where"]]
    rows += [[f"{count * scale:.1f}", name] for name, count in found.most_common(most)]
    return [f"{spent:>8}  {name}" for spent, name in rows]


def _function(place: str) -> str:
    """A function's file and name, whatever line of it."""
    file, _, rest = place.partition(":")
    return f"{file} {rest.partition(' ')[2]}"


def _below(stack: Stack, name: str) -> Sequence[str]:
    """The part of a stack from a function of a name on."""
    if not name:
        return stack
    for depth, place in enumerate(stack):
        if place.rpartition(" ")[2].rpartition(".")[2] == name:
            return stack[depth:]
    return ()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("saver")
    parser.add_argument("--size", choices=SIZES, default=FULL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--under", action="append", help="a function's name; repeatable")
    parser.add_argument("--most", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    main()
