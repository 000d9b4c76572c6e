"""Accuracy against latency, with the intervals of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.core.text import capital
from glp_export.report.frontier import models_table
from glp_export.report.html.picture import (
    Canvas,
    Mark,
    Plot,
    dot,
    note,
    x_label,
    y_label,
)
from glp_export.report.html.theme import CONTENDER_COLOURS, CONTENDER_MARKS, placeholder
from glp_export.report.measurements import (
    CONTENDERS,
    layers_of_point,
    shape_title,
    whole_layers_left,
)
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.bench.frontier import Frontier, FrontierPoint

_SIGNED = ("matthews_correlation", "pearson", "spearman")


def accuracy_against_latency(frontier: Frontier | None) -> Plot | None:
    """Every model in ONNX Runtime by its fastest file; what no other beats is joined by a line."""
    if frontier is None:
        return None
    metric, points = metric_name(frontier.metric), frontier.points
    names = "Numbers are layers. " if all(map(whole_layers_left, points)) else ""
    line = "The dashed line joins what no other model beats. " if len(frontier.best) > 1 else ""
    lower = sorted({point.precision for point in points} - {"fp32"})
    return Plot(
        name="accuracy-against-latency",
        title=f"{capital(metric)} against latency",
        description=f"{len(points)} models by the median latency of a batch in "
        f"milliseconds and {metric}, with 95 % intervals of both. {'; '.join(map(_said, points))}.",
        caption=f"Further left is faster, further up is better. {names}Bars are 95 % "
        "intervals: upright of the score, level of the latency relative to the unpruned model in "
        f"fp32, which was timed beside it and so has none. {line}ONNX Runtime, "
        f"{frontier.samples} test examples; the upright scale does not start at 0.",
        table=models_table(frontier),
        legend=(
            *(
                Mark(CONTENDER_MARKS[name][1], CONTENDER_COLOURS[name], name)
                for name in CONTENDERS
                if any(point.contender == name for point in points)
            ),
            *(Mark("○", "muted", f"hollow: {' or '.join(lower)}") for _ in lower[:1]),
        ),
        draw=lambda canvas: _draw(canvas, frontier, metric),
        heights=(430, 360),
    )


def _draw(canvas: Canvas, frontier: Frontier, metric: str) -> None:
    axes = canvas.axes(left=46, top=34, right=30, bottom=48)
    axes.grid(visible=True)
    best = sorted(frontier.best, key=lambda point: point.p50_ms)
    axes.plot(
        [point.p50_ms for point in best], [point.value for point in best], zorder=1,
        color=placeholder("accent"), linewidth=1, linestyle=(0, (4, 4)),
    )  # fmt: skip
    alone = sum(point.contender == "pruned" for point in frontier.points) == 1
    for point in frontier.points:
        short = alone and not whole_layers_left(point)
        _point(axes, point, point.contender if short else point.name)
    low = min(point.low for point in frontier.points)
    high = max(point.high for point in frontier.points)
    room = 0.08 * max(high - low, 0.01)
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(0, 1.06 * max(_ends(point)[1] for point in frontier.points))
    axes.yaxis.set_major_formatter(lambda value, _: _score(value))
    axes.locator_params(axis="x", nbins=5 if canvas.narrow else 9)
    axes.locator_params(axis="y", nbins=6)
    x_label(axes, f"median latency at {shape_title(frontier.shape)} (ms a batch)")
    y_label(axes, f"{metric} ({'−1' if frontier.metric in _SIGNED else '0'} to 1)")


def _point(axes: Axes, point: FrontierPoint, name: str) -> None:
    colour = placeholder(CONTENDER_COLOURS[point.contender])
    left, right = _ends(point)
    axes.hlines(point.value, left, right, color=colour, linewidth=1.3, zorder=2)
    axes.vlines(point.p50_ms, point.low, point.high, color=colour, linewidth=1.3, zorder=2)
    hollow, marker = point.precision != "fp32", CONTENDER_MARKS[point.contender][0]
    place = point.p50_ms, point.value
    dot(axes, place, marker, CONTENDER_COLOURS[point.contender], hollow=hollow, zorder=3)
    # Files of one model in two precisions often lie on top of each other, their names must not.
    offset = -7 if hollow else 7, -16 if point.contender == "distilled" else 7
    side = "right baseline" if hollow else "left baseline"
    weight = "bold" if point.on_frontier and point.contender == "pruned" else "normal"
    colour_name = CONTENDER_COLOURS[point.contender]
    note(axes, name, place, offset, side, colour_name, fontweight=weight, zorder=4)


def _ends(point: FrontierPoint) -> tuple[float, float]:
    """The interval of a latency: that of its paired speedup, set about its median."""
    found = point.speedup
    if found is None:
        return point.p50_ms, point.p50_ms
    return point.p50_ms * found.value / found.high, point.p50_ms * found.value / found.low


def _said(point: FrontierPoint) -> str:
    left = layers_of_point(point) + " layers" * whole_layers_left(point)
    return (
        f"{point.contender}, {left}: {numbers.milliseconds(point.p50_ms)} ms, "
        f"{numbers.metric(point.value)}"
    )


def _score(value: float) -> str:
    """Two digits, or four where a narrow range has ticks between those."""
    short = round(value, 2)
    words = f"{value:.2f}" if math.isclose(short, value, abs_tol=1e-9) else f"{value:.4g}"
    return words.replace("-", "−")
