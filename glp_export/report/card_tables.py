"""The rows of the card's tables, written out as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.card_facts import CardFacts
from glp_export.report.inspect_view import candidate_names, score_words, sureness
from glp_export.report.measurements import (
    CONTENDERS,
    RUNTIMES,
    Measurement,
    all_measurements,
    headline_shape,
    metric_of,
    recommended,
    shape_title,
    shape_words,
    shapes,
)
from glp_export.report.parity_table import agreement, worst_shape
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glp_export.artifact.parity_report import ParityReport
    from glp_export.bench.benchmark_file import BenchmarkFile, Interval, MetricRow
    from glp_export.compress.plan import Plan
    from glp_export.precision.record import Loss, PrecisionEntry

Cells = dict[str, str]


@dataclass(frozen=True)
class LatencyRow:
    """One shape of the latency table.

    Attributes:
        shape: `8×128`.
        cells: medians in milliseconds, a column each.
        vs_pytorch: speedup of the recommended file over the unpruned model in PyTorch.
        vs_onnxruntime: the same over the unpruned model in ONNX Runtime at the same precision.
        fastest: the pruned model's file that is fastest at this shape.
    """

    shape: str
    cells: tuple[str, ...]
    vs_pytorch: str
    vs_onnxruntime: str
    fastest: str


def summary(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> list[str]:
    """The three sentences that a reader looks for: cost, gain, size."""
    return [
        line
        for line in (
            _cost(benchmark, facts),
            _gain(benchmark),
            _size(benchmark, plan),
        )
        if line
    ]


def step_rows(plan: Plan) -> list[Cells]:
    """One row a step of the search, with the candidate that came second."""
    rows = []
    for number, step in enumerate(plan.steps):
        ranked = candidate_names(plan, number)
        chosen = "+".join(map(str, sorted(step.removed)))
        others = [(name, candidate) for name, candidate in ranked.items() if name != chosen]
        rows.append(
            {
                "layers": chosen,
                "score": score_words(step),
                "runner_up": f"{numbers.metric(others[0][1].score)} ({_layers(others[0][0])})"
                if others
                else numbers.MISSING,
                "sure": sureness(step) or numbers.MISSING,
                "samples": str(step.sample_size),
            }
        )
    return rows


def _layers(name: str) -> str:
    return f"layer{'s' * ('+' in name)} {name}"


def score_rows(benchmark: BenchmarkFile, facts: CardFacts) -> list[Cells]:
    """One row a contender and precision."""
    ranked = sorted(benchmark.metrics, key=lambda row: CONTENDERS.index(row.contender))
    return [
        {
            "contender": _name(row),
            "origin": facts.origins.get(row.contender, numbers.MISSING),
            "layers": str(row.layers),
            "parameters": _parameters(benchmark, row),
            "value": numbers.metric(row.value),
            "interval": numbers.span(row.low, row.high),
            "difference": _difference(facts, row.contender) if row.precision == "fp32" else "",
        }
        for row in ranked
    ]


def other_score_rows(benchmark: BenchmarkFile, facts: CardFacts) -> list[Cells]:
    """One row a further test set and contender."""
    return [
        {
            "split": score.split,
            "metric": metric_name(score.metric or benchmark.metric),
            "contender": score.contender,
            "value": numbers.metric(score.value),
            "interval": numbers.span(score.low, score.high),
            "samples": str(score.samples),
        }
        for score in facts.other_scores
    ]


def latency_columns(benchmark: BenchmarkFile) -> list[str]:
    """The columns of medians: every series, in words."""
    return [_title(measurement) for measurement in _measurements(benchmark)]


def latency_rows(benchmark: BenchmarkFile) -> list[LatencyRow]:
    """One row a shape: every series' median, and the recommended file's speedups."""
    best = recommended(benchmark)
    return [_latency_row(benchmark, shape, best) for shape in shapes(benchmark)]


def size_rows(benchmark: BenchmarkFile) -> list[Cells]:
    """One row a file that was measured."""
    return [
        {
            "file": f"`{measurement.any.variant}`",
            "model": measurement.any.contender,
            "megabytes": numbers.megabytes(measurement.any.bytes),
            "layers": str(measurement.any.layers),
        }
        for measurement in _measurements(benchmark)
    ]


def precision_rows(precisions: Sequence[PrecisionEntry]) -> list[Cells]:
    """One row a precision that was to be made: the file, how it was made and what it costs."""
    return [
        {
            "file": f"`{entry.file}`" if entry.file else f"no {entry.precision} file",
            "recipe": entry.recipe or entry.reason or numbers.MISSING,
            "kept": _kept(entry),
            "on_select": _loss(entry.on_select),
            "on_test": _loss(entry.on_test),
        }
        for entry in precisions
    ]


def _kept(entry: PrecisionEntry) -> str:
    if not entry.kept_in_float:
        return numbers.MISSING
    share = f"{100 * entry.share_in_float:.0f} % of the multiply-adds"
    return f"{', '.join(entry.kept_in_float)} ({share})"


def _loss(loss: Loss | None) -> str:
    """What a precision costs, written as the change of the metric."""
    if loss is None:
        return numbers.MISSING
    return numbers.signed_with_span(-loss.drop, -loss.high, -loss.low)


def parity_rows(report: ParityReport) -> list[Cells]:
    """One row a file of the artifact."""
    return [
        {
            "variant": file.variant,
            "samples": str(file.samples),
            "max_abs": numbers.tiny(file.max_abs),
            "mean_abs": numbers.tiny(file.mean_abs),
            "agreement": agreement(file),
            "worst": worst_shape(file),
            "verdict": "passed" if file.passed else "; ".join(file.failures),
        }
        for file in report.files
    ]


def _latency_row(benchmark: BenchmarkFile, shape: str, best: Measurement | None) -> LatencyRow:
    row = best.rows.get(shape) if best else None
    return LatencyRow(
        shape=shape_title(shape),
        cells=tuple(
            numbers.milliseconds(measurement.rows[shape].p50_ms)
            if shape in measurement.rows
            else numbers.MISSING
            for measurement in _measurements(benchmark)
        ),
        vs_pytorch=_ratio(row.speedup.vs_pytorch_unpruned if row else None),
        vs_onnxruntime=_ratio(row.speedup.vs_onnxruntime_unpruned if row else None),
        fastest=_fastest(benchmark, shape),
    )


def _fastest(benchmark: BenchmarkFile, shape: str) -> str:
    """The winner at a shape, "surely" where its lead over the runner-up excludes 1."""
    for winner in benchmark.winners:
        if (winner.provider, winner.shape) == (benchmark.baseline.provider, shape):
            sure = winner.lead is not None and winner.lead.low > 1
            return f"`{winner.variant}`{', surely' if sure else ''}"
    return numbers.MISSING


def _cost(benchmark: BenchmarkFile, facts: CardFacts) -> str:
    pruned = metric_of(benchmark, "pruned", "fp32")
    unpruned = metric_of(benchmark, "unpruned", "fp32")
    if pruned is None or unpruned is None:
        return ""
    difference = _difference(facts, "unpruned")
    return (
        f"**{metric_name(benchmark.metric)}** {numbers.metric(pruned.value)} "
        f"({numbers.span(pruned.low, pruned.high)}), unpruned {numbers.metric(unpruned.value)} "
        f"({numbers.span(unpruned.low, unpruned.high)})"
        + (f"; difference {difference}" if difference != numbers.MISSING else "")
    )


def _gain(benchmark: BenchmarkFile) -> str:
    best, shape = recommended(benchmark), headline_shape(benchmark)
    if best is None:
        return ""
    speedup = best.rows[shape].speedup
    parts = [
        f"{_ratio(interval)} as fast as the unpruned model in {runtime}"
        for interval, runtime in (
            (speedup.vs_pytorch_unpruned, "PyTorch"),
            (speedup.vs_onnxruntime_unpruned, "ONNX Runtime"),
        )
        if interval is not None
    ]
    return f"**latency** {' and '.join(parts)} at {shape_words(benchmark, shape)}" if parts else ""


def _size(benchmark: BenchmarkFile, plan: Plan) -> str:
    best = recommended(benchmark)
    if best is None:
        return ""
    return (
        f"**size** {numbers.megabytes(best.any.bytes)} MB, {plan.depth} layers; unpruned "
        f"{numbers.megabytes(benchmark.baseline.bytes)} MB, {benchmark.baseline.layers} layers"
    )


def _measurements(benchmark: BenchmarkFile) -> list[Measurement]:
    return all_measurements(benchmark, benchmark.baseline.provider)


def _title(measurement: Measurement) -> str:
    kind = f" {measurement.kind}" if measurement.kind else ""
    return f"{measurement.any.contender}, {RUNTIMES[measurement.any.runtime]}{kind}"


def _name(row: MetricRow) -> str:
    return row.contender if row.precision == "fp32" else f"{row.contender} {row.precision}"


def _parameters(benchmark: BenchmarkFile, metric: MetricRow) -> str:
    counts = {
        row.parameters
        for row in benchmark.rows
        if (row.contender, row.plan_id) == (metric.contender, metric.plan_id)
    }
    return " / ".join(numbers.count(count) for count in sorted(counts)) or numbers.MISSING


def _difference(facts: CardFacts, contender: str) -> str:
    for found in facts.differences:
        if (found.contender, found.precision) == (contender, "fp32"):
            return numbers.signed_with_span(found.value, found.low, found.high)
    return numbers.MISSING


def _ratio(interval: Interval | None) -> str:
    if interval is None:
        return numbers.MISSING
    return f"{numbers.ratio(interval.value)} ({numbers.ratio_span(interval.low, interval.high)})"
