"""The picture of the frontier: accuracy against latency, light and dark, with intervals.

    python benchmarks/frontier_picture.py results.json --task trec --output docs/images/frontier

Reads what frontier.py has measured and writes `OUTPUT-light.svg` and `OUTPUT-dark.svg`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontier_cells import Cell, Results
from frontier_rows import LAYERS, MATCHED, OBS, STUDENT, UNPRUNED

from glp_export.report.html.theme import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMES = ("light", "dark")


@dataclass(frozen=True)
class Series:
    """Models that are drawn alike.

    Attributes:
        rows: of the frontier.
        name: in the legend.
        colour: a name of the report's colours.
        marker: matplotlib's.
    """

    rows: tuple[str, ...]
    name: str
    colour: str
    marker: str


DRAWN = (
    Series((UNPRUNED,), "unpruned", "unpruned", "s"),
    Series((OBS, MATCHED), "structure", "accent", "o"),
    Series((LAYERS,), "whole layers", "bad", "D"),
    Series((STUDENT,), "distilled: every other layer", "distilled", "^"),
)


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = parser.parse_args()
    results = Results(arguments.results)
    cells = [cell for cell in results.cells.values() if cell.task == arguments.task]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for scheme, name in enumerate(SCHEMES):
        path = arguments.output.with_name(f"{arguments.output.name}-{name}.svg")
        draw(cells, results.timings, scheme, path)


def draw(cells: list[Cell], timings: dict[str, dict[str, Any]], scheme: int, path: Path) -> None:
    """Draw one scheme: 0 is light, 1 is dark."""
    import matplotlib
    from matplotlib.figure import Figure

    def colour(name: str) -> str:
        return COLOURS[name][scheme]

    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "frontier", "font.family": "sans-serif"}
    ):
        figure = Figure(figsize=(8, 4.2), facecolor=colour("paper"))
        axes = figure.add_axes((0.09, 0.13, 0.88, 0.74), facecolor=colour("paper"))
        for series in DRAWN:
            _points(axes, series, cells, timings, colour(series.colour))
        _dress(axes, cells, timings, colour)
        figure.savefig(path, format="svg", metadata=dict.fromkeys(("Date", "Creator")))


def _points(
    axes: Axes, series: Series, cells: list[Cell], timings: dict[str, dict[str, Any]], colour: str
) -> None:
    """The models of a series, fastest first, joined, with 95 % intervals both ways."""
    points = []
    for cell in cells:
        timing = timings.get(cell.group, {})
        if cell.row in series.rows and cell.key in timing.get("ms", {}):
            whole = timing["ms"][f"{cell.group}|1|{UNPRUNED}"]
            speedup = timing["speedups"][cell.key]
            points.append((timing["ms"][cell.key], cell, whole, speedup))
    points.sort(key=lambda point: point[0])
    if not points:
        return
    x = [point[0] for point in points]
    y = [100 * point[1].value for point in points]
    left = [max(0.0, ms - whole / speedup["high"]) for ms, _, whole, speedup in points]
    right = [max(0.0, whole / speedup["low"] - ms) for ms, _, whole, speedup in points]
    below = [100 * (cell.value - cell.low) for _, cell, _, _ in points]
    above = [100 * (cell.high - cell.value) for _, cell, _, _ in points]
    axes.errorbar(
        *(x, y),
        xerr=(left, right),
        yerr=(below, above),
        fmt=f"-{series.marker}",
        color=colour,
        label=series.name,
        markersize=6,
        linewidth=1.4,
        elinewidth=0.8,
    )


def _dress(axes: Axes, cells: list[Cell], timings: dict[str, Any], colour: Any) -> None:
    axes.set_xscale("log")
    times = [ms for timing in timings.values() for ms in timing["ms"].values()]
    ticks = [tick for tick in (2, 3, 5, 10, 20, 30, 50) if min(times) / 2 < tick < 2 * max(times)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    metric = cells[0].metric.replace("_", " ")
    shape = next(iter(timings.values()))["shape"].replace("x", "×")
    axes.set_xlabel(f"median ms in ONNX Runtime, fp32, {shape}", color=colour("muted"), loc="right")
    axes.set_title(f"{metric} on test, %", color=colour("muted"), loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(colour("line"))
    axes.tick_params(colors=colour("muted"), length=0)
    axes.grid(color=colour("line"), linewidth=0.7)
    axes.set_axisbelow(True)
    legend = axes.legend(frameon=False, loc="lower right", fontsize=9)
    for text in legend.get_texts():
        text.set_color(colour("ink"))


if __name__ == "__main__":
    main()
