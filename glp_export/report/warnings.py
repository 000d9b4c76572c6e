"""What a reader has to know before trusting the numbers, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.measurements import (
    Measurement,
    all_measurements,
    headline_shape,
    metric_of,
    model_label,
    model_name,
    shape_title,
)
from glp_export.tasks.own_metric import is_own

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile, DifferenceRow, MetricRow, Row

SMALL_TEST_SET = 1000
"""Examples below which an accuracy of 0.9 is known to no better than ±0.02."""


def benchmark_warnings(benchmark: BenchmarkFile, *, every_difference: bool = False) -> list[str]:
    """All warnings: test set, unpruned model, differences of the metric, speedups, machine.

    Args:
        benchmark: of one pruned model or of several.
        every_difference: tell of those too that show no loss.
    """
    return [
        *_untrained_baseline(benchmark),
        *_test_set(benchmark),
        *(
            _named(benchmark, row, difference_in_words(row, benchmark.metric))
            for row in benchmark.differences
            if every_difference or row.high < 0
        ),
        *_unfinished_baseline(benchmark),
        *_unlike_graphs(benchmark),
        *_slow_shapes(benchmark),
        *(f"the machine: {note}" for note in benchmark.machine.notes),
    ]


def difference_in_words(row: DifferenceRow, metric: str) -> str:
    """What the interval of a difference of scores says, pruned less the other."""
    found = numbers.signed_with_span(row.value, row.low, row.high)
    model = "pruned model" if row.precision == "fp32" else f"pruned {row.precision} model"
    start = f"{metric_name(metric)} of the {model} less that of the {row.less}: {found}"
    if row.low > 0:
        return f"{start}; the {model} is significantly better"
    if row.high < 0:
        return f"{start}; the {model} is significantly worse"
    return f"{start}; no significant difference on this test set"


def metric_name(metric: str) -> str:
    """A metric's name as a word."""
    if is_own(metric):  # named as it was asked for
        return metric
    return {"f1": "F1"}.get(metric, metric.replace("_", " "))


def short_metric(metric: str) -> str:
    """A metric's name for the head of a narrow column."""
    metric = metric.rpartition(":")[2]
    return {"matthews_correlation": "Matthews"}.get(metric, metric_name(metric))


def _named(benchmark: BenchmarkFile, row: DifferenceRow, words: str) -> str:
    """The words, of several pruned models with the one that they are about."""
    several = len({other.plan_id for other in benchmark.rows if other.contender == "pruned"}) > 1
    return f"{model_label(benchmark, row)}: {words}" if several else words


def _untrained_baseline(benchmark: BenchmarkFile) -> list[str]:
    """An unpruned model that is no better than answers which ignore the texts."""
    row = metric_of(benchmark, "unpruned", "fp32")
    if row is None or row.chance is None or row.chance.significant:
        return []
    chance, name = row.chance, metric_name(benchmark.metric)
    return [
        f"the unpruned model has learned nothing that this test set shows: {name} "
        f"{numbers.metric(row.value)}, {numbers.metric(chance.value)} by chance (difference "
        f"{numbers.span(chance.low, chance.high)}). What pruning costs cannot be seen beside it. "
        "Train longer, with more examples or another learning rate"
    ]


def _test_set(benchmark: BenchmarkFile) -> list[str]:
    row: MetricRow | None = metric_of(benchmark, "pruned", "fp32")
    if row is None or row.samples >= SMALL_TEST_SET:
        return []
    return [
        f"small test set: {row.samples} examples, so another such set may move "
        f"{metric_name(benchmark.metric)} within {numbers.span(row.low, row.high)}"
    ]


def _unfinished_baseline(benchmark: BenchmarkFile) -> list[str]:
    """A student that significantly passes its teacher: the teacher's training may be too short."""
    passed = [row for row in benchmark.differences if row.less == "unpruned" and row.low > 0]
    if not passed:
        return []
    best = max(passed, key=lambda row: row.value)
    gain = numbers.signed_with_span(best.value, best.low, best.high)
    return [
        f"the pruned model of {model_label(benchmark, best)} passes the unpruned one, "
        f"{gain} of {metric_name(benchmark.metric)}: it was trained as long again, so the unpruned "
        "model may have been trained too briefly; more --epochs, or auto, compare more fairly"
    ]


def _unlike_graphs(benchmark: BenchmarkFile) -> list[str]:
    """Pruned models whose fastest file has another form of graph than the unpruned model's."""
    shape = headline_shape(benchmark)
    fastest: dict[tuple[str, str, str], Row] = {}
    for row in benchmark.rows:
        if row.runtime == "onnxruntime" and row.contender == "pruned" and row.shape == shape:
            key = row.plan_id, row.provider, row.precision
            if key not in fastest or row.p50_ms < fastest[key].p50_ms:
                fastest[key] = row
    return [
        f"{_file(benchmark, row)} and the unpruned model differ in their graphs ({row.form}, "
        f"unpruned {unlike}): a part of the speedup in ONNX Runtime comes from that and not from "
        "pruning. Name one with --optimize to compare like with like"
        for row in fastest.values()
        if (unlike := _unlike(benchmark, row)) is not None
    ]


def _unlike(benchmark: BenchmarkFile, row: Row) -> str | None:
    """The form of the unpruned model's graph beside a file, where it is another one."""
    forms = {
        other.form
        for other in benchmark.rows
        if (other.contender, other.runtime) == ("unpruned", "onnxruntime")
        and (other.provider, other.precision) == (row.provider, row.precision)
    }
    if row.form is None or None in forms or not forms or row.form in forms:
        return None
    return ", ".join(sorted(map(str, forms)))


def _slow_shapes(benchmark: BenchmarkFile) -> list[str]:
    """Shapes where a pruned model is not significantly faster than the unpruned one."""
    found = []
    for measurement in all_measurements(benchmark, benchmark.baseline.provider):
        if measurement.any.contender != "pruned" or measurement.any.runtime != "onnxruntime":
            continue
        doubtful = [
            f"{shape_title(name)} ({numbers.ratio(interval.value)}, "
            f"{numbers.ratio_span(interval.low, interval.high)})"
            for name, row in measurement.rows.items()
            if (interval := row.speedup.vs_onnxruntime_unpruned) is not None and interval.low <= 1
        ]
        if doubtful:
            found.append(
                f"{_file(benchmark, measurement.any)} is not significantly faster than the "
                f"unpruned model in ONNX Runtime{_own_precision(measurement)} at "
                f"{', '.join(doubtful)}"
            )
    return found


def _own_precision(measurement: Measurement) -> str:
    """What the unpruned model has to be compared at, where that is not fp32."""
    precision = measurement.any.precision
    return "" if precision == "fp32" else f" in {precision}"


def _file(benchmark: BenchmarkFile, row: Row) -> str:
    """A pruned file's name, with its model where there are several."""
    name = model_name(benchmark, row)
    return row.variant if name == "pruned" else f"{name} {row.variant}"
