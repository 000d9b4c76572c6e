"""Tables that the card, the report and the terminal share: scores, files, precisions, parity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting
from glp_export.core.text import capital
from glp_export.report.measurements import (
    CONTENDERS,
    all_measurements,
    difference_of,
    layers_cell,
    model_name,
    precise_name,
    providers,
)
from glp_export.report.tables import Code, Quoted, Table, columns, terminal_table
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import FileParity, ParityReport, Probe
    from glp_export.bench.benchmark_file import BenchmarkFile, ClassChange, DifferenceRow, MetricRow
    from glp_export.precision.record import Loss, PrecisionEntry

_KERNELS = "products in integers"

_CLASSES = 5
"""Classes that are shown of each model."""


def scores_table(benchmark: BenchmarkFile, origins: Mapping[str, str] | None = None) -> Table:
    """One row a model and precision.

    Args:
        benchmark: of one pruned model or of several.
        origins: contender to what it was made from; without it there is no such column.
    """
    metric = metric_name(benchmark.metric)
    ranked = sorted(
        benchmark.metrics,
        key=lambda row: (CONTENDERS.index(row.contender), -row.layers, row.plan_id),
    )
    table = Table(
        caption=f"{capital(metric)} on the test set, by the very files that were timed, with 95 % "
        "intervals over other such test sets.",
        columns=columns(
            *("model", "made from", "layers", "parameters", metric, "95 % interval"),
            *("pruned less this one", "examples"),
            words=("made from",),
        ),
        rows=tuple(
            (
                precise_name(benchmark, row),
                Quoted((origins or {}).get(row.contender, numbers.MISSING)),
                layers_cell(benchmark, row),
                _parameters(benchmark, row),
                numbers.metric(row.value),
                numbers.span(row.low, row.high),
                _difference(benchmark, row),
                str(row.samples),
            )
            for row in ranked
        ),
        strong=frozenset(n for n, row in enumerate(ranked) if row.contender == "pruned"),
    )
    several = len({row.plan_id for row in benchmark.metrics if row.contender == "pruned"}) > 1
    hidden = (*(() if origins else ("made from",)), *(("pruned less this one",) * several))
    return table.without(*hidden)


def files_table(benchmark: BenchmarkFile, *, every_model: bool = False) -> Table:
    """The files of the pruned models, or of every model that was measured, with their sizes."""
    rows = {
        (measurement.any.plan_id, measurement.any.contender, measurement.any.variant): measurement
        for provider in reversed(providers(benchmark))
        for measurement in all_measurements(benchmark, provider)
        if every_model or measurement.any.contender == "pruned"
    }
    shown = [measurement.any for measurement in rows.values()]
    return Table(
        caption="The files and their sizes. Memory is the peak of a process that runs the file "
        "alone at the largest shape.",
        columns=columns(
            *("file", "model", "layers", "parameters", "size (MB)", "peak memory (MiB)"),
            words=("model",),
        ),
        rows=tuple(
            (
                Code(row.variant),
                model_name(benchmark, row),
                layers_cell(benchmark, row),
                numbers.count(row.parameters),
                numbers.megabytes(row.bytes),
                numbers.MISSING if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
            )
            for row in shown
        ),
    )


def precisions_table(
    entries: Iterable[tuple[str, PrecisionEntry]], metric: str, *, several: bool = False
) -> Table | None:
    """One row a precision that was to be made: the file, how it was made and what it costs.

    Args:
        entries: with the label of their model.
        metric: of the task.
        several: whether there are several models, so that their labels stand in the table.
    """
    listed = list(entries)
    rows = tuple(
        (
            label,
            Code(entry.file) if entry.file else f"no {entry.precision} file",
            Quoted(entry.recipe or entry.reason or numbers.MISSING),
            "; ".join(count.short for count in entry.kernels) or numbers.MISSING,
            _kept(entry),
            _loss(entry.on_select),
            _loss(entry.on_test),
        )
        for label, entry in listed
    )
    if not rows:
        return None
    table = Table(
        caption=f"Files of lower precision and what each costs of {metric_name(metric)} beside "
        "fp32, with paired 95 % intervals. dev chose what stays in float; test is what counts.",
        columns=columns(
            *("model", "file", "how it was made", _KERNELS, "what stayed in float"),
            *("on dev", "on test"),
            words=("file", "how it was made", _KERNELS, "what stayed in float"),
        ),
        rows=rows,
    )
    counted = any(entry.kernels for _, entry in listed)
    return table.without(*(() if several else ("model",)), *(() if counted else (_KERNELS,)))


def parity_rows(files: Iterable[tuple[str, FileParity]]) -> Table:
    """One row a file: how far its logits are from PyTorch's, and whether that passes."""
    return Table(
        caption="Differences of logits from the PyTorch model; tolerance is absolute plus a share "
        "of the logit.",
        columns=columns(
            *("file", "examples", "largest |Δ|", "mean |Δ|", "worst shape", "tolerance"),
            *("same label", "labels that flip", "verdict"),
            words=("verdict",),
        ),
        rows=tuple(
            (
                Code(name),
                str(file.samples),
                numbers.tiny(file.max_abs),
                numbers.tiny(file.mean_abs),
                worst_shape(file),
                _tolerance(file),
                agreement(file),
                str(len(file.disagreements)),
                "passed" if file.passed else "failed: " + "; ".join(file.failures),
            )
            for name, file in files
        ),
    )


