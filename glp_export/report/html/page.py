"""The report of one artifact or sweep, as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.compress.compressors import sources_of
from glp_export.report import measurements, model_tables, pruning, structure, words
from glp_export.report.html import plots
from glp_export.report.html.verdict import verdict
from glp_export.report.hub_metadata import base_name
from glp_export.report.machine_table import machine_facts
from glp_export.report.rendering import render_page
from glp_export.report.warnings import report_warnings
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from glp_export.report.html.report_data import ReportData

_SHOWN = 50
"""Flipped labels of a file that are listed."""


def page(report_data: ReportData) -> str:
    """The whole file; the same data gives the same text."""
    warnings = report_warnings(report_data)
    variants = report_data.sweep_variants
    return render_page(
        "artifact.html.jinja",
        title=_title(report_data),
        report_data=report_data,
        benchmark=report_data.benchmark,
        plan=report_data.plan,
        at=measurements,
        words=words,
        tables=model_tables,
        plots=plots,
        pruning=pruning,
        structure=structure,
        sources=sources_of(one.plan for one in variants),
        metric=metric_name(report_data.benchmark.metric),
        base=base_name(report_data.plan),
        verdict=verdict(report_data, len(warnings)),
        warnings=warnings,
        inside=[one for one in variants if one.plan.inside_layers],
        finalists=[table for one in variants if (table := pruning.finalists_table(one.plan))],
        flips=[
            (name, row, report_data.texts.get(row))
            for name, file in report_data.named_files()
            for row in file.disagreements[:_SHOWN]
        ],
        precisions=model_tables.precisions_table(
            [(one.plan.label, entry) for one in variants for entry in one.precisions],
            report_data.benchmark.metric,
            several=report_data.is_sweep,
        ),
        facts=machine_facts(report_data.benchmark.machine),
    )


def _title(report_data: ReportData) -> str:
    base, plan = base_name(report_data.plan).rpartition("/")[2], report_data.plan
    model = base if base == plan.task else f"{base} for {plan.task}"
    if all(one.plan.layers_only for one in report_data.sweep_variants):
        depths = ", ".join(str(one.plan.depth) for one in report_data.sweep_variants)
        return f"{model}: {depths} of {plan.num_layers} layers kept"
    return f"{model}: " + "; ".join(one.plan.label for one in report_data.sweep_variants)
