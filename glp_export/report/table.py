"""The benchmark on a terminal: what each model scores, weighs and takes, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting, titled_table, without
from glp_export.report.measurements import (
    SHORT_RUNTIMES,
    Measurement,
    all_measurements,
    headline_shape,
    metric_of,
    model_label,
    model_name,
    providers,
    shape_title,
    shape_words,
    shapes,
    speedup_of,
    whole_layers,
)
from glp_export.report.warnings import benchmark_warnings, metric_name, short_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from glp_export.bench.benchmark_file import BenchmarkFile, Interval

_STYLES = {"base": "dim", "faster": "green", "slower": "red"}
_DEVICES = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "GPU"}


def benchmark_table(benchmark: BenchmarkFile) -> RenderableType:
    """All models: score, size, median latency and speedups, with 95 % intervals.

    Two tables for each provider that was measured (scores and speedups at the headline shape,
    then medians at every shape), a line that says how to read them, and the warnings.
    """
    parts: list[RenderableType] = []
    for provider in providers(benchmark):
        parts += [_main_tables(benchmark, provider), "", _latency_tables(benchmark, provider), ""]
    parts.append(Text(_legend(benchmark), style="dim"))
    parts += [Text(f"! {warning}", style="yellow") for warning in benchmark_warnings(benchmark)]
    return Group(*parts)


def _main_tables(benchmark: BenchmarkFile, provider: str) -> Fitting:
    """All columns, or without those that a narrow terminal can best do without."""
    whole = _main_table(benchmark, provider)
    return Fitting([whole], [without(whole, "layers", "MB")])


def _main_table(benchmark: BenchmarkFile, provider: str) -> Table:
    shape = headline_shape(benchmark)
    table = titled_table(f"{benchmark.task} on {device_name(benchmark, provider)}")
    table.add_column("model", no_wrap=True)
    table.add_column("runtime", overflow="fold")
    for name in (
        *("layers", short_metric(benchmark.metric), "MB", f"p50 ms\n{shape_title(shape)}"),
        *("over\nPyTorch", "over\nORT"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    previous = ""
    for measurement in all_measurements(benchmark, provider):
        row, name = (
            measurement.rows.get(shape, measurement.any),
            model_name(benchmark, measurement.any),
        )
        if previous and name != previous:
            table.add_section()
        table.add_row(
            name if name != previous else "",
            _runtime(measurement),
            str(row.layers),
            _score(benchmark, measurement),
            numbers.megabytes(row.bytes),
            numbers.milliseconds(row.p50_ms) if row.shape == shape else numbers.MISSING,
            _speedup(row.speedup.vs_pytorch_unpruned),
            _speedup(row.speedup.vs_onnxruntime_unpruned),
            style="bold" if measurement.any.contender == "pruned" else "",
        )
        previous = name
    return table


def _latency_tables(benchmark: BenchmarkFile, provider: str) -> Fitting:
    """One table of all shapes, or several of a few each."""
    names = shapes(benchmark)
    title = "median ms a batch, by batch × length"
    choices = [
        [
            _latency_table(benchmark, provider, names[at : at + size], "" if at else title)
            for at in range(0, len(names), size)
        ]
        for size in dict.fromkeys((len(names), -(-len(names) // 2), 2))
    ]
    return Fitting(*choices)


def _latency_table(
    benchmark: BenchmarkFile, provider: str, names: Sequence[str], title: str
) -> Table:
    table = titled_table(title)
    table.add_column("model", no_wrap=True)
    table.add_column("runtime")
    for name in names:
        table.add_column(shape_title(name), justify="right", no_wrap=True)
    previous = ""
    for measurement in all_measurements(benchmark, provider):
        name = model_name(benchmark, measurement.any)
        cells = [
            numbers.milliseconds(measurement.rows[shape].p50_ms)
            if shape in measurement.rows
            else numbers.MISSING
            for shape in names
        ]
        table.add_row(
            name if name != previous else "",
            _runtime(measurement, one_line=True),
            *cells,
            style="bold" if measurement.any.contender == "pruned" else "",
        )
        previous = name
    return table


def device_name(benchmark: BenchmarkFile, provider: str) -> str:
    """`CPU (2 threads)`, or the GPU's name."""
    threads = sorted({row.threads for row in benchmark.rows if row.provider == provider})
    return device_words(provider, threads, benchmark.machine.gpu)


def device_words(provider: str, threads: list[int], gpu: str | None) -> str:
    """A provider's device with its threads, or the GPU's name."""
    if provider == "CUDAExecutionProvider":
        return gpu or "GPU"
    counted = " or ".join(map(str, threads))
    return f"{_DEVICES.get(provider, provider)} ({counted} thread{'s' * (threads != [1])})"


def _runtime(measurement: Measurement, *, one_line: bool = False) -> str:
    """`ORT optimized`: the runtime, and what was done to the file."""
    joint = " " if one_line else "\n"
    return joint.join(
        part for part in (SHORT_RUNTIMES[measurement.any.runtime], measurement.kind) if part
    )


def _score(benchmark: BenchmarkFile, measurement: Measurement) -> str:
    row = metric_of(
        benchmark, measurement.any.contender, measurement.any.precision, measurement.any.plan_id
    )
    if row is None:
        return numbers.MISSING
    digits = 3 if row.low >= 0 else 2  # two minus signs more would not fit
    return f"{numbers.metric(row.value)}\n{numbers.span(row.low, row.high, digits)}"


def _speedup(interval: Interval | None) -> Text:
    found = speedup_of(interval)
    return Text(found.lines, _STYLES.get(found.side, ""))


def _legend(benchmark: BenchmarkFile) -> str:
    samples = sorted({row.samples for row in benchmark.metrics})
    scored = (
        f"{metric_name(benchmark.metric)} on {' or '.join(map(str, samples))} test examples, "
        "by the ONNX file that is timed. "
        if samples
        else ""
    )
    headline = headline_shape(benchmark)
    inside = {
        model_name(benchmark, row): model_label(benchmark, row)
        for row in benchmark.rows
        if not whole_layers(benchmark, row)
    }
    left = "".join(f"{name}: {label}. " for name, label in inside.items())
    return (
        f"{left}{scored}{shape_title(headline)}: {shape_words(benchmark, headline)}. "
        "over: speedup over the unpruned model there, in ORT at the same precision. Ranges are "
        "95 % intervals."
    )
