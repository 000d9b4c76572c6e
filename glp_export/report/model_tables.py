"""Tables that the card, the report and the terminal share: scores, files, precisions, parity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.artifact.difference import less
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
    pruned_ids,
)
from glp_export.report.tables import Code, Quoted, Table, known, terminal_table
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import FileParity, ParityReport
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import ClassChange, DifferenceRow, MetricRow
    from glp_export.precision.record import Loss, PrecisionEntry

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
    table = Table.of(
        f"{capital(metric)} on the test set, by the very files that were timed, with 95 % "
        "intervals over other such test sets.",
        (
            {
                "model": precise_name(benchmark, row),
                "made from": Quoted((origins or {}).get(row.contender, numbers.MISSING)),
                "layers": layers_cell(benchmark, row),
                "parameters": _parameters(benchmark, row),
                metric: numbers.metric(row.value),
                "95 % interval": numbers.span(row.low, row.high),
                "pruned less this one": _difference(benchmark, row),
                "examples": str(row.samples),
            }
            for row in ranked
        ),
        words=("made from",),
        strong=(n for n, row in enumerate(ranked) if row.contender == "pruned"),
    )
    several = len(pruned_ids(benchmark.metrics)) > 1
    return table.without(*("made from",) * (not origins), *("pruned less this one",) * several)


def files_table(benchmark: BenchmarkFile, *, every_model: bool = False) -> Table:
    """The files of the pruned models, or of every model that was measured, with their sizes."""
    files = {
        (one.any.plan_id, one.any.contender, one.any.variant): one.any
        for provider in reversed(providers(benchmark))
        for one in all_measurements(benchmark, provider)
        if every_model or one.any.contender == "pruned"
    }
    return Table.of(
        "The files and their sizes. Memory is the peak of a process that runs the file "
        "alone at the largest shape.",
        (
            {
                "file": Code(row.variant),
                "model": model_name(benchmark, row),
                "layers": layers_cell(benchmark, row),
                "parameters": numbers.count(row.parameters),
                "size (MB)": numbers.megabytes(row.bytes),
                "peak memory (MiB)": known(row.peak_memory_mb, "{:.0f}".format),
            }
            for row in files.values()
        ),
        words=("model",),
    )


def precisions_table(
    entries: Iterable[tuple[str, PrecisionEntry]], metric: str, *, several: bool = False
) -> Table:
    """One row a precision that was to be made: the file, how it was made and what it costs.

    Args:
        entries: with the label of their model.
        metric: of the task.
        several: whether there are several models, so that their labels stand in the table.
    """
    listed = list(entries)
    kernels = "products in integers"
    table = Table.of(
        f"Files of lower precision and what each costs of {metric_name(metric)} beside "
        "fp32, with paired 95 % intervals. dev chose what stays in float; test is what counts.",
        (
            {
                "model": label,
                "file": Code(entry.file) if entry.file else f"no {entry.precision} file",
                "how it was made": Quoted(entry.recipe or entry.reason or numbers.MISSING),
                kernels: "; ".join(count.short for count in entry.kernels) or None,
                "what stayed in float": f"{', '.join(entry.kept_in_float)} "
                f"({100 * entry.share_in_float:.0f} % of the multiply-adds)"
                if entry.kept_in_float
                else None,
                "on dev": known(entry.on_select, _loss),
                "on test": known(entry.on_test, _loss),
            }
            for label, entry in listed
        ),
        words=("file", "how it was made", kernels, "what stayed in float"),
    )
    counted = any(entry.kernels for _, entry in listed)
    return table.without(*("model",) * (not several), *(kernels,) * (not counted))


def parity_rows(files: Iterable[tuple[str, FileParity]]) -> Table:
    """One row a file: how far its logits are from PyTorch's, and whether that passes."""
    return Table.of(
        "Differences of logits from the PyTorch model; tolerance is absolute plus a share "
        "of the logit, or of how far a number is from the mean.",
        (
            {
                "file": Code(name),
                "examples": str(file.samples),
                "largest |Δ|": numbers.tiny(file.max_abs),
                "mean |Δ|": numbers.tiny(file.mean_abs),
                "worst shape": _worst_shape(file),
                "tolerance": "by the metric"
                if file.atol is None
                else f"{file.atol:.3g} + {file.rtol or 0:g} · abs(logit{less(file.centre)})",
                "same label": _agreement(file),
                "labels that flip": str(len(file.disagreements)),
                "verdict": "passed" if file.passed else "failed: " + "; ".join(file.failures),
            }
            for name, file in files
        ),
        words=("verdict",),
    )


