"""Plots for docs/performance.md, drawn with matplotlib.

Text stays text in them: that keeps them small, and searchable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .growth_axes import AXES, OPERATIONS
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
    """Draw rates and CPU; give the files."""
    kinds: list[tuple[str, str, Read]] = [
        ("rate", "per second", lambda result: float(result["per_second"])),
        ("cpu", "client CPU, microseconds each", lambda result: float(result["cpu_us_per_unit"])),
    ]
    return [_bars(run, folder / f"{name}.svg", label, read) for name, label, read in kinds]


def _bars(run: Mapping[str, Any], path: Path, label: str, read: Read) -> Path:
    """A row for each workload, a bar for each saver, on a scale of its own.

    Without the saver in memory, beside which no other bar would be seen.
    """
    pyplot = _pyplot()
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


def draw_growth(results: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw the CPU of a read and a put, of both sides, against what grows; and SQLite's steps."""
    pyplot = _pyplot()
    axes = [axis for axis in AXES.values() if any(each["axis"] == axis.name for each in results)]
    count = -(-(len(axes) + 1) // 2)
    figure, places = pyplot.subplots(
        count, 2, figsize=(9, 2.4 * count), squeeze=False, layout="constrained"
    )
    for axis, place in zip(axes, places.flat, strict=False):
        found = [each for each in results if each["axis"] == axis.name]
        for operation, style in zip(OPERATIONS, ("-", "--"), strict=True):
            for side, colour in (("client", "#0b6e99"), ("server", "#c0504d")):
                name = f"{operation}, {side}"
                _line(place, found, operation, f"{side}_us", 1000, style, colour, name)
        _titled(place, axis.about, sizes=axis.name in ("state", "grown"))
    places[0, 0].set_ylabel("CPU of a call, milliseconds", fontsize=8)
    places[0, 0].legend(fontsize=7)
    last = places.flat[len(axes)]
    for axis, colour in zip(axes[:2], ("#0b6e99", "#c0504d"), strict=False):
        found = [each for each in results if each["axis"] == axis.name]
        _line(last, found, "get", "steps", 1, "-", colour, axis.about)
    _titled(last, "steps of SQLite for a read", sizes=False)
    last.legend(fontsize=7)
    for place in places.flat[len(axes) + 1 :]:
        place.set_axis_off()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _line(
    place: Any,
    results: Sequence[Mapping[str, Any]],
    operation: str,
    figure: str,
    scale: float,
    style: str,
    colour: str,
    name: str,
) -> None:
    found = [result for result in results if result["operation"] == operation]
    at = [result["at"] for result in found]
    heights = [result[figure] / scale for result in found]
    place.plot(at, heights, style, color=colour, marker=".", label=name)


def _titled(place: Any, title: str, *, sizes: bool) -> None:
    """Costs of sizes grow, on a scale of powers; the others should not, on one from nothing."""
    from matplotlib.ticker import FuncFormatter

    place.set_xscale("log")
    place.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}"))
    if sizes:
        place.set_yscale("log")
        place.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
    else:
        place.set_ylim(0, 1.25 * place.dataLim.y1)
    place.minorticks_off()
    place.set_title(title, fontsize=9, loc="left")
    place.tick_params(labelsize=7)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "kusto"  # the same figures, the same file
    from matplotlib import pyplot

    return pyplot
