"""Several artifacts side by side, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors import sources_of
from glp_export.core import numbers
from glp_export.report import pruning
from glp_export.report.html.picture import Plot
from glp_export.report.html.plots.rows import Branch, forest, heights, listed
from glp_export.report.html.plots.structure import structure
from glp_export.report.html.verdict import Verdict, verdict
from glp_export.report.hub_metadata import base_name
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import headline_shape, recommended_row, shape_words
from glp_export.report.rendering import render_page
from glp_export.report.tables import Table
from glp_export.report.warnings import report_warnings
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from glp_export.compress.plan import Plan
    from glp_export.report.html.report_data import ReportData


@dataclass(frozen=True)
class Entry:
    """One artifact of a comparison."""

    report_data: ReportData
    verdict: Verdict
    warnings: list[str]

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.report_data.name


def comparison_page(all_report_data: Sequence[ReportData]) -> str:
    """The whole file; a sweep counts as its artifacts.

    Args:
        all_report_data: at least one; their names tell them apart.
    """
    entries = [
        Entry(part, verdict(part, len(warnings)), warnings)
        for whole in all_report_data
        for part in whole.parts()
        for warnings in (report_warnings(part),)
    ]
    facts = [_facts(entry.report_data) for entry in entries]
    differing = [name for name in facts[0] if len({fact[name] for fact in facts}) > 1]
    return render_page(
        "comparison.html.jinja",
        title=f"{len(entries)} artifacts side by side",
        entries=entries,
        pruning=pruning,
        structure=structure,
        sources=sources_of(entry.report_data.plan for entry in entries),
        names=differing,
        several_runs=len(all_report_data) > 1,
        table=_table(entries),
        speedups=_speedups(entries),
        differences=_differences(entries),
        differing=differing
        and Table.of(
            "What they do not have in common.",
            (
                {"artifact": entry.name, **{name: fact[name] for name in differing}}
                for entry, fact in zip(entries, facts, strict=True)
            ),
            words=differing,
        ),
        alike={name: value for name, value in facts[0].items() if name not in differing},
    )


def _table(entries: Sequence[Entry]) -> Table:
    return Table.of(
        "Each artifact by its fastest file, beside its own unpruned model.",
        (
            {
                "artifact": one.name,
                "layers": _left(one.report_data.plan),
                "is it faster?": f"{faster.word}: {faster.figure}",
                "is it still right?": f"{right.word}: {right.figure}",
                "may I ship it?": ship.word,
                "parity": "passed" if one.verdict.parity_passed else "failed",
                "warnings": str(len(one.warnings)),
                "p50 (ms)": numbers.milliseconds(row.p50_ms) if row else None,
                "size (MB)": numbers.megabytes(row.bytes) if row else None,
            }
            for one in entries
            for row in (recommended_row(one.report_data.benchmark),)
            for faster, right, ship in (one.verdict.tiles,)
        ),
        words=("is it faster?", "is it still right?", "may I ship it?", "parity"),
    )


def _left(plan: Plan) -> str:
    return f"{plan.depth} of {plan.num_layers}" if plan.layers_only else plan.label


def _speedups(entries: Sequence[Entry]) -> Plot:
    parts = [entry.report_data.benchmark for entry in entries]
    shapes = sorted({shape_words(part, headline_shape(part)) for part in parts})
    return _intervals(
        [Branch(entry.name, entry.verdict.speedup) for entry in entries],
        line=1.0,
        better="faster",
        title="Speedup over the unpruned model",
        caption="Each artifact's fastest file beside its own unpruned model, in one run, at the "
        f"same precision. Bars are 95 % intervals. At {'; '.join(shapes)}.",
        axis="speedup over unpruned in ONNX Runtime (×)",
    )


def _differences(entries: Sequence[Entry]) -> Plot:
    metrics = {metric_name(entry.report_data.benchmark.metric) for entry in entries}
    metric = " or ".join(sorted(metrics))
    return _intervals(
        [Branch(entry.name, entry.verdict.difference) for entry in entries],
        line=0.0,
        better="better",
        title=f"What pruning did to {metric}",
        caption="The fastest file's score less that of its own unpruned model, on its own test "
        "examples, with 95 % intervals. One that crosses the line leaves open which is better.",
        axis=f"pruned less unpruned ({metric})",
    )


def _intervals(
    branches: Sequence[Branch], *, line: float, better: str, title: str, caption: str, axis: str
) -> Plot:
    """Speedups, whose line is 1, or differences of scores, whose line is 0."""
    what, unit, digits = ("speedup", "×", 2) if line else ("difference", "", 3)
    heads = "artifact", f"{what} (×)" if line else what, "from", "to"
    cells = ((branch.name, *branch.cells(digits)) for branch in branches)
    rows = (dict(zip(heads, row, strict=True)) for row in cells)
    return Plot(
        name=f"{what}s",
        title=title,
        description=f"Right of the line is {better}. {listed(branches, unit)}",
        caption=caption,
        table=Table.of(f"{what.capitalize()}, with its 95 % interval.", rows),
        draw=lambda canvas: forest(canvas, branches, line, axis),
        heights=heights(len(branches)),
    )


def _facts(report_data: ReportData) -> dict[str, str]:
    """What may tell two artifacts apart."""
    plan, benchmark = report_data.plan, report_data.benchmark
    threads = sorted({row.threads for row in benchmark.rows})
    versions = benchmark.machine.versions
    return {
        "base model": base_name(plan),
        "task": plan.task,
        "metric": metric_name(benchmark.metric),
        "test examples": str(max((row.samples for row in benchmark.metrics), default=0)),
        "strategy": plan.strategy,
        "seed": numbers.MISSING if plan.seed is None else str(plan.seed),
        "what is left": plan.label,
        "layers removed, in order": ", ".join(map(str, plan.order)) or numbers.MISSING,
        "machine": machine_line(benchmark.machine),
        "threads": ", ".join(map(str, threads)),
        "ONNX Runtime": versions.get("onnxruntime", numbers.MISSING),
        "PyTorch": versions.get("torch", numbers.MISSING),
        "command": report_data.command or numbers.MISSING,
    }
