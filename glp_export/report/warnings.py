"""What a reader has to know before trusting the numbers, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.core.text import capital
from glp_export.precision.devices import not_in_hardware
from glp_export.report.measurements import (
    all_measurements,
    headline_shape,
    metric_of,
    model_name,
    pruned_ids,
    shape_title,
)
from glp_export.report.words import below_fp32, metric_name, significance

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import DifferenceRow, Row
    from glp_export.compress.plan import Plan
    from glp_export.report.html.report_data import ReportData

SMALL_TEST_SET = 1000
"""Examples below which an accuracy of 0.9 is known to no better than ±0.02."""
SMALL_DEV = 300
"""Held out examples below which an accuracy of 0.9 is known to no better than ±0.035."""
CLOSE_CALL = 0.8
"""Probability below which a step of the search is called close."""


def benchmark_warnings(benchmark: BenchmarkFile, *, every_difference: bool = False) -> list[str]:
    """All warnings: test set, unpruned model, differences of the metric, speedups, machine.

    Args:
        benchmark: of one pruned model or of several.
        every_difference: tell of those too that show no loss.
    """
    several = len(pruned_ids(benchmark.rows)) > 1
    return [
        *_untrained_baseline(benchmark),
        *_test_set(benchmark),
        *(
            f"{row.label_beside(benchmark.baseline)}: " * several
            + difference_in_words(row, benchmark.metric)
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
    model = f"pruned{below_fp32(row.precision)} model"
    means = (
        "no significant difference on this test set",
        f"the {model} is significantly better",
        f"the {model} is significantly worse",
    )[significance(row)]
    return f"{metric_name(metric)} of the {model} less that of the {row.less}: {found}; {means}"


def _untrained_baseline(benchmark: BenchmarkFile) -> Iterator[str]:
    """An unpruned model that is no better than answers which ignore the texts."""
    row = metric_of(benchmark, "unpruned", "fp32")
    if row is not None and row.chance is not None and not row.chance.significant:
        chance = row.chance
        yield (
            "the unpruned model has learned nothing that this test set shows: "
            f"{metric_name(benchmark.metric)} {numbers.metric(row.value)}, "
            f"{numbers.metric(chance.value)} by chance (difference "
            f"{numbers.span(chance.low, chance.high)}). What pruning costs cannot be seen beside "
            "it. Train longer, with more examples or another learning rate"
        )


def _test_set(benchmark: BenchmarkFile) -> Iterator[str]:
    row = metric_of(benchmark, "pruned", "fp32")
    if row is not None and row.samples < SMALL_TEST_SET:
        yield (
            f"small test set: {row.samples} examples, so another such set may move "
            f"{metric_name(benchmark.metric)} within {numbers.span(row.low, row.high)}"
        )


def _unfinished_baseline(benchmark: BenchmarkFile) -> Iterator[str]:
    """A student that significantly passes its teacher: the teacher's training may be too short."""
    passed = [row for row in benchmark.differences if row.less == "unpruned" and row.low > 0]
    if passed:
        best = max(passed, key=lambda row: row.value)
        gain = numbers.signed_with_span(best.value, best.low, best.high)
        yield (
            f"the pruned model of {best.label_beside(benchmark.baseline)} passes the unpruned "
            f"one, {gain} of {metric_name(benchmark.metric)}: it starts from the unpruned "
            "model and is trained as long again, so the unpruned model may have been trained too "
            "briefly; more --epochs (or auto, where a number was given) compare more fairly"
        )


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


