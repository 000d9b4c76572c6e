"""The report of one artifact or sweep, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors import sources_of
from glp_export.report.card import base_name
from glp_export.report.html import plots
from glp_export.report.html.speeds import speed_tables
from glp_export.report.html.verdict import verdict
from glp_export.report.html.warnings import report_warnings
from glp_export.report.machine_table import machine_facts
from glp_export.report.model_tables import (
    calibration_words,
    classes_table,
    files_table,
    precisions_table,
    scores_table,
)
from glp_export.report.pruning import (
    candidates_table,
    cost_words,
    finalists_table,
    stack,
    steps_table,
)
from glp_export.report.rendering import render_page
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
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
    """The whole file; the same data gives the same text."""
    warnings = report_warnings(report_data)
    pruned = [one for one in report_data.sweep_variants if one.plan.inside_layers]
    return render_page(
        "artifact.html.jinja",
        title=_title(report_data),
        report_data=report_data,
        sources=sources_of(one.plan for one in report_data.sweep_variants),
        metric=metric_name(report_data.benchmark.metric),
        base=base_name(report_data.plan),
        verdict=verdict(report_data, len(warnings)),
        warnings=warnings,
        stack=stack(report_data.plan),
        vocabularies=[
            report_data.named(one, str(one.vocabulary))
            for one in report_data.sweep_variants
            if one.vocabulary is not None
        ],
        storages=[
            report_data.named(one, str(one.block_sparse))
            for one in report_data.sweep_variants
            if one.block_sparse is not None
        ],
        structures=[plots.structure(one.plan, number) for number, one in enumerate(pruned)],
        predictions=[
            plot
            for number, one in enumerate(pruned)
            if (plot := plots.predictions(report_data.benchmark, one, number)) is not None
        ],
        finalists=[
            table
            for one in report_data.sweep_variants
            if (table := finalists_table(one.plan)) is not None
        ],
        steps=steps_table(report_data.plan),
        candidates=candidates_table(report_data.plan),
        cost=cost_words(report_data.plan),
        heat_map=plots.heat_map(report_data.plan),
        frontier=plots.accuracy_against_latency(report_data.placed),
        speeds=speed_tables(report_data.benchmark),
        distributions=plots.distributions(report_data.benchmark, report_data.samples),
        differences=plots.differences(report_data.benchmark),
        scores=scores_table(report_data.benchmark),
        classes=classes_table(report_data.benchmark),
        calibration=calibration_words(report_data.benchmark),
        parity=plots.parity(report_data),
        flips=_flips(report_data),
        precisions=precisions_table(
            [(one.label, entry) for one in report_data.sweep_variants for entry in one.precisions],
            report_data.benchmark.metric,
            several=report_data.is_sweep,
        ),
        files=files_table(report_data.benchmark),
        facts=machine_facts(report_data.benchmark.machine),
    )


def _title(report_data: ReportData) -> str:
    base, plan = base_name(report_data.plan).rpartition("/")[2], report_data.plan
    model = base if base == plan.task else f"{base} for {plan.task}"
    if all(sweep_variant.plan.layers_only for sweep_variant in report_data.sweep_variants):
        depths = ", ".join(str(variant.plan.depth) for variant in report_data.sweep_variants)
        return f"{model}: {depths} of {plan.num_layers} layers kept"
    return f"{model}: " + "; ".join(variant.label for variant in report_data.sweep_variants)


def _flips(report_data: ReportData) -> Sequence[Flip]:
    return [
        Flip(
            file=name,
            row=row,
            text=report_data.texts.get(row),
        )
        for name, file in report_data.named_files()
        for row in file.disagreements[:_SHOWN]
    ]
