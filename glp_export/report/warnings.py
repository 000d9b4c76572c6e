"""What a reader has to know before trusting the numbers, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.card_facts import MetricDifference
from glp_export.report.measurements import (
    Measurement,
    all_measurements,
    metric_of,
    model_name,
    shape_title,
)

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile, Interval, MetricRow, Row

SMALL_TEST_SET = 1000
"""Examples below which an accuracy of 0.9 is known to no better than ±0.02."""


def benchmark_warnings(
    benchmark: BenchmarkFile, differences: Sequence[MetricDifference] = ()
) -> list[str]:
    """All warnings: test set, differences of the metric, baseline, speedups, machine."""
    return [
        *_test_set(benchmark),
        *(difference_in_words(difference, benchmark.metric) for difference in differences),
        *_unfinished_baseline(benchmark),
        *_slow_shapes(benchmark),
        *_machine(benchmark),
    ]


def difference_in_words(difference: MetricDifference, metric: str) -> str:
    """What the interval of a difference of scores says, pruned less the other."""
    found = numbers.signed_with_span(difference.value, difference.low, difference.high)
    model = "pruned model" if difference.precision == "fp32" else f"pruned {difference.precision}"
    start = f"{metric_name(metric)} of the {model} less that of the {difference.contender}"
    if difference.low > 0:
        return f"{start}: {found}; the interval excludes 0, the {model} is better"
    if difference.high < 0:
        return f"{start}: {found}; the interval excludes 0, the {model} is worse"
    return f"{start}: {found}; the interval includes 0, this test set does not tell them apart"


def metric_name(metric: str) -> str:
    """A metric's name as a word."""
    return {"f1": "F1"}.get(metric, metric.replace("_", " "))


def _test_set(benchmark: BenchmarkFile) -> list[str]:
    row: MetricRow | None = metric_of(benchmark, "pruned", "fp32")
    if row is None or row.samples >= SMALL_TEST_SET:
        return []
    return [
        f"small test set: {row.samples} examples, so another such set may move "
        f"{metric_name(benchmark.metric)} within {numbers.span(row.low, row.high)}"
    ]


def _unfinished_baseline(benchmark: BenchmarkFile) -> list[str]:
    """A student that surely passes its teacher, whose own training may have been too short."""
    passed = [row for row in benchmark.differences if row.less == "unpruned" and row.low > 0]
    if not passed:
        return []
    best = max(passed, key=lambda row: row.value)
    gain = numbers.signed_with_span(best.value, best.low, best.high)
    return [
        f"the pruned model of {numbers.layers_in_words(best.layers)} passes the unpruned one, "
        f"{gain} of {metric_name(benchmark.metric)}: it was trained as long again, so the unpruned "
        "model may have been trained too briefly; with more --epochs or auto it is a fairer comparison"
    ]


def _slow_shapes(benchmark: BenchmarkFile) -> list[str]:
    """Shapes where a pruned model is not surely faster than the unpruned one in ONNX Runtime."""
    found = []
    for measurement in all_measurements(benchmark, benchmark.baseline.provider):
        if measurement.any.contender != "pruned" or measurement.any.runtime != "onnxruntime":
            continue
        doubtful = [
            f"{shape_title(name)} ({numbers.ratio(interval.value)}, "
            f"{numbers.ratio_span(interval.low, interval.high)})"
            for name, row in measurement.rows.items()
            if (interval := _own_runtime(row)) is not None and interval.low <= 1
        ]
        if doubtful:
            found.append(
                f"{_file(benchmark, measurement)} is not surely faster than the unpruned model in "
                f"ONNX Runtime{_own_precision(measurement)} at {', '.join(doubtful)}: "
                "the interval does not lie above 1"
            )
    return found


def _own_precision(measurement: Measurement) -> str:
    """What the unpruned model has to be compared at, where that is not fp32."""
    precision = measurement.any.precision
    return "" if precision == "fp32" else f" in {precision}"


def _file(benchmark: BenchmarkFile, measurement: Measurement) -> str:
    """A pruned file's name, with its depth where there are several."""
    name = model_name(benchmark, measurement.any)
    return measurement.any.variant if name == "pruned" else f"{name} {measurement.any.variant}"


def _own_runtime(row: Row) -> Interval | None:
    return row.speedup.vs_onnxruntime_unpruned


def _machine(benchmark: BenchmarkFile) -> list[str]:
    return [f"the machine: {note}" for note in benchmark.machine.notes]
