"""The report of one artifact or ladder, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.card_metadata import base_name
from glp_export.report.card_tables import precision_rows
from glp_export.report.html import plots
from glp_export.report.html.pruning import candidates_table, stack, steps_table
from glp_export.report.html.rendering import render_page
from glp_export.report.html.speeds import speed_tables
from glp_export.report.html.tables import Table, columns
from glp_export.report.html.verdict import verdict
from glp_export.report.html.warnings import report_warnings
from glp_export.report.html.words import capital
from glp_export.report.inspect_view import cost_words
from glp_export.report.machine_table import machine_facts
from glp_export.report.measurements import CONTENDERS, model_label
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.report.html.report_data import ReportData

_SHOWN = 50
"""Flipped labels of a file that are listed."""


@dataclass(frozen=True)
class Flip:
    """A test row whose label a file turns round.

    Attributes:
        file: which does.
        row: of the test set.
        text: None where it may not be shown.
    """

    file: str
    row: int
    text: str | None


def page(report_data: ReportData) -> str:
    """The whole file; the same material gives the same text."""
    warnings = report_warnings(report_data)
    return render_page(
        "artifact.html.jinja",
        title=_title(report_data),
        report_data=report_data,
        metric=metric_name(report_data.benchmark.metric),
        base=base_name(report_data.plan),
        verdict=verdict(report_data, len(warnings)),
        warnings=warnings,
        stack=stack(report_data.plan),
        steps=steps_table(report_data.plan),
        candidates=candidates_table(report_data.plan),
        cost=cost_words(report_data.plan),
        heat_map=plots.heat_map(report_data.plan),
        frontier=plots.accuracy_against_latency(report_data.placed),
        speeds=speed_tables(report_data.benchmark),
        distributions=plots.distributions(report_data.benchmark, report_data.samples),
        differences=plots.differences(report_data.benchmark),
        scores=_scores(report_data.benchmark),
        parity=plots.parity(report_data),
        flips=_flips(report_data),
        precisions=_precisions(report_data),
        files=_files(report_data),
        facts=machine_facts(report_data.benchmark.machine),
    )


def _title(report_data: ReportData) -> str:
    base, plan = base_name(report_data.plan).rpartition("/")[2], report_data.plan
    model = base if base == plan.task else f"{base} for {plan.task}"
    if all(sweep_variant.plan.layers_only for sweep_variant in report_data.sweep_variants):
        depths = ", ".join(str(variant.plan.depth) for variant in report_data.sweep_variants)
        return f"{model}: {depths} of {plan.num_layers} layers kept"
    return f"{model}: " + "; ".join(variant.label for variant in report_data.sweep_variants)


def _scores(benchmark: BenchmarkFile) -> Table:
    rows = sorted(
        benchmark.metrics,
        key=lambda row: (CONTENDERS.index(row.contender), -row.layers, row.plan_id),
    )
    metric = metric_name(benchmark.metric)
    return Table(
        caption=f"{capital(metric)} on the test set, by the very files that were timed, with 95 % "
        "intervals over other such test sets.",
        columns=columns(
            *("model", "layers", "precision", metric, "interval", "examples"), words=("precision",)
        ),
        rows=tuple(
            (
                row.contender,
                str(row.layers),
                row.precision,
                numbers.metric(row.value),
                numbers.span(row.low, row.high),
                str(row.samples),
            )
            for row in rows
        ),
        strong=frozenset(n for n, row in enumerate(rows) if row.contender == "pruned"),
    )


def _flips(report_data: ReportData) -> Sequence[Flip]:
    return [
        Flip(
            file=f"{sweep_variant.label}, {file.variant}" if report_data.is_sweep else file.variant,
            row=row,
            text=report_data.texts.get(row),
        )
        for sweep_variant in report_data.sweep_variants
        for file in sweep_variant.parity.files
        for row in file.disagreements[:_SHOWN]
    ]


def _precisions(report_data: ReportData) -> Table | None:
    metric = metric_name(report_data.benchmark.metric)
    rows = tuple(
        (
            *((sweep_variant.label,) if report_data.is_sweep else ()),
            cells["file"].replace("`", ""),
            cells["recipe"],
            cells["kept"],
            cells["on_select"],
            cells["on_test"],
        )
        for sweep_variant in report_data.sweep_variants
        for cells in precision_rows(sweep_variant.precisions)
    )
    if not rows:
        return None
    titles = (
        *(("model",) if report_data.is_sweep else ()),
        *("file", "how it was made", "what stayed in float", "on select", "on test"),
    )
    return Table(
        caption=f"Files of lower precision and what each costs of {metric} beside fp32, with "
        "paired 95 % intervals. select chose what stays in float; test is what counts.",
        columns=columns(
            *titles, words=("model", "file", "how it was made", "what stayed in float")
        ),
        rows=rows,
    )


def _files(report_data: ReportData) -> Table:
    """What a deployment carries: each file of the pruned model, with what it weighs."""
    rows = {
        (row.layers, row.plan_id, row.variant): row
        for row in report_data.benchmark.rows
        if row.contender == "pruned"
    }
    ordered = [rows[name] for name in sorted(rows, key=lambda name: (-name[0], *name[1:]))]
    return Table(
        caption="Files of the pruned model. Memory is the peak of a process that runs the file "
        "alone at the largest shape.",
        columns=columns(
            *("file", "model", "parameters", "size (MB)", "peak memory (MiB)"),
            words=("file", "model"),
        ),
        rows=tuple(
            (
                row.variant,
                model_label(report_data.benchmark, row),
                numbers.count(row.parameters),
                numbers.megabytes(row.bytes),
                numbers.MISSING if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
            )
            for row in ordered
        ),
    )