def parity_table(report: ParityReport) -> RenderableType:
    """The same on a terminal, with what failed below it."""
    whole = parity_rows((file.label, file) for file in report.files)
    short = replace(whole, rows=tuple((*row[:-1], row[-1].partition(":")[0]) for row in whole.rows))
    hidden = ("tolerance", "labels that flip")
    choices = (
        [terminal_table(short.without(*some), "parity with PyTorch", fold=("worst shape",))]
        for some in (hidden, (*hidden, "mean |Δ|", "examples"))
    )
    failures = [
        Text(f"✗ {file.label}: {failure}", style="red")
        for file in report.files
        for failure in file.failures
    ]
    return Group(Fitting(*choices), *failures)


def _worst_shape(file: FileParity) -> str | None:
    """The probe that differs most, `3.1e-07 at 3×17`; one that could not be computed is worst."""
    probe = max(
        file.probes, key=lambda one: inf if one.max_abs is None else one.max_abs, default=None
    )
    if probe is None:
        return None
    return f"{numbers.tiny(probe.max_abs)} at {probe.batch_size}×{probe.sequence_length}"


def _agreement(file: FileParity) -> str | None:
    """Share of rows with the same label; None for regression."""
    if file.label_agreement is None:
        return None
    # 99.96 % is not 100 %: the rounding must not hide a flip.
    share = 100 * file.label_agreement
    return "100 %" if share == 100 else f"{min(share, 99.99):.2f} %"


def _parameters(benchmark: BenchmarkFile, metric: MetricRow) -> str | None:
    counts = {
        row.parameters
        for row in benchmark.rows
        if (row.contender, row.plan_id) == (metric.contender, metric.plan_id)
    }
    return " / ".join(map(numbers.count, sorted(counts))) or None


def _difference(benchmark: BenchmarkFile, metric: MetricRow) -> str | None:
    """How far the pruned fp32 model is from another one in fp32."""
    if metric.precision != "fp32":
        return ""
    row = difference_of(benchmark, metric.contender, "fp32")
    return numbers.signed_with_span(row.value, row.low, row.high) if row else None


def changed_words(row: DifferenceRow) -> str | None:
    """The share of test rows that are predicted otherwise: `4.2 % (2.7–6.4)`."""
    found = row.changed
    return numbers.share_with_span(found.value, found.low, found.high) if found else None


def _loss(loss: Loss) -> str:
    """What a precision costs, written as the change of the metric."""
    return numbers.signed_with_span(-loss.drop, -loss.high, -loss.low)


def _losers(benchmark: BenchmarkFile, most: int) -> list[tuple[DifferenceRow, ClassChange]]:
    """The classes whose recall fell most in fp32, so many of each pruned model."""
    return [
        (row, one)
        for row in benchmark.differences
        if row.less == "unpruned" and row.precision == "fp32"
        for one in row.classes[:most]
        if one.change < 0
    ]


def class_drop_words(benchmark: BenchmarkFile) -> str:
    """The class that lost most in fp32; empty where none did."""
    for _, one in _losers(benchmark, 1):
        return f"{one.label}, {_change(one)} from {one.before:.3f} on {one.rows} rows"
    return ""


def classes_table(benchmark: BenchmarkFile) -> Table:
    """One row a class whose recall fell, of each pruned model in fp32."""
    table = Table.of(
        f"Recall beside the unpruned model's, of the classes that lost most, at most "
        f"{_CLASSES} a model, with paired 95 % intervals.",
        (
            {
                "model": precise_name(benchmark, row),
                "class": Quoted(one.label),
                "test rows": str(one.rows),
                "recall of the unpruned model": numbers.metric(one.before),
                "change": _change(one),
            }
            for row, one in _losers(benchmark, _CLASSES)
        ),
        words=("class",),
    )
    return table if len(pruned_ids(benchmark.differences)) > 1 else table.without("model")


def calibration_words(benchmark: BenchmarkFile) -> list[str]:
    """The calibration error of every model in fp32."""
    several = len(pruned_ids(benchmark.metrics)) > 1
    return [
        f"{precise_name(benchmark, row) if several else row.contender} "
        f"{numbers.share_with_span(found.value, found.low, found.high)}"
        for row in benchmark.metrics
        if row.precision == "fp32" and (found := row.calibration_error) is not None
    ]


def _change(one: ClassChange) -> str:
    return numbers.signed_with_span(one.change, one.low, one.high)
