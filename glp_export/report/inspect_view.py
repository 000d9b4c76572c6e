"""What `glp-export inspect` shows: a plan, or an artifact with everything that is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import facts_table
from glp_export.report.frontier import frontier_table
from glp_export.report.model_tables import parity_table
from glp_export.report.pruning import (
    candidate_names,
    cost_words,
    finalists_table,
    steps_table,
)
from glp_export.report.structure import stack_line, structure_picture
from glp_export.report.table import benchmark_table
from glp_export.report.tables import Table, columns, terminal_table
from glp_export.report.warnings import benchmark_warnings, metric_name

if TYPE_CHECKING:
    from glp_export.compress.plan import Plan


def plan_view(plan: Plan) -> RenderableType:
    """A plan: what is left, the facts, and every step's candidates, best first."""
    parts: list[RenderableType] = [_facts(plan)]
    if plan.inside_layers:
        parts += ["", Text(structure_picture(plan))]
    if steps_table(plan):
        parts += ["", _steps(plan)]
    finalists = finalists_table(plan)
    if finalists:
        parts += ["", terminal_table(finalists, "final round", fold=("candidate", "result"))]
    return Group(*parts)


def artifact_view(root: Path) -> RenderableType:
    """An artifact: its files, its plan in short, what was measured, and the parity verdict.

    Of a sweep, which holds several, the frontier and the plan of the fastest.
    Shows what is there: an exported checkpoint has no plan, an unfinished search no benchmark.

    Raises:
        DataError: the plan, the benchmark or the frontier cannot be read.
        ModelError: the parity report cannot be read.
    """
    from glp_export.artifact.layout import ArtifactLayout
    from glp_export.artifact.parity_report import ParityReport
    from glp_export.artifact.transfer_record import read_transfer
    from glp_export.artifact.vocabulary_record import read_vocabulary
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.frontier import Frontier
    from glp_export.compress.plan import Plan
    from glp_export.encoder.structure import read_block_sparse_record

    layout = ArtifactLayout(root)
    if layout.frontier.is_file():
        warnings = benchmark_warnings(BenchmarkFile.load(layout.benchmark))
        frontier = frontier_table(Frontier.load(layout.frontier), warnings)
        return Group(frontier, "", _short(Plan.load(layout.plan)))
    parts: list[RenderableType] = [_files(layout.files(), root)]
    if layout.plan.is_file():
        parts += ["", _short(Plan.load(layout.plan))]
    vocabulary = read_vocabulary(root)
    if vocabulary is not None:
        parts += ["", Text(f"vocabulary: {vocabulary}")]
    stored = read_block_sparse_record(root)
    if stored is not None:
        parts += ["", Text(f"storage: {stored}")]
    transfer = read_transfer(root)
    if transfer is not None:
        parts += ["", *map(Text, transfer.lines)]
    if layout.benchmark.is_file():
        parts += ["", benchmark_table(BenchmarkFile.load(layout.benchmark))]
    if layout.parity.is_file():
        text = layout.parity.read_text(encoding="utf-8")
        parts += ["", parity_table(ParityReport.from_json(text))]
    return Group(*parts)


def _short(plan: Plan) -> RenderableType:
    if not plan.inside_layers:
        return _facts(plan)
    return Group(_facts(plan), "", Text(structure_picture(plan)))


def _facts(plan: Plan) -> RenderableType:
    table = facts_table()
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in plan.settings.items()
    )
    in_order = "" if finalists_table(plan) else ", in this order"
    removed = f"{len(plan.order)} of {plan.num_layers}{in_order}: "
    predicted = plan.predicted_speedup
    facts: dict[str, str | Text | None] = {
        "left": plan.label,
        "layers": None if plan.inside_layers else stack_line(plan),
        "removed": removed + " ".join(map(str, plan.order)) if plan.order else None,
        "Kronecker factors": None if plan.factors is None else str(plan.factors),
        "sparse blocks": None if plan.blocks is None else str(plan.blocks),
        "predicted": f"{numbers.ratio(predicted)} the speed of the unpruned model"
        if predicted is not None
        else None,
        "base model": plan.base_model + (f" at {plan.revision}" if plan.revision else ""),
        "task": f"{plan.task}, scored by {metric_name(plan.metric)}",
        "chosen by": plan.strategy + (f", seed {plan.seed}" if plan.seed is not None else ""),
        "search cost": cost_words(plan),
        "settings": settings or None,
        "source": plan.source,
        "plan id": plan.id,
        "latency table": plan.latency_table and plan.latency_table[:16],
        "digest": plan.digest[:16],
    }
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def _steps(plan: Plan) -> RenderableType:
    """The steps with every candidate and its score, best first."""
    table = steps_table(plan)
    if table is None:
        return Text("")
    rankings = (
        "  ".join(
            f"{name}:{numbers.metric(candidate.score)}"
            for name, candidate in candidate_names(plan, number).items()
        )
        for number in range(len(table.rows))
    )
    shown = table.without("next best", "lead (loss)").beside("candidates", rankings)
    return terminal_table(shown, "steps", fold=("candidates",))


def _files(files: list[Path], root: Path) -> RenderableType:
    rows = tuple(
        (file.relative_to(root).as_posix(), numbers.file_size(file.stat().st_size))
        for file in files
    )
    table = Table("", columns("file", "size"), rows)
    return terminal_table(table, root.resolve().name, fold=("file",))
