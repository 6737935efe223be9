"""Results as text for a terminal. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .bench import Workload
from .targets import Outcome, Results

_NONE = "-"


def results_text(workloads: Sequence[Workload], size: str, results: Results) -> str:
    """A table for each workload that was measured."""
    return "\n\n".join(
        _workload_text(workload, size, results[workload.name])
        for workload in workloads
        if workload.name in results
    )


def _workload_text(workload: Workload, size: str, found: Mapping[str, Any]) -> str:
    operations = sorted({name for result in found.values() for name in result["operations"]})
    unit = workload.unit
    heads = ["saver", f"{unit}s/s", f"CPU us/{unit}", "server us", "peak MB"]
    heads += [f"requests/{unit}", f"kB/{unit}"]
    heads += [f"{name} ms p50/p95/p99" for name in operations]
    rows = [[name, *_cells(result, operations)] for name, result in found.items()]
    sizes = ", ".join(f"{name} {value}" for name, value in workload.sizes[size].items())
    lines = [f"{workload.name}: {workload.about} ({sizes})", *aligned([heads, *rows])]
    notes = [
        f"    {name}: {note} {value:,.4g}"
        for name, result in found.items()
        for note, value in result["notes"].items()
    ]
    return "\n".join([*lines, *notes])


def _cells(result: Mapping[str, Any], operations: Sequence[str]) -> Iterator[str]:
    counts, units = result["counts"], result["units"]
    yield f"{result['per_second']:,.1f}"
    yield f"{result['cpu_us_per_unit']:,.0f}"
    server = counts.get("server_cpu_seconds")
    yield _NONE if server is None else f"{server / units * 1e6:,.0f}"
    yield f"{result['peak_growth_bytes'] / 1e6:,.1f}"
    if "ingest" in counts:
        yield f"{(counts['ingest'] + counts['query'] + counts['mgmt']) / units:.3f}"
        yield f"{counts['ingest_bytes'] / units / 1000:,.2f}"
    else:
        yield _NONE
        stored = counts.get("stored_bytes")
        yield _NONE if stored is None else f"{stored / units / 1000:,.2f}"
    for name in operations:
        taken = result["operations"].get(name)
        yield (
            _NONE
            if taken is None
            else "/".join(f"{taken[quantile]:,.1f}" for quantile in ("p50", "p95", "p99"))
        )


def targets_text(outcomes: Sequence[Outcome]) -> str:
    """The targets beside what was measured."""
    rows = [["target", "wanted", "measured", ""]]
    for outcome in outcomes:
        measured = _NONE if outcome.measured is None else f"{outcome.measured:,.4g}"
        verdict = {None: "not measured", True: "met", False: "MISSED"}[outcome.met]
        rows.append([outcome.what, outcome.wanted, measured, verdict])
    return "\n".join(aligned(rows))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