def parity_table(report: ParityReport) -> RenderableType:
    """The same on a terminal, with what failed below it."""
    whole = parity_rows((file.label, file) for file in report.files)
    short = tuple(
        (*row[:-1], "passed" if file.passed else "failed")
        for row, file in zip(whole.rows, report.files, strict=True)
    )
    table = Table(whole.caption, whole.columns, short).without("tolerance", "labels that flip")
    narrow = table.without("mean |Δ|", "examples")
    title = "parity with PyTorch"
    failures = [
        Text(f"✗ {file.label}: {failure}", style="red")
        for file in report.files
        for failure in file.failures
    ]
    folding = ("worst shape",)
    wide = terminal_table(table, title, fold=folding)
    return Group(Fitting([wide], [terminal_table(narrow, title, fold=folding)]), *failures)


def worst_shape(file: FileParity) -> str:
    """The probe that differs most, `3.1e-07 at 3×17`; a dash without probes."""
    probe = max(file.probes, key=_difference_of, default=None)
    if probe is None:
        return numbers.MISSING
    return f"{numbers.tiny(probe.max_abs)} at {probe.batch_size}×{probe.sequence_length}"


def agreement(file: FileParity) -> str:
    """Share of rows with the same label; a dash for regression."""
    if file.label_agreement is None:
        return numbers.MISSING
    # 99.96 % is not 100 %: the rounding must not hide a flip.
    share = 100 * file.label_agreement
    return "100 %" if share == 100 else f"{min(share, 99.99):.2f} %"


def _parameters(benchmark: BenchmarkFile, metric: MetricRow) -> str:
    counts = {
        row.parameters
        for row in benchmark.rows
        if (row.contender, row.plan_id) == (metric.contender, metric.plan_id)
    }
    return " / ".join(numbers.count(count) for count in sorted(counts)) or numbers.MISSING


def _difference(benchmark: BenchmarkFile, metric: MetricRow) -> str:
    """How far the pruned fp32 model is from another one in fp32."""
    if metric.precision != "fp32":
        return ""
    row = difference_of(benchmark, metric.contender, "fp32")
    return numbers.signed_with_span(row.value, row.low, row.high) if row else numbers.MISSING


def changed_words(row: DifferenceRow) -> str:
    """The share of test rows that are predicted otherwise: `4.2 % (2.7–6.4)`."""
    if row.changed is None:
        return numbers.MISSING
    return numbers.share_with_span(row.changed.value, row.changed.low, row.changed.high)


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


def _tolerance(file: FileParity) -> str:
    if file.atol is None:
        return "by the metric"
    return f"{file.atol:g} + {file.rtol or 0:g} · abs(logit)"


def _difference_of(probe: Probe) -> float:
    """A difference that could not be computed is worse than any."""
    return float("inf") if probe.max_abs is None else probe.max_abs


def class_drop_words(benchmark: BenchmarkFile) -> str:
    """The class that lost most in fp32; empty where none did."""
    for row in benchmark.differences:
        if row.less == "unpruned" and row.precision == "fp32" and row.classes:
            most = row.classes[0]
            if most.change < 0:
                return f"{most.label}, {_change(most)} from {most.before:.3f} on {most.rows} rows"
    return ""


def classes_table(benchmark: BenchmarkFile) -> Table | None:
    """One row a class whose recall fell, of each pruned model in fp32; None where none did."""
    several = len({row.plan_id for row in benchmark.differences}) > 1
    rows = tuple(
        (
            precise_name(benchmark, row),
            Quoted(one.label),
            str(one.rows),
            numbers.metric(one.before),
            _change(one),
        )
        for row in benchmark.differences
        if row.less == "unpruned" and row.precision == "fp32"
        for one in row.classes[:_CLASSES]
        if one.change < 0
    )
    if not rows:
        return None
    table = Table(
        caption=f"Recall beside the unpruned model's, of the classes that lost most, at most "
        f"{_CLASSES} a model, with paired 95 % intervals.",
        columns=columns(
            *("model", "class", "test rows", "recall of the unpruned model", "change"),
            words=("model", "class"),
        ),
        rows=rows,
    )
    return table if several else table.without("model")


def calibration_words(benchmark: BenchmarkFile) -> list[str]:
    """The calibration error of every model in fp32."""
    several = len({row.plan_id for row in benchmark.metrics if row.contender == "pruned"}) > 1
    return [
        f"{precise_name(benchmark, row) if several else row.contender} "
        f"{numbers.share_with_span(found.value, found.low, found.high)}"
        for row in benchmark.metrics
        if row.precision == "fp32" and (found := row.calibration_error) is not None
    ]


def _change(one: ClassChange) -> str:
    return numbers.signed_with_span(one.change, one.low, one.high)
