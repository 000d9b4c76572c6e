"""What `glp-export inspect` shows: a plan, or an artifact with everything that is in it."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import facts_table, titled_table
from glp_export.report.frontier import frontier_table
from glp_export.report.parity_table import parity_table
from glp_export.report.table import benchmark_table
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from rich.table import Table

    from glp_export.compress.plan import Candidate, Plan, Step


def plan_view(plan: Plan) -> RenderableType:
    """A plan: the stack with its gaps, the facts, and every step's candidates, best first."""
    parts: list[RenderableType] = [_facts(plan)]
    if plan.steps:
        parts += ["", _steps(plan)]
    return Group(*parts)


def artifact_view(root: Path) -> RenderableType:
    """An artifact: its files, its plan in short, what was measured, and the parity verdict.

    Of a ladder, which holds several, the frontier and the plan that reaches the shallowest.
    Shows what is there: an exported checkpoint has no plan, an unfinished search no benchmark.

    Raises:
        DataError: the plan, the benchmark or the frontier cannot be read.
        ModelError: the parity report cannot be read.
    """
    from glp_export.artifact.layout import ArtifactLayout
    from glp_export.artifact.parity_report import ParityReport
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.frontier import Frontier
    from glp_export.compress.plan import Plan

    layout = ArtifactLayout(root)
    if layout.frontier.is_file():
        frontier = frontier_table(Frontier.load(layout.frontier))
        return Group(frontier, "", _facts(Plan.load(layout.plan)))
    parts: list[RenderableType] = [_files(layout.files(), root)]
    if layout.plan.is_file():
        parts += ["", _facts(Plan.load(layout.plan))]
    if layout.benchmark.is_file():
        parts += ["", benchmark_table(BenchmarkFile.load(layout.benchmark))]
    if layout.parity.is_file():
        text = layout.parity.read_text(encoding="utf-8")
        parts += ["", parity_table(ParityReport.from_json(text))]
    return Group(*parts)


def stack_line(plan: Plan) -> Text:
    """The layers from input to head, the removed ones as a dot: `0 · 2 3 · 5`."""
    line = Text().append("input ", "dim")
    for layer in range(plan.num_layers):
        if layer in plan.order:
            line.append("· ", style="dim red")
        else:
            line.append(f"{layer} ", style="bold")
    line.append("head", style="dim")
    return line


def candidate_names(plan: Plan, number: int) -> dict[str, Candidate]:
    """The candidates of a step, best first, by the layers they lack beyond the steps before.

    One of a play-off that keeps a layer of those steps is named by all that it lacks.

    Of one that was taught more than once the longest lesson counts. What chose is what ranks: the
    loss where there is one, the score otherwise.
    """
    gone = {layer for step in plan.steps[:number] for layer in step.removed}
    longest: dict[tuple[int, ...], Candidate] = {}
    for candidate in plan.steps[number].candidates:
        known = longest.get(candidate.removed)
        if known is None or _inputs(candidate) > _inputs(known):
            longest[candidate.removed] = candidate
    ranked = sorted(longest.values(), key=_merit, reverse=True)
    return {_name(_beyond(set(candidate.removed), gone)): candidate for candidate in ranked}


def _beyond(removed: set[int], gone: set[int]) -> set[int]:
    return removed - gone if gone <= removed else removed


def score_words(step: Step) -> str:
    """The winner's score, or a dash for a step that a rule prescribed."""
    return numbers.MISSING if step.score is None else numbers.metric(step.score)


def sureness(step: Step) -> str:
    """How surely the winner is the best: `0.87`, or nothing for a choice by score."""
    return "" if step.probability is None else f"{min(step.probability, 0.999):.2f}"


def _inputs(candidate: Candidate) -> float:
    return inf if candidate.examples is None else candidate.examples


def _merit(candidate: Candidate) -> tuple[float, float, tuple[int, ...]]:
    by_loss = 0.0 if candidate.loss is None else -candidate.loss
    inputs = 0.0 if candidate.loss is None else _inputs(candidate)
    score = round(candidate.score, 3) if candidate.loss is None else by_loss
    return inputs, score, candidate.removed


def cost_words(plan: Plan) -> str:
    """What the search spent, in words."""
    if not plan.cost.trainings:
        return "no training"
    words = f"{plan.cost.trainings} trainings"
    return words + (f", {numbers.duration(plan.cost.seconds)}" if plan.cost.seconds else "")


def _facts(plan: Plan) -> Table:
    table = facts_table()
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in plan.settings.items()
    )
    facts: dict[str, str | Text | None] = {
        "layers": stack_line(plan),
        "removed": f"{len(plan.order)} of {plan.num_layers}, in this order: "
        + " ".join(map(str, plan.order)),
        "base model": plan.base_model + (f" at {plan.revision}" if plan.revision else ""),
        "task": f"{plan.task}, scored by {metric_name(plan.metric)}",
        "chosen by": plan.strategy + (f", seed {plan.seed}" if plan.seed is not None else ""),
        "search cost": cost_words(plan),
        "settings": settings or None,
        "source": plan.source,
        "digest": plan.digest[:16],
    }
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def _steps(plan: Plan) -> Table:
    table = titled_table(f"steps ({metric_name(plan.metric)} without the layer, best first)")
    table.add_column("step", justify="right")
    table.add_column("goes", justify="right")
    table.add_column("score", justify="right")
    table.add_column("sure", justify="right")
    table.add_column("rows", justify="right")
    table.add_column("candidates")
    for number, step in enumerate(plan.steps):
        table.add_row(
            str(number + 1),
            _name(set(step.removed)),
            score_words(step),
            sureness(step),
            str(step.sample_size),
            _ranking(plan, number, step),
        )
    return table


def _ranking(plan: Plan, number: int, step: Step) -> Text:
    """Every candidate with its score, the chosen one and those that tied with it in bold."""
    text = Text()
    for name, candidate in candidate_names(plan, number).items():
        tied = _tied(candidate, step)
        text.append(f"{name}:{numbers.metric(candidate.score)}", "bold" if tied else "")
        text.append("  ")
    return text


def _tied(candidate: Candidate, step: Step) -> bool:
    """Whether a candidate is the chosen one, or scored as well where scores choose."""
    if candidate.loss is None:
        return step.score is not None and round(candidate.score, 3) == round(step.score, 3)
    return set(step.removed) <= set(candidate.removed)


def _name(layers: set[int]) -> str:
    return "+".join(map(str, sorted(layers)))


def _files(files: list[Path], root: Path) -> Table:
    table = titled_table(root.resolve().name)
    table.add_column("file")
    table.add_column("size", justify="right")
    for file in files:
        table.add_row(
            Text(file.relative_to(root).as_posix()), numbers.file_size(file.stat().st_size)
        )
    return table
