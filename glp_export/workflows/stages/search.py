"""The stage that chooses the layers: a plan that was named, or a search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from glp_export.compress.compressors.layers.search import read_plan, search
from glp_export.compress.compressors.layers.strategies import STRATEGIES, SearchCost
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.compress.search.trial import Trial
from glp_export.config.targets import DepthScore, Targets
from glp_export.core.errors import UsageError
from glp_export.core.machine import describe
from glp_export.core.numbers import signed_with_span
from glp_export.core.progress import Meter, Progress
from glp_export.encoder import RECOVERIES
from glp_export.tasks import paired_difference_interval, probability_at_most, truth_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.depths import plans_at
from glp_export.workflows.stages.compression import LAYERS, compress, compressor_of
from glp_export.workflows.stages.depth import keep_within_time
from glp_export.workflows.stages.depth_choice import shallowest_accurate
from glp_export.workflows.stages.evaluator import open_cache, open_evaluator, train_teacher
from glp_export.workflows.stages.unpruned import tell_what_is_met


def choose_plans(context: RunContext, work: Path, progress: Progress) -> tuple[list[Plan], float]:
    """Find what goes: by a plan that was named, by whole layers, or inside them.

    Returns:
        The plan of each model that is made, the slowest first, and the metric points that the
        first one costs; 0 where none were counted.

    Raises:
        GlpError: see `tell_what_is_met`, `choose_layers`, `keep_within_time`,
            `keep_within_budget` and `compress`.
    """
    tell_what_is_met(context, work, progress)
    name = compressor_of(context)
    if name != LAYERS and not context.config.compress.plan:
        found = compress(context, name, _facts(context), work, progress)
        plans = [one.plan for one in found]
        for plan in plans:
            progress.say(f"{plan.label}: {plan.predicted_speedup:.2f}× predicted")
        return plans, 0.0
    if len(context.config.targets.speedups) > 1:
        raise UsageError(
            "several speeds are made by structure, several depths by layers",
            where="--target-speedup",
            fix="add --compress structure, or use --depths",
        )
    context = keep_within_time(context, work, progress)
    plan = choose_layers(context, work, progress)
    plan, spent = keep_within_budget(context, plan, work, progress)
    return plans_at(plan, context.depths), spent


def targets_of(targets: Targets, plans: int) -> list[Targets]:
    """The targets that the model of each of so many plans has to reach."""
    each = targets.each()
    return list(each) if len(each) == plans else [targets] * plans


def choose_layers(context: RunContext, work: Path, progress: Progress) -> Plan:
    """Find which layers go: read the plan that was named, or search.

    Raises:
        DataError: the plan cannot be read.
        UsageError: the plan does not fit, or the journal belongs to other settings.
    """
    facts = _facts(context)
    if context.config.compress.plan:
        plan = read_plan(context.config.compress.plan, context.stack.num_layers, facts)
        plan = plan.cut(context.problem.cuts) if context.problem.cuts else plan
        context.stack.check(plan.order)
        return plan
    strategy = STRATEGIES[context.config.compress.search]
    cache = open_cache(context, work)
    # Where labels teach nothing, or are the teacher's own, candidates of every strategy imitate.
    taught = context.execution.kind.loss is not None and context.data.labelled
    imitated = not taught and bool(strategy.search_cost(context.problem).groups)
    trained = strategy.needs_teacher or imitated
    teacher = train_teacher(context, cache, progress) if trained else None
    recovery = RECOVERIES["distill" if teacher else "finetune"]
    with (
        progress.stage(f"search ({strategy.name})") as meter,
        open_evaluator(context, recovery, teacher, cache, progress) as evaluator,
    ):
        evaluator.meter = meter
        _begin(meter, evaluator, strategy.search_cost(context.problem))
        cost = teacher.cost if teacher else Cost()
        return search(strategy.name, context.problem, evaluator, facts, cost)


def keep_within_budget(
    context: RunContext, plan: Plan, work: Path, progress: Progress
) -> tuple[Plan, float]:
    """Shorten the plan to the most layers that `--max-drop` lets go; without it, leave it.

    Each depth that is looked at is recovered in full on `fit` and compared on `select` with the
    unpruned model that was trained on `fit` as well.

    Returns:
        The plan, and the metric points that it costs; 0 where none were counted.

    Raises:
        AccuracyError: no depth is within the budget.
    """
    budget = context.config.compress.max_drop
    if budget is None:
        return plan, 0.0
    cache = open_cache(context, work)
    teacher = train_teacher(context, cache, progress)
    recovery = RECOVERIES[context.config.training.recover]
    ancestor = teacher if recovery.inherits else None
    compared = (context.data.task, teacher.predictions)
    truth = truth_of(context.data.task, context.select)

    def score_depth(layers: int) -> DepthScore:
        trial = Trial(tuple(sorted(plan.order[: plan.num_layers - layers])))
        (candidate,) = evaluator.outcomes([trial])
        logits = evaluator.trial_log.logits(trial)
        drop, low, high = paired_difference_interval(*compared, logits, truth)
        within = probability_at_most(budget, *compared, logits, truth)
        meter.advance(f"{layers} layers: {candidate.score:.3f}")
        return DepthScore(layers, candidate.score, drop, low, high, within)

    with (
        progress.stage("find a depth that is accurate enough") as meter,
        open_evaluator(context, recovery, ancestor, cache, progress) as evaluator,
    ):
        deepest = context.deepest or plan.num_layers - 1
        depths = range(plan.depth, deepest + 1)
        depth, scores = shallowest_accurate(depths, score_depth, budget)
    (chosen,) = (score for score in scores if score.layers == depth)
    progress.say(
        f"{depth} of {plan.num_layers} layers: {context.data.task.metric} changes by "
        f"{signed_with_span(-chosen.drop, -chosen.high, -chosen.low)} on select; falls by no more "
        f"than {budget:g} with probability {chosen.probability:.2f}"
    )
    return plan.cut(plan.num_layers - depth), chosen.drop


def confirm_cost(context: RunContext, confirm: Callable[[str], bool]) -> None:
    """Ask before a search of more than 100 whole trainings.

    Raises:
        UsageError: the answer is no.
    """
    strategy = STRATEGIES[context.config.compress.search]
    search_cost = strategy.search_cost(context.problem)
    if context.config.compress.plan or context.config.output.yes or search_cost.trainings <= 100:
        return
    if not confirm(f"{strategy.name} search trains {search_cost.trials} candidates. Go on?"):
        raise UsageError(
            f"{strategy.name} search would train {search_cost.trials} candidates",
            where=f"--search {strategy.name}",
            fix="say --yes to do it, or remove fewer layers, or choose --search fast-greedy",
        )


def _begin(meter: Meter, evaluator: TrialEvaluator, search_cost: SearchCost) -> None:
    """Tell the meter what is to come: candidates cost less the more layers are gone."""
    if search_cost.trials:
        cost = sum(
            group.trials * evaluator.work(group.removed, group.examples)
            for group in search_cost.groups
        )
        meter.begin(search_cost.trials, cost=cost, at_most=not search_cost.certain)


def _facts(context: RunContext) -> dict[str, Any]:
    """The fields of a plan that are known before the search."""
    return {
        "task": context.data.task.name,
        "metric": context.data.task.metric,
        "base_model": context.source.name,
        "revision": context.source.revision,
        "checksum": context.model_checksum,
        "num_layers": context.stack.num_layers,
        "base_shape": context.base_shape,
        "data_checksum": context.data.checksum,
        "versions": describe().versions,
    }
