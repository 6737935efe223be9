"""Plots for docs/performance.md, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .savers import MEMORY

_COLOURS = {
    "kusto": "#0b6e99",
    "kusto-sync": "#5aa9c9",
    "kusto+latency": "#b9d9e6",
    "kusto-sync+latency": "#d9ebf2",
    "kusto+null": "#073b52",
    "postgres": "#c0504d",
    "postgres+latency": "#e3b0ae",
    "sqlite": "#9bbb59",
}
_OTHER = "#808080"
Read = Callable[[Mapping[str, Any]], float]


def draw(run: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw rates, CPU and the latency of a put; give the files."""
    kinds: list[tuple[str, str, Read]] = [
        ("rate", "per second", lambda result: float(result["per_second"])),
        ("cpu", "client CPU, microseconds each", lambda result: float(result["cpu_us_per_unit"])),
    ]
    return [_bars(run, folder / f"{name}.svg", label, read) for name, label, read in kinds]


def _bars(run: Mapping[str, Any], path: Path, label: str, read: Read) -> Path:
    """A row for each workload, a bar for each saver, on a scale of its own.

    Without the saver in memory, beside which no other bar would be seen.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    results: dict[str, Mapping[str, Any]] = {}
    for workload, savers in run["results"].items():
        shown = {name: result for name, result in savers.items() if name != MEMORY}
        if len(shown) > 1:
            results[workload] = shown
    counts = [len(savers) for savers in results.values()] or [1]
    figure, rows = pyplot.subplots(
        len(counts),
        1,
        figsize=(9, 0.6 * len(counts) + 0.22 * sum(counts)),
        height_ratios=counts,
        squeeze=False,
        layout="constrained",
    )
    for axes, (workload, savers) in zip(rows[:, 0], results.items(), strict=False):
        heights = [read(result) for result in savers.values()]
        bars = axes.barh(
            list(savers), heights, color=[_COLOURS.get(name, _OTHER) for name in savers]
        )
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=7)
        axes.set_title(f"{workload}: {label}", fontsize=9, loc="left")
        axes.invert_yaxis()
        axes.tick_params(labelsize=7)
        axes.margins(x=0.12)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
