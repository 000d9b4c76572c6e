"""Several artifacts side by side, as one HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors import sources_of
from glp_export.core import numbers
from glp_export.report.html.picture import Plot, Words
from glp_export.report.html.plots.forest import Branch, branch_table, forest, listed
from glp_export.report.html.plots.structure import structure
from glp_export.report.html.verdict import Verdict, verdict
from glp_export.report.html.warnings import report_warnings
from glp_export.report.hub_metadata import base_name
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import headline_shape, recommended_row, shape_words
from glp_export.report.pruning import Layer, stack
from glp_export.report.rendering import render_page
from glp_export.report.tables import Table
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import DifferenceRow, Interval
    from glp_export.compress.plan import Plan
    from glp_export.report.html.report_data import ReportData


@dataclass(frozen=True)
class Entry:
    """One artifact of a comparison."""

    report_data: ReportData
    verdict: Verdict
    warnings: tuple[str, ...]
    stack: tuple[Layer, ...]
    structure: Plot | None

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.report_data.name


def comparison_page(all_report_data: Sequence[ReportData]) -> str:
    """The whole file; a sweep counts as its artifacts.

    Args:
        all_report_data: at least one; their names tell them apart.
    """
    parts = [part for whole in all_report_data for part in whole.parts()]
    entries = [_entry(part, number) for number, part in enumerate(parts)]
    facts = [_facts(entry.report_data) for entry in entries]
    return render_page(
        "comparison.html.jinja",
        title=f"{len(entries)} artifacts side by side",
        entries=entries,
        sources=sources_of(entry.report_data.plan for entry in entries),
        report_warnings=_apart(entries, len(all_report_data)),
        table=_table(entries),
        speedups=_speedups(entries),
        differences=_differences(entries),
        differing=_differing(entries, facts),
        alike={
            name: facts[0][name] for name in facts[0] if len({fact[name] for fact in facts}) == 1
        },
    )


def _entry(report_data: ReportData, number: int) -> Entry:
    warnings, plan = tuple(report_warnings(report_data)), report_data.plan
    return Entry(
        report_data,
        verdict(report_data, len(warnings)),
        warnings,
        tuple(stack(plan)),
        structure(plan, number) if plan.inside_layers else None,
    )


def _apart(entries: Sequence[Entry], runs: int) -> list[str]:
    """What must not be compared, in sentences."""
    found = []
    parts = [entry.report_data for entry in entries]
    if len({(part.plan.task, part.benchmark.metric, _samples(part)) for part in parts}) > 1:
        found.append(
            "They were scored on different tasks, metrics or test sets: compare each with its own "
            "unpruned model, not their scores with one another."
        )
    if len({machine_line(part.benchmark.machine) for part in parts}) > 1:
        found.append(
            "They were measured on different machines: compare speedups, not milliseconds."
        )
    elif runs > 1:
        found.append(
            "They were measured in runs of their own: speedups compare better than milliseconds, "
            "which also tell what else the machine did. glp-export gate NEW --against OLD measures "
            "two artifacts side by side."
        )
    return found


def _samples(report_data: ReportData) -> int:
    return max((row.samples for row in report_data.benchmark.metrics), default=0)


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
                "p50 (ms)": row and numbers.milliseconds(row.p50_ms),
                "size (MB)": row and numbers.megabytes(row.bytes),
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
    shapes = {
        shape_words(entry.report_data.benchmark, headline_shape(entry.report_data.benchmark))
        for entry in entries
    }
    branches = _branches((entry.name, entry.verdict.speedup) for entry in entries)
    words = Words(
        name="speedups",
        title="Speedup over the unpruned model",
        description="Right of the line is faster. " + listed(branches, "×"),
        caption="Each artifact's fastest file beside its own unpruned model, in one run, at the "
        f"same precision. Bars are 95 % intervals. At {'; '.join(sorted(shapes))}.",
        table=branch_table("Speedup, with its 95 % interval.", "speedup (×)", branches, 2),
    )
    return forest(words, branches, 1.0, "speedup over unpruned in ONNX Runtime (×)")


def _differences(entries: Sequence[Entry]) -> Plot:
    metrics = {metric_name(entry.report_data.benchmark.metric) for entry in entries}
    metric = " or ".join(sorted(metrics))
    branches = _branches((entry.name, entry.verdict.difference) for entry in entries)
    words = Words(
        name="differences",
        title=f"What pruning did to {metric}",
        description="Right of the line is better. " + listed(branches),
        caption="The fastest file's score less that of its own unpruned model, on its own test "
        "examples, with 95 % intervals. One that crosses the line leaves open which is better.",
        table=branch_table("Difference, with its 95 % interval.", "difference", branches, 3),
    )
    return forest(words, branches, 0.0, f"pruned less unpruned ({metric})")


def _branches(found: Iterable[tuple[str, Interval | DifferenceRow | None]]) -> list[Branch]:
    return [
        Branch(name, "accent", each.value, each.low, each.high)
        if each
        else Branch(name, "accent", None, 0, 0)
        for name, each in found
    ]


def _facts(report_data: ReportData) -> dict[str, str]:
    """What may tell two artifacts apart."""
    plan, benchmark = report_data.plan, report_data.benchmark
    threads = sorted({row.threads for row in benchmark.rows})
    versions = benchmark.machine.versions
    return {
        "base model": base_name(plan),
        "task": plan.task,
        "metric": metric_name(benchmark.metric),
        "test examples": str(_samples(report_data)),
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


def _differing(entries: Sequence[Entry], facts: Sequence[Mapping[str, str]]) -> Table:
    names = [name for name in facts[0] if len({fact[name] for fact in facts}) > 1]
    rows = (
        {"artifact": entry.name, **{name: fact[name] for name in names}}
        for entry, fact in zip(entries, facts, strict=True)
    )
    return Table.of("What they do not have in common.", rows if names else (), words=names)
