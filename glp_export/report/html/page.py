"""The report of one artifact or ladder, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.card_metadata import base_name
from glp_export.report.card_tables import precision_rows
from glp_export.report.findings import metric_name
from glp_export.report.html import plots
from glp_export.report.html.cautions import cautions
from glp_export.report.html.removal import candidates_table, stack, steps_table
from glp_export.report.html.rendering import render_page
from glp_export.report.html.speeds import speed_tables
from glp_export.report.html.tables import Table, columns
from glp_export.report.html.verdict import verdict
from glp_export.report.html.words import capital
from glp_export.report.inspect_view import cost_words
from glp_export.report.machine_table import machine_facts
from glp_export.report.series import CONTENDERS

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.report.html.material import Material

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


def page(material: Material) -> str:
    """The whole file; the same material gives the same text."""
    warnings = cautions(material)
    return render_page(
        "artifact.html.jinja",
        title=_title(material),
        material=material,
        metric=metric_name(material.benchmark.metric),
        base=base_name(material.plan),
        verdict=verdict(material, len(warnings)),
        warnings=warnings,
        stack=stack(material.plan),
        steps=steps_table(material.plan),
        candidates=candidates_table(material.plan),
        cost=cost_words(material.plan),
        heat_map=plots.heat_map(material.plan),
        frontier=plots.accuracy_against_latency(material.placed),
        speeds=speed_tables(material.benchmark),
        distributions=plots.distributions(material.benchmark, material.samples),
        differences=plots.differences(material.benchmark),
        scores=_scores(material.benchmark),
        parity=plots.parity(material),
        flips=_flips(material),
        precisions=_precisions(material),
        files=_files(material),
        facts=machine_facts(material.benchmark.machine),
    )


def _title(material: Material) -> str:
    base, plan = base_name(material.plan).rpartition("/")[2], material.plan
    model = base if base == plan.task else f"{base} for {plan.task}"
    depths = ", ".join(str(rung.depth) for rung in material.rungs)
    return f"{model}: {depths} of {plan.num_layers} layers kept"


def _scores(benchmark: BenchmarkFile) -> Table:
    rows = sorted(benchmark.metrics, key=lambda row: (CONTENDERS.index(row.contender), -row.layers))
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


def _flips(material: Material) -> Sequence[Flip]:
    return [
        Flip(
            file=f"{rung.depth} layers, {file.variant}" if material.is_ladder else file.variant,
            row=row,
            text=material.texts.get(row),
        )
        for rung in material.rungs
        for file in rung.parity.files
        for row in file.disagreements[:_SHOWN]
    ]


def _precisions(material: Material) -> Table | None:
    metric = metric_name(material.benchmark.metric)
    rows = tuple(
        (
            *((str(rung.depth),) if material.is_ladder else ()),
            cells["file"].replace("`", ""),
            cells["recipe"],
            cells["kept"],
            cells["on_select"],
            cells["on_test"],
        )
        for rung in material.rungs
        for cells in precision_rows(rung.precisions)
    )
    if not rows:
        return None
    titles = (
        *(("layers",) if material.is_ladder else ()),
        *("file", "how it was made", "what stayed in float", "on select", "on test"),
    )
    return Table(
        caption=f"Files of lower precision and what each costs of {metric} beside fp32, with "
        "paired 95 % intervals. select chose what stays in float; test is what counts.",
        columns=columns(*titles, words=("file", "how it was made", "what stayed in float")),
        rows=rows,
    )


def _files(material: Material) -> Table:
    """What a deployment carries: each file of the pruned model, with what it weighs."""
    rows = {
        (row.layers, row.variant): row
        for row in material.benchmark.rows
        if row.contender == "pruned"
    }
    ordered = [rows[name] for name in sorted(rows, key=lambda name: (-name[0], name[1]))]
    return Table(
        caption="Files of the pruned model. Memory is the peak of a process that runs the file "
        "alone at the largest shape.",
        columns=columns(
            *("file", "layers", "parameters", "size (MB)", "peak memory (MiB)"),
        ),
        rows=tuple(
            (
                row.variant,
                str(row.layers),
                numbers.count(row.parameters),
                numbers.megabytes(row.bytes),
                numbers.MISSING if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
            )
            for row in ordered
        ),
    )
