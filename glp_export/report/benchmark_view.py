"""The benchmark on a terminal: what each model scores, weighs and takes, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting
from glp_export.report.measurements import (
    Measurement,
    all_measurements,
    device_name,
    headline_shape,
    metric_of,
    model_name,
    providers,
    shape_title,
    shape_words,
    shapes,
    whole_layers,
)
from glp_export.report.tables import Bad, Faint, Good, Table, known, terminal_table
from glp_export.report.warnings import benchmark_warnings
from glp_export.report.words import metric_name, short_metric, speedup_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table as RichTable

    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import Interval, MetricRow
    from glp_export.bench.frontier import FrontierPoint

_TONES: dict[str, type[str]] = {"base": Faint, "faster": Good, "slower": Bad}


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
    shape = headline_shape(benchmark)
    series = all_measurements(benchmark, provider)
    table = Table.of(
        "",
        (
            {
                "model": model_name(benchmark, one.any),
                "runtime": one.called("\n", short=True),
                "layers": str(one.any.layers),
                short_metric(benchmark.metric): _score(benchmark, one),
                "MB": numbers.megabytes(one.any.bytes),
                f"p50 ms\n{shape_title(shape)}": one.median(shape),
                "over\nPyTorch": _speedup(row.vs_pytorch_unpruned),
                "over\nORT": _speedup(row.vs_onnxruntime_unpruned),
            }
            for one in series
            for row in (one.rows.get(shape, one.any).speedup,)
        ),
        words=("runtime",),
        strong=_own(series),
    )
    title = f"{benchmark.task} on {device_name(benchmark, provider)}"
    return Fitting(
        *(
            [terminal_table(table.without(*hidden), title, fold=("runtime",), sections=True)]
            for hidden in ((), ("layers", "MB"))
        )
    )


def _latency_tables(benchmark: BenchmarkFile, provider: str) -> Fitting:
    """One table of all shapes, or several of a few each."""
    names = shapes(benchmark)
    series = all_measurements(benchmark, provider)

    def drawn(some: Sequence[str], title: str) -> RichTable:
        table = Table.of(
            "",
            (
                {
                    "model": model_name(benchmark, one.any),
                    "runtime": one.called(" ", short=True),
                    **{shape_title(name): one.median(name) for name in some},
                }
                for one in series
            ),
            words=("runtime",),
            strong=_own(series),
        )
        return terminal_table(table, title, fold=("runtime",), grouped=True)

    title = "median ms a batch, by batch × length"
    return Fitting(
        *(
            [drawn(names[at : at + size], "" if at else title) for at in range(0, len(names), size)]
            for size in dict.fromkeys((len(names), -(-len(names) // 2), 2))
        )
    )


def _own(series: Sequence[Measurement]) -> list[int]:
    return [number for number, one in enumerate(series) if one.any.contender == "pruned"]


def _score(benchmark: BenchmarkFile, measurement: Measurement) -> str | None:
    own = measurement.any
    row = metric_of(benchmark, own.contender, own.precision, own.plan_id)
    return known(row, score_lines)


def score_lines(row: MetricRow | FrontierPoint) -> str:
    """A score and below it its interval, for a narrow column."""
    digits = 3 if row.low >= 0 else 2  # two minus signs more would not fit
    return f"{numbers.metric(row.value)}\n{numbers.span(row.low, row.high, digits)}"


def _speedup(interval: Interval | None) -> str:
    found = speedup_of(interval)
    return _TONES.get(found.side, str)(found.lines)


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
        model_name(benchmark, row): row.label_beside(benchmark.baseline)
        for row in benchmark.rows
        if not whole_layers(benchmark, row)
    }
    left = "".join(f"{name}: {label}. " for name, label in inside.items())
    return (
        f"{left}{scored}{shape_title(headline)}: {shape_words(benchmark, headline)}. "
        "over: speedup over the unpruned model there, in ORT at the same precision. Ranges are "
        "95 % intervals."
    )
