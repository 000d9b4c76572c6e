"""Accuracy against latency of several depths: on a terminal, and above a ladder's artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting, titled_table, without
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import shape_title
from glp_export.report.rendering import render
from glp_export.report.table import device_words, short_metric
from glp_export.report.warnings import SMALL_TEST_SET, metric_name

if TYPE_CHECKING:
    from rich.table import Table

    from glp_export.bench.benchmark_file import Interval
    from glp_export.bench.frontier import Frontier, FrontierPoint

_MARK = "●"


def frontier_table(frontier: Frontier) -> RenderableType:
    """Every model at every depth, what beats it, and how to read that; 79 columns suffice."""
    notes = [Text(f"! {note}", style="yellow") for note in _notes(frontier)]
    return Group(_tables(frontier), "", Text(_legend(frontier), style="dim"), *notes)


def write_sweep_readme(path: Path, frontier: Frontier, *, command: str = "") -> None:
    """Write the README above a ladder's artifacts: the frontier, and how to pick from it."""
    path.write_text(sweep_text(frontier, command), encoding="utf-8")


def sweep_text(frontier: Frontier, command: str = "") -> str:
    """That README as Markdown."""
    return render(
        "ladder.md.jinja",
        frontier=frontier,
        metric=metric_name(frontier.metric),
        shape=shape_title(frontier.shape),
        shape_words=_shape_words(frontier),
        device=_device(frontier),
        machine=machine_line(frontier.machine),
        rows=[_cells(point) for point in frontier.points],
        best=[_cells(point) for point in frontier.best if point.directory],
        first=next(point.directory for point in frontier.points if point.directory),
        alike=alike(frontier),
        compared=any(point.less_unpruned for point in frontier.points),
        notes=_notes(frontier),
        command=command,
    )


def verdict(point: FrontierPoint) -> str:
    """What the comparison says of a point, in words."""
    if point.on_frontier is None:
        return "beside"
    if point.on_frontier:
        return "on the frontier"
    if point.surely_beaten_by:
        return f"beaten by {_listed(point.surely_beaten_by)}"
    return f"not distinguishable from {_listed(point.beaten_by)}"


def _tables(frontier: Frontier) -> Fitting:
    """All columns, or without those that a narrow terminal can best do without."""
    whole = _table(frontier)
    return Fitting([whole], [without(whole, "MB")], [without(whole, "MB", "over\nORT")])


def _table(frontier: Frontier) -> Table:
    table = titled_table(f"{frontier.task} on {_device(frontier)}")
    table.add_column("model", no_wrap=True)
    for name in (
        *("layers", short_metric(frontier.metric), "MB"),
        *(f"p50 ms\n{shape_title(frontier.shape)}", "over\nORT"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("frontier", max_width=17)
    for point in frontier.points:
        digits = 3 if point.low >= 0 else 2  # two minus signs more would not fit
        span = numbers.span(point.low, point.high, digits)
        table.add_row(
            _model(point),
            str(point.layers),
            f"{numbers.metric(point.value)}\n{span}",
            numbers.megabytes(point.bytes),
            numbers.milliseconds(point.p50_ms),
            "\n".join(_speedup(point.speedup)),
            f"{_MARK} {verdict(point)}" if point.on_frontier else verdict(point),
            style="bold" if point.on_frontier else "dim" if point.on_frontier is None else "",
        )
    return table


def _cells(point: FrontierPoint) -> dict[str, str]:
    """A point's row of the Markdown table."""
    speedup, less = _speedup(point.speedup), point.less_unpruned
    lower = "" if point.precision == "fp32" else f" {point.precision}"
    name = (f"`{point.directory}/`" if point.directory else point.contender) + lower
    return {
        "name": f"**{name}**" if point.on_frontier else name,
        "directory": point.directory or "",
        "layers": str(point.layers),
        "value": numbers.metric(point.value),
        "interval": numbers.span(point.low, point.high),
        "difference": numbers.signed_with_span(less.value, less.low, less.high)
        if less
        else numbers.MISSING,
        "megabytes": numbers.megabytes(point.bytes),
        "p50": numbers.milliseconds(point.p50_ms),
        "speedup": speedup[0] if len(speedup) == 1 else f"{speedup[0]} ({speedup[1]})",
        "verdict": verdict(point),
    }


def _speedup(interval: Interval | None) -> tuple[str, ...]:
    """A speedup and, if it has one, its interval."""
    if interval is None:
        return (numbers.MISSING,)
    if interval.low == interval.high == 1:
        return ("1",)  # the unpruned model itself
    return numbers.ratio(interval.value), numbers.ratio_span(interval.low, interval.high)


def _model(point: FrontierPoint) -> str:
    return point.contender if point.precision == "fp32" else f"{point.contender}\n{point.precision}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def alike(frontier: Frontier) -> FrontierPoint | None:
    """The fastest pruned model that the test examples do not show to be worse than the unpruned."""
    close = [
        point
        for point in frontier.points
        if point.less_unpruned is not None and not point.less_unpruned.significantly_worse
    ]
    return min(close, key=lambda point: point.p50_ms, default=None)


def _legend(frontier: Frontier) -> str:
    return (
        f"{_MARK} on the frontier: no other model is as good in {metric_name(frontier.metric)} "
        "and latency and better in one. Beaten by a depth: it is better in both and no interval "
        "overlaps. Not distinguishable: an interval does. Distilled models stand beside. "
        f"{metric_name(frontier.metric)} on {frontier.samples} test examples; "
        f"{shape_title(frontier.shape)}: {_shape_words(frontier)}; over ORT: speedup over the "
        "unpruned fp32 model there. Ranges are 95 % intervals."
    )


def _notes(frontier: Frontier) -> list[str]:
    notes = [f"the machine: {note}" for note in frontier.machine.notes]
    if frontier.samples < SMALL_TEST_SET:
        notes.insert(
            0, f"small test set: {frontier.samples} examples, see how wide the intervals are"
        )
    return notes


def _shape_words(frontier: Frontier) -> str:
    length = frontier.sequence_length
    if frontier.shape.endswith("task"):
        return f"batch {frontier.batch_size}, the task's own lengths (mean {length} tokens)"
    return f"batch {frontier.batch_size}, {length} tokens"


def _device(frontier: Frontier) -> str:
    return device_words(frontier.provider, [frontier.threads], frontier.machine.gpu)
