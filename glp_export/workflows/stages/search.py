"""The stage that finds what goes: by a plan that was named, or by a compressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from glp_export.compress.budget import Budget
from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.base import Follower, Found
from glp_export.compress.compressors.layers.compressor import found_by
from glp_export.compress.compressors.layers.search import read_plan
from glp_export.compress.compressors.layers.strategies import STRATEGIES
from glp_export.compress.plan import Plan
from glp_export.config.targets import Targets
from glp_export.core.errors import UsageError
from glp_export.core.progress import Progress
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.compression import (
    LAYERS,
    RunEvaluator,
    budget_of,
    compressors_of,
    facts_of,
)
from glp_export.workflows.stages.unpruned import tell_what_is_met


def choose_plans(context: RunContext, work: Path, progress: Progress) -> tuple[list[Plan], float]:
    """Find what goes: by a plan that was named, or by a compressor.

    Returns:
        The plan of each model that is made, the slowest first, and the metric points that the
        first one costs; 0 where none were counted.

    Raises:
        AccuracyError, LatencyError: a target is out of reach.
        DataError: the plan, or a latency table, cannot be read or is for something else.
        ModelError: the model cannot be compressed so.
        UsageError: the plan or the options do not fit, or the journal is of other settings.
    """
    tell_what_is_met(context, work, progress)
    evaluator, budget = RunEvaluator(context, work, progress), budget_of(context)
    if context.config.compress.plan:
        found = found_by(named_plan(context), budget, evaluator)
    else:
        found = _search(context, compressors_of(context), budget, evaluator)
        for one in found:
            if one.plan.predicted_speedup is not None:
                progress.say(f"{one.plan.label}: {one.plan.predicted_speedup:.2f}× predicted")
    return [one.plan for one in found], found[0].drop


def _search(
    context: RunContext, names: Sequence[str], budget: Budget, evaluator: RunEvaluator
) -> list[Found]:
    """What the first compressor finds, and the others make of it, one after another."""
    first, *others = (COMPRESSORS[name].load() for name in names)
    for compressor in (first, *others):
        compressor.require(context.pretrained(), context.tokenizer)
    options = context.config.compressors
    found = first.search(options[first.name], budget, evaluator)
    for follower in others:
        goes_on = cast("Follower", follower)
        found = [goes_on.follow(one, options[follower.name], budget, evaluator) for one in found]
    return found


def named_plan(context: RunContext) -> Plan:
    """Read the plan that `--plan` names.

    Raises:
        DataError: it cannot be read.
        UsageError: it does not fit.
    """
    name = context.config.compress.plan or ""
    plan = read_plan(name, context.stack.num_layers, facts_of(context))
    plan = plan.cut(context.problem.cuts) if context.problem.cuts else plan
    context.stack.check(plan.order)
    return plan


def targets_of(targets: Targets, plans: int) -> list[Targets]:
    """The targets that the model of each of so many plans has to reach."""
    each = targets.each()
    return list(each) if len(each) == plans else [targets] * plans


def confirm_cost(context: RunContext, confirm: Callable[[str], bool]) -> None:
    """Ask before a search of more than 100 whole trainings.

    Raises:
        UsageError: the answer is no.
    """
    strategy = STRATEGIES[context.config.layers.search]
    search_cost = strategy.search_cost(context.problem)
    if context.config.compress.plan or context.config.output.yes or search_cost.trainings <= 100:
        return
    if LAYERS not in compressors_of(context):
        return
    if not confirm(f"{strategy.name} search trains {search_cost.trials} candidates. Go on?"):
        raise UsageError(
            f"{strategy.name} search would train {search_cost.trials} candidates",
            where=f"--search {strategy.name}",
            fix="say --yes to do it, or remove fewer layers, or choose --search fast-greedy",
        )
