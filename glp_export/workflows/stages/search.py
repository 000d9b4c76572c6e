"""The stage that finds what goes: by a plan that was named, or by a compressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.base import Follower, Found
from glp_export.compress.compressors.layers.compressor import found_by
from glp_export.compress.compressors.layers.search import read_plan, stored_plan
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.compressors.structure.ranked import trained_before
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.plan import Plan
from glp_export.config.targets import Targets
from glp_export.core.errors import LatencyError, UsageError
from glp_export.core.progress import Progress
from glp_export.encoder.positions import longest_of_model
from glp_export.workflows.compressors import (
    STRUCTURE,
    VOCABULARY,
    budget_of,
    compressors_of,
    search_cost_of,
)
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.depth import require_shape
from glp_export.workflows.stages.run_evaluator import RunEvaluator, deployment_of, facts_of
from glp_export.workflows.stages.unpruned import kept_tail, tell_what_is_met

ROOM = 1.1
"""Times a size: an optimised graph may be a few percent smaller than the plain one."""

MOST_TRAININGS = 100
"""Whole trainings that a search may take without a question before it."""


def choose_plans(context: RunContext, work: Path, progress: Progress) -> list[Found]:
    """Find what goes: by a plan that was named, or by a compressor.

    Returns:
        The plan of each model that is made, the slowest first, and where its recovery begins.

    Raises:
        AccuracyError, LatencyError: a target is out of reach.
        DataError: the plan, or a latency table, cannot be read or is for something else.
        ModelError: the model cannot be compressed so.
        UsageError: the plan or the options do not fit, or the journal is of other settings.
    """
    tell_what_is_met(context, work, progress)
    evaluator = RunEvaluator(context, work, progress)
    budget = budget_of(context, kept_tail(work))
    if context.config.compress.plan:
        stored = stored_plan(context.config.compress.plan)
        if stored and stored.checksum and context.model_checksum not in (None, stored.checksum):
            progress.say(
                f"the plan was chosen for other weights ({stored.base_model}): what was worth "
                "little there may be worth more here"
            )
        found = [
            replace(one, start=trained_before(one.plan, evaluator))
            for one in found_by(named_plan(context), budget, evaluator)
        ]
    else:
        found = _search(context, compressors_of(context), budget, evaluator)
        for one in found:
            if one.plan.predicted_speedup is not None:
                progress.say(f"{one.plan.label}: {one.plan.predicted_speedup:.2f}× predicted")
    _require_small_enough(context, [one.plan for one in found], budget, evaluator)
    return found


def _require_small_enough(
    context: RunContext, plans: Sequence[Plan], budget: Budget, evaluator: RunEvaluator
) -> None:
    """Refuse before any training what will be too large: compressors look at what they take out.

    Raises:
        LatencyError: a plan's model takes more than the size that is asked for.
    """
    sixteen_bits = {"fp16", "bf16"}.intersection(context.execution.precisions.names)
    # Such files are smaller than what is measured here.
    if budget.megabytes is None or sixteen_bits:
        return
    for plan in plans:
        taken = evaluator.megabytes(plan)
        if taken > budget.megabytes * ROOM:
            raise LatencyError(
                f"{plan.label} take {taken:.2f} MB",
                where=f"--size-budget {budget.megabytes:g}MB",
                fix="take out more (--compress structure,vocabulary or layers,vocabulary; a "
                "smaller --depth), add --precision int8, or ask for more",
            )


def require_search(context: RunContext) -> None:
    """Check before anything is trained or measured what the search will ask for.

    Raises:
        DataError: the plan, or a latency table, cannot be read or is for something else.
        ModelError: the model cannot be compressed so.
        UsageError: the plan, the options, a target's shape or the use of auxiliary tasks do not
            fit.
    """
    targets, model = context.config.targets, context.pretrained()
    for target in (*targets.speedups, targets.latency):
        if target is not None:
            require_shape(target, longest_of_model(model))
    if context.config.compress.plan:
        plan = named_plan(context)
        _require_whole_tokens(context, plan.kept_tokens is not None, "--plan")
        if targets.max_drop is not None and not (plan.order and plan.layers_only):
            raise UsageError(
                "the plan changes more than whole layers and is taken as it is: no part of it is "
                "looked for that keeps an accuracy",
                where=f"--plan {context.config.compress.plan} --max-drop {targets.max_drop:g}",
                fix="leave one of them out",
            )
        return
    names = compressors_of(context)
    _require_whole_tokens(context, VOCABULARY in names, "--compress vocabulary")
    for name in names:
        COMPRESSORS[name].load().require(model, context.tokenizer)
    if context.config.auxiliary.transfer == (STRUCTURE,) and STRUCTURE not in names:
        raise UsageError(
            f"texts of auxiliary tasks calibrate structure, and --compress {','.join(names)} takes "
            "none",
            where=f"--transfer {STRUCTURE}",
            fix="add --compress structure, or name another use: before, joint, recovery",
        )
    search_cost_of(context)
    _require_fitting_table(context)


def named_table(context: RunContext) -> LatencyTable | None:
    """The table of `--latency-table`; None where none is named, or a run does not look at it.

    Raises:
        DataError: it cannot be read.
    """
    given = cast(StructureOptions, context.config.compressors[STRUCTURE]).latency_table
    looked_at = not context.config.compress.plan and STRUCTURE in compressors_of(context)
    return LatencyTable.load(Path(given)) if given and looked_at else None


def _require_fitting_table(context: RunContext) -> None:
    """Check that a latency table that was given is for what will ship.

    Raises:
        DataError: it cannot be read, or is for something else.
    """
    table = named_table(context)
    if table is None:
        return
    deployment = deployment_of(context, context.pretrained())
    budget = budget_of(context)
    for time in budget.times or (TimeBudget(*budget.shape),):
        table.require(deployment.base, deployment.conditions(time))


def _require_whole_tokens(context: RunContext, trimmed: bool, where: str) -> None:
    """Refuse a smaller vocabulary where every token is answered for: texts have others then."""
    if trimmed and context.execution.kind.of_tokens:
        raise UsageError(
            f"{context.data.task.kind} answers for every token, and a trimmed tokenizer cuts some "
            "texts into others",
            where=where,
            fix="leave vocabulary out for this kind of task, or give a plan that keeps all tokens",
        )


def _search(
    context: RunContext, names: Sequence[str], budget: Budget, evaluator: RunEvaluator
) -> list[Found]:
    """What the first compressor finds, and the others make of it, one after another."""
    first, *others = (COMPRESSORS[name].load() for name in names)
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
    plan = plan.cut(context.cuts) if context.cuts else plan
    context.stack.check(plan.order)
    return plan


def targets_by_plan(targets: Targets, plan_ids: Sequence[str]) -> dict[str, Targets]:
    """What the model of each plan has to reach.

    Where two speeds led to one model, that is the higher one.

    Args:
        targets: of the run.
        plan_ids: the slowest first.
    """
    each = targets.each()
    each = each if len(each) == len(plan_ids) else (targets,) * len(plan_ids)
    return dict(zip(plan_ids, each, strict=True))


def confirm_cost(context: RunContext, confirm: Callable[[str], bool]) -> None:
    """Ask before a search of more than `MOST_TRAININGS`.

    Raises:
        UsageError: the answer is no.
    """
    cost = search_cost_of(context)
    if context.config.output.yes or cost.trainings <= MOST_TRAININGS:
        return
    if not confirm(f"{cost.strategy} search trains {cost.trials} candidates. Go on?"):
        raise UsageError(
            f"{cost.strategy} search would train {cost.trials} candidates",
            where=f"{cost.flag} {cost.strategy}",
            fix=f"say --yes to do it, or ask for a smaller change, or choose another {cost.flag}",
        )
