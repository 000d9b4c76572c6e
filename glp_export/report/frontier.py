"""Accuracy against latency of several models: on a terminal, and above a sweep's artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting
from glp_export.core.text import capital
from glp_export.report.benchmark_view import score_lines
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import (
    device_words,
    layers_of_point,
    shape_title,
    whole_layers_left,
    words_of_shape,
)
from glp_export.report.rendering import render
from glp_export.report.tables import Code, Table, terminal_table
from glp_export.report.words import below_fp32, metric_name, short_metric, speedup_of

if TYPE_CHECKING:
    from glp_export.bench.frontier import Frontier, FrontierPoint

_MARK = "●"


def frontier_table(frontier: Frontier, warnings: Sequence[str] = ()) -> RenderableType:
    """Every model, what beats it, and how to read that; 79 columns suffice.

    Args:
        frontier: of a sweep.
        warnings: of its benchmark.
    """
    lines = [Text(f"! {warning}", style="yellow") for warning in warnings]
    return Group(_tables(frontier), "", Text(_legend(frontier), style="dim"), *lines)


def sweep_text(
    frontier: Frontier,
    *,
    command: str = "",
    warnings: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> str:
    """The README above a sweep's artifacts: targets, the frontier, how to pick from it."""
    return render(
        "sweep.md.jinja",
        frontier=frontier,
        targets=targets,
        metric=metric_name(frontier.metric),
        numbers=numbers,
        speedup_of=speedup_of,
        shape=shape_title(frontier.shape),
        shape_words=words_of_shape(frontier),
        device=_device(frontier),
        machine=machine_line(frontier.machine),
        by_layers=all(map(whole_layers_left, frontier.points)),
        models=models_table(frontier),
        best=[point for point in frontier.best if point.directory],
        first=next(point.directory for point in frontier.points if point.directory),
        alike=alike(frontier),
        compared=any(point.less_unpruned for point in frontier.points),
        notes=warnings,
        command=command,
    )


def models_table(frontier: Frontier) -> Table:
    """Every model by its fastest file, for Markdown and HTML."""
    metric, shape = metric_name(frontier.metric), shape_title(frontier.shape)
    return Table.of(
        f"{capital(metric)} and median latency at {shape}; speedup "
        "over the unpruned fp32 model in ONNX Runtime; ranges are 95 % intervals.",
        (
            {
                "model": Code(f"{point.directory}/{below_fp32(point.precision)}")
                if point.directory
                else f"{point.contender}{below_fp32(point.precision)}",
                "layers": layers_of_point(point),
                metric: numbers.metric(point.value),
                "95 % interval": numbers.span(point.low, point.high),
                "less the unpruned model's": numbers.signed_with_span(
                    less.value, less.low, less.high
                )
                if less
                else None,
                "MB": numbers.megabytes(point.bytes),
                f"p50 ms at {shape}": numbers.milliseconds(point.p50_ms),
                "over the unpruned in ONNX Runtime": str(speedup_of(point.speedup)),
                "beside the others": verdict(point),
            }
            for point in frontier.points
            for less in (point.less_unpruned,)
        ),
        words=("beside the others",),
        strong=(n for n, point in enumerate(frontier.points) if point.on_frontier),
    )


def verdict(point: FrontierPoint) -> str:
    """What the comparison says of a point, in words."""
    if point.on_frontier is None:
        return "beside"
    if point.on_frontier:
        return "on the frontier"
    if point.surely_beaten_by:
        return f"beaten by {', '.join(point.surely_beaten_by)}"
    return f"not distinguishable from {', '.join(point.beaten_by)}"


def _tables(frontier: Frontier) -> Fitting:
    """All columns, or without those that a narrow terminal can best do without."""
    points = frontier.points
    table = Table.of(
        "",
        (
            {
                "model": _model(point),
                "layers": str(point.layers),
                short_metric(frontier.metric): score_lines(point),
                "MB": numbers.megabytes(point.bytes),
                f"p50 ms\n{shape_title(frontier.shape)}": numbers.milliseconds(point.p50_ms),
                "over\nORT": speedup_of(point.speedup).lines,
                "frontier": f"{_MARK} {verdict(point)}" if point.on_frontier else verdict(point),
            }
            for point in points
        ),
        words=("frontier",),
        strong=(n for n, point in enumerate(points) if point.on_frontier),
    )
    beside = [n for n, point in enumerate(points) if point.on_frontier is None]
    choices = []
    for hidden in ((), ("MB",), ("MB", "over\nORT")):
        title = f"{frontier.task} on {_device(frontier)}"
        drawn = terminal_table(table.without(*hidden), title, fold=("frontier",), faint=beside)
        drawn.columns[-1].max_width = 17
        choices.append([drawn])
    return Fitting(*choices)


def _model(point: FrontierPoint) -> str:
    own = "" if whole_layers_left(point) else _short(point)
    return "\n".join(filter(None, (point.contender, own, below_fp32(point.precision, ""))))


def _short(point: FrontierPoint) -> str:
    return point.directory or point.plan_id[:8]


def alike(frontier: Frontier) -> FrontierPoint | None:
    """The fastest pruned model that the test examples do not show to be worse than the unpruned."""
    close = [
        point
        for point in frontier.points
        if point.less_unpruned is not None and not point.less_unpruned.significantly_worse
    ]
    return min(close, key=lambda point: point.p50_ms, default=None)


def _legend(frontier: Frontier) -> str:
    metric = metric_name(frontier.metric)
    inside = {
        _short(point): point.label for point in frontier.points if not whole_layers_left(point)
    }
    left = "".join(f"{name}: {label}. " for name, label in inside.items())
    return (
        f"{left}{_MARK} on the frontier: no other model is as good in "
        f"{metric} and latency and better in one. Beaten by a model: it is "
        "better in both and no interval overlaps. Not distinguishable: an interval does. "
        f"Distilled models stand beside. {metric} on {frontier.samples} test examples; "
        f"{shape_title(frontier.shape)}: {words_of_shape(frontier)}; over ORT: speedup over the "
        "unpruned fp32 model there. Ranges are 95 % intervals."
    )


def _device(frontier: Frontier) -> str:
    return device_words(frontier.provider, [frontier.threads], frontier.machine.gpu)
