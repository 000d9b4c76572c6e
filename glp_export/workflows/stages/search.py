"""The stage that chooses the layers: a plan that was named, or a search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from glp_export.compress.compressors.layers.search import read_plan, search
from glp_export.compress.compressors.layers.strategies import STRATEGIES, Effort
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workbench import TrialBench
from glp_export.config.targets import DepthScore
from glp_export.core.errors import UsageError
from glp_export.core.machine import describe
from glp_export.core.numbers import signed_with_span
from glp_export.core.progress import Meter, Progress
from glp_export.encoder import RECOVERIES
from glp_export.tasks import paired_difference_interval, probability_at_most, truth_of
from glp_export.workflows.context import Setup
from glp_export.workflows.stages.depth_choice import shallowest_accurate
from glp_export.workflows.stages.laboratory import open_bench, open_cache, train_teacher


def choose_layers(setup: Setup, work: Path, progress: Progress) -> Plan:
    """Find which layers go: read the plan that was named, or search.

    Raises:
        DataError: the plan cannot be read.
        UsageError: the plan does not fit, or the journal belongs to other settings.
    """
    facts = _facts(setup)
    if setup.config.plan:
        plan = read_plan(setup.config.plan, setup.stack.num_layers, facts)
        plan = plan.cut(setup.problem.cuts) if setup.problem.cuts else plan
        setup.stack.check(plan.order)
        return plan
    strategy = STRATEGIES[setup.config.search]
    cache = open_cache(setup, work)
    # Where labels teach nothing, candidates of every strategy imitate.
    imitated = setup.place.kind.loss is None and bool(strategy.effort(setup.problem).lots)
    taught = strategy.needs_teacher or imitated
    teacher = train_teacher(setup, cache, progress) if taught else None
    recovery = RECOVERIES["distill" if teacher else "finetune"]
    with (
        progress.stage(f"search ({strategy.name})") as meter,
        open_bench(setup, recovery, teacher, cache, progress) as bench,
    ):
        bench.meter = meter
        _begin(meter, bench, strategy.effort(setup.problem))
        cost = teacher.cost if teacher else Cost()
        return search(strategy.name, setup.problem, bench, facts, cost)


def keep_within_budget(
    setup: Setup, plan: Plan, work: Path, progress: Progress
) -> tuple[Plan, float]:
    """Shorten the plan to the most layers that `--max-drop` lets go; without it, leave it.

    Each depth that is looked at is recovered in full on `fit` and compared on `select` with the
    unpruned model that was trained on `fit` as well.

    Returns:
        The plan, and the metric points that it costs; 0 where none were counted.

    Raises:
        AccuracyError: no depth is within the budget.
    """
    budget = setup.config.max_drop
    if budget is None:
        return plan, 0.0
    cache = open_cache(setup, work)
    teacher = train_teacher(setup, cache, progress)
    recovery = RECOVERIES[setup.config.recover]
    ancestor = teacher if recovery.inherits else None
    compared = (setup.data.task, teacher.answers)
    truth = truth_of(setup.data.task, setup.select)

    def score_depth(layers: int) -> DepthScore:
        trial = Trial(tuple(sorted(plan.order[: plan.num_layers - layers])))
        (candidate,) = bench.outcomes([trial])
        logits = bench.journal.logits(trial)
        drop, low, high = paired_difference_interval(*compared, logits, truth)
        within = probability_at_most(budget, *compared, logits, truth)
        meter.advance(f"{layers} layers: {candidate.score:.3f}")
        return DepthScore(layers, candidate.score, drop, low, high, within)

    with (
        progress.stage("find a depth that is accurate enough") as meter,
        open_bench(setup, recovery, ancestor, cache, progress) as bench,
    ):
        deepest = setup.deepest or plan.num_layers - 1
        depths = range(plan.depth, deepest + 1)
        depth, scores = shallowest_accurate(depths, score_depth, budget)
    (chosen,) = (score for score in scores if score.layers == depth)
    progress.say(
        f"{depth} of {plan.num_layers} layers: {setup.data.task.metric} changes by "
        f"{signed_with_span(-chosen.drop, -chosen.high, -chosen.low)} on select; falls by no more "
        f"than {budget:g} with probability {chosen.probability:.2f}"
    )
    return plan.cut(plan.num_layers - depth), chosen.drop


def confirm_cost(setup: Setup, confirm: Callable[[str], bool]) -> None:
    """Ask before a search of more than 100 whole trainings.

    Raises:
        UsageError: the answer is no.
    """
    strategy = STRATEGIES[setup.config.search]
    effort = strategy.effort(setup.problem)
    if setup.config.plan or setup.config.yes or effort.trainings <= 100:
        return
    if not confirm(f"{strategy.name} search trains {effort.trials} candidates. Go on?"):
        raise UsageError(
            f"{strategy.name} search would train {effort.trials} candidates",
            where=f"--search {strategy.name}",
            fix="say --yes to do it, or remove fewer layers, or choose --search fast-greedy",
        )


def _begin(meter: Meter, bench: TrialBench, effort: Effort) -> None:
    """Tell the meter what is to come: candidates cost less the more layers are gone."""
    if effort.trials:
        cost = sum(lot.trials * bench.work(lot.gone, lot.examples) for lot in effort.lots)
        meter.begin(effort.trials, cost=cost, at_most=not effort.certain)


def _facts(setup: Setup) -> dict[str, Any]:
    """The fields of a plan that are known before the search."""
    return {
        "task": setup.data.task.name,
        "metric": setup.data.task.metric,
        "base_model": setup.source.name,
        "revision": setup.source.revision,
        "checksum": setup.model_checksum,
        "num_layers": setup.stack.num_layers,
        "data_checksum": setup.data.checksum,
        "versions": describe().versions,
    }