def _slow_shapes(benchmark: BenchmarkFile) -> Iterator[str]:
    """Shapes where a pruned model is not significantly faster than the unpruned one."""
    for measurement in all_measurements(benchmark, benchmark.baseline.provider):
        own = measurement.any
        doubtful = [
            f"{shape_title(name)} ({numbers.ratio(interval.value)}, "
            f"{numbers.ratio_span(interval.low, interval.high)})"
            for name, row in measurement.rows.items()
            if (interval := row.speedup.vs_onnxruntime_unpruned) is not None and interval.low <= 1
        ]
        if doubtful and (own.contender, own.runtime) == ("pruned", "onnxruntime"):
            yield (
                f"{_file(benchmark, own)} is not significantly faster than the unpruned model in "
                f"ONNX Runtime{below_fp32(own.precision, ' in ')} at {', '.join(doubtful)}"
            )


def _file(benchmark: BenchmarkFile, row: Row) -> str:
    """A pruned file's name, with its model where there are several."""
    name = model_name(benchmark, row)
    return row.variant if name == "pruned" else f"{name} {row.variant}"


def report_warnings(report_data: ReportData) -> list[str]:
    """All warnings, those that could forbid shipping first."""
    return [
        *_parity(report_data),
        *(f"{capital(line)}." for line in benchmark_warnings(report_data.benchmark)),
        *_precisions(report_data),
        *_device(report_data),
        *_search(report_data.plan),
    ]


def _parity(report_data: ReportData) -> Iterator[str]:
    for sweep_variant in report_data.sweep_variants:
        for file in sweep_variant.parity.files:
            name = report_data.named(sweep_variant, file.label)
            if not file.passed:
                yield f"{name} does not compute what the PyTorch model computes: " + "; ".join(
                    file.failures
                )
            if file.disagreements:
                yield (
                    f"{name} gives another label than PyTorch for {len(file.disagreements)} of "
                    f"{file.samples} examples, where both are clear about theirs."
                )


def _precisions(report_data: ReportData) -> Iterator[str]:
    for sweep_variant in report_data.sweep_variants:
        for entry in sweep_variant.precisions:
            name = report_data.named(sweep_variant, entry.precision)
            if entry.file is None:
                yield f"No {name} file ships: {entry.reason or 'none was good enough'}."
            elif (loss := entry.on_test) is not None and loss.low > 0:
                cost = f"{numbers.metric(loss.drop)} ({numbers.span(loss.low, loss.high)})"
                yield f"{name} costs {cost} on the test examples, beyond chance."


def _device(report_data: ReportData) -> Iterator[str]:
    """What the device cannot do fast, and a GPU that was there and not used."""
    machine, rows = report_data.benchmark.machine, report_data.benchmark.rows
    on_cpu = {row.precision for row in rows if row.provider == "CPUExecutionProvider"}
    for precision in sorted(on_cpu & {"int8"}):
        why = not_in_hardware(precision, "cpu", machine.features)
        if why:
            yield (
                f"{precision} was measured on a processor that has no fast {precision}: {why}. "
                "Measure again where the model will run."
            )
    if machine.gpu and not any(row.provider == "CUDAExecutionProvider" for row in rows):
        yield (
            f"The machine has a GPU ({machine.gpu}), and everything was measured on its CPU. "
            "Say --device cuda if the model shall run there."
        )


def _search(plan: Plan) -> Iterator[str]:
    """Choices of the search that another sample could turn round."""
    if plan.source:
        yield (
            f"The layers were not searched here: {plan.source}. They may have been chosen on the "
            "test set."
        )
        return
    judged = [step.sample_size for step in plan.steps if step.candidates]
    if judged and min(judged) < SMALL_DEV:
        yield (
            f"Small dev split: candidates were compared on {min(judged)} held out examples, so "
            "what was taken is partly chance. More training examples or a larger "
            "--dev-fraction help."
        )
    close = [
        f"step {number} ({100 * step.probability:.0f} %)"
        for number, step in enumerate(plan.steps, 1)
        if step.probability is not None and step.probability < CLOSE_CALL
    ]
    if close:
        yield (
            f"Close calls in the search: {', '.join(close)}. The percentage is the chance that "
            "what was taken is the best choice; another sample may choose another."
        )
