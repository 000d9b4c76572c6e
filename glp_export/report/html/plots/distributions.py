"""How latencies spread: every model's distribution with its median and its tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Mark, Plot, dot, note, x_label
from glp_export.report.html.plots.rows import BESIDE_ROW, half_row, heights, row_axes
from glp_export.report.html.theme import CONTENDER_COLOURS, placeholder
from glp_export.report.measurements import (
    Measurement,
    all_measurements,
    headline_shape,
    model_name,
    shape_title,
    shape_words,
    shapes,
)
from glp_export.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import Row
    from glp_export.bench.samples_file import SamplesFile

    Runs = NDArray[np.float64]

_MANY = 14
"""Series beyond which only the fastest file of each model is drawn."""


def distributions(benchmark: BenchmarkFile, samples: SamplesFile | None) -> Plot | None:
    """One row a model at the headline shape; without raw samples, their percentiles alone."""
    shape = headline_shape(benchmark)
    everything = all_measurements(benchmark, benchmark.baseline.provider)
    chosen = _chosen([one for one in everything if shape in one.rows], shape)
    if not chosen:
        return None
    rows = [one.rows[shape] for one in chosen]
    names = [_name(benchmark, one) for one in chosen]
    runs = {
        _key(row): np.asarray([run for block in row.rounds for run in block], dtype=np.float64)
        for row in (samples.rows if samples else ())
        if any(row.rounds)
    }
    at = shape_words(benchmark, shape)
    fewest = min(row.samples for row in rows)
    caption = (
        "The body is the density of all counted runs up to p99."
        if runs
        else "The raw runs were not kept, so only their percentiles are drawn.",
        f"{at.capitalize()}.",
        "Of each model the fastest file in ONNX Runtime; the table has all."
        if len(chosen) < len(everything)
        else "",
        f"With {fewest} runs p99 is little more than the slowest that were seen."
        if fewest < 200
        else "",
    )
    said = (
        f"{name}: median {numbers.milliseconds(row.p50_ms)}, p90 "
        f"{numbers.milliseconds(row.p90_ms)}, p99 {numbers.milliseconds(row.p99_ms)}"
        for name, row in zip(names, rows, strict=True)
    )
    own = [runs.get(_key(row)) for row in rows]
    return Plot(
        name="distributions",
        title=f"How latency spreads at {shape_title(shape)}",
        description=f"Latency of a batch in milliseconds at {at}. {'; '.join(said)}.",
        caption=" ".join(filter(None, caption)),
        table=_table(benchmark),
        legend=(
            Mark("|", "ink", "p50, the median"),
            Mark("◆", "ink", "p90"),
            Mark("◇", "ink", "p99"),
        ),
        draw=lambda canvas: _draw(canvas, names, rows, own),
        heights=heights(len(rows)),
    )


def _chosen(series: Sequence[Measurement], shape: str) -> Sequence[Measurement]:
    """All of them; of many, each model's fastest file and PyTorch's unpruned."""
    if len(series) <= _MANY:
        return series
    fastest: dict[tuple[object, ...], Measurement] = {}
    for one in sorted(series, key=lambda one: one.rows[shape].p50_ms):
        row = one.any
        if row.runtime == "onnxruntime" or row.contender == "unpruned":
            name = (row.contender, row.plan_id, row.rival_of, row.precision, row.runtime)
            fastest.setdefault(name, one)
    return [one for one in series if one in fastest.values()]


def _key(row: object) -> tuple[object, ...]:
    """Everything that tells one row from another."""
    names = ("contender", "runtime", "provider", "precision", "variant", "plan_id", "shape")
    return tuple(getattr(row, name) for name in names)


def _draw(
    canvas: Canvas, names: Sequence[str], rows: Sequence[Row], runs: Sequence[Runs | None]
) -> None:
    heads = [
        (name, CONTENDER_COLOURS[row.contender]) for name, row in zip(names, rows, strict=True)
    ]
    axes = row_axes(canvas, heads, right=12 if canvas.narrow else 70)
    axes.set_xscale("log")
    tall, lows = half_row(canvas), []
    for number, (row, own) in enumerate(zip(rows, runs, strict=True)):
        _violin(axes, number, row, own, tall)
        ends = number - tall, number + tall
        axes.vlines(row.p50_ms, *ends, color=placeholder("ink"), linewidth=2, zorder=4)
        for value, hollow in ((row.p90_ms, False), (row.p99_ms, True)):
            dot(
                axes, (value, number), "D", CONTENDER_COLOURS[row.contender], hollow=hollow,
                size=6, edge=1.5, zorder=3, clip_on=False,
            )  # fmt: skip
        if not canvas.narrow:
            median = f"{numbers.milliseconds(row.p50_ms)} ms"
            note(axes, median, (1, number), (66, 0), "right center", "ink", xycoords=BESIDE_ROW)
        lows.append(row.p50_ms if own is None else float(own.min()))
    _scale(axes, 0.8 * min(lows), 1.08 * max(row.p99_ms for row in rows), 5 if canvas.narrow else 9)
    x_label(axes, "latency of a batch (ms, logarithmic)")


def _scale(axes: Axes, low: float, high: float, count: int) -> None:
    """A logarithmic scale whose ticks are round numbers, however little it spans."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.set_xlim(low, high)
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [power * step for power in powers for step in steps if low <= power * step <= high]
        if len(ticks) <= count:
            break
    if len(ticks) < 2:  # so little that no round number lies in it
        ticks = [float(one) for one in MaxNLocator(count).tick_values(low, high)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _violin(axes: Axes, number: int, row: Row, runs: Runs | None, tall: float) -> None:
    """The density of the runs up to p99, or a line where only percentiles are known."""
    from scipy.stats import gaussian_kde

    colour = placeholder(CONTENDER_COLOURS[row.contender])
    if runs is None or len(np.unique(runs[runs <= row.p99_ms])) < 3:
        axes.hlines(number, row.p50_ms, row.p99_ms, color=colour, linewidth=3, zorder=2)
        return
    logs = np.log(runs[runs <= row.p99_ms])
    room = 0.1 * float(np.ptp(logs))
    places = np.linspace(logs.min() - room, logs.max() + room, 64)
    density = gaussian_kde(logs, bw_method="silverman")(places)
    height = tall * density / density.max()
    axes.fill_between(
        np.exp(places), number - height, number + height, facecolor=colour, linewidth=0, zorder=1,
        alpha=0.28 if row.contender != "pruned" else 0.38,
    )  # fmt: skip
    axes.hlines(number, row.p50_ms, row.p99_ms, color=colour, linewidth=1, zorder=2)


def _name(benchmark: BenchmarkFile, measurement: Measurement) -> str:
    return f"{model_name(benchmark, measurement.any)}, {measurement.called()}"


def _table(benchmark: BenchmarkFile) -> Table:
    return Table.of(
        "Latency of a batch in milliseconds, at every shape (batch × tokens).",
        (
            {
                "model": _name(benchmark, one),
                "shape": shape_title(shape),
                "p50 (ms)": numbers.milliseconds(row.p50_ms),
                "p90 (ms)": numbers.milliseconds(row.p90_ms),
                "p99 (ms)": numbers.milliseconds(row.p99_ms),
                "mean (ms)": numbers.milliseconds(row.mean_ms),
                "p99 over p50": f"{row.p99_ms / row.p50_ms:.2f}",
                "runs": str(row.samples),
            }
            for one in all_measurements(benchmark, benchmark.baseline.provider)
            for shape in shapes(benchmark)
            if (row := one.rows.get(shape))
        ),
    )
