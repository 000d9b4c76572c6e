"""The fewest layers that keep an accuracy, by trainings of a few depths."""

from __future__ import annotations

from glp_export.compress.accuracy import DropScore, smallest_accurate, tell_what_dev_shows
from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.plan import Plan
from glp_export.compress.search.trial import Trial
from glp_export.core.numbers import layers_in_words
from glp_export.tasks import truth_of


def keep_within_drop(
    plan: Plan, budget: Budget, evaluator: CompressionEvaluator, deepest: int | None = None
) -> tuple[Plan, float]:
    """Shorten the plan to the most layers that `budget.max_drop` lets go; without it, leave it.

    Each depth that is looked at is recovered in full on `fit` and compared on dev with the
    unpruned model that was trained on `fit` as well.

    Args:
        plan: an order of removal.
        budget: its accuracy counts.
        evaluator: trains and scores the depths.
        deepest: the most layers that may stay; None: one goes at least.

    Returns:
        The plan, and the metric points that it costs; 0 where none were counted.

    Raises:
        AccuracyError: no depth is within the budget.
    """
    most = budget.max_drop
    if most is None:
        return plan, 0.0

    def score_depth(layers: int) -> DropScore:
        trial = Trial(tuple(sorted(plan.order[: plan.num_layers - layers])))
        (candidate,) = trials.outcomes([trial])
        logits, label = trials.trial_log.logits(trial), layers_in_words(layers)
        meter.advance(f"{label}: {candidate.score:.3f}")
        return DropScore.of(label, candidate.score, logits, truth, most, evaluator)

    with (
        evaluator.progress.stage("find a depth that is accurate enough") as meter,
        evaluator.open_trials(evaluator.recovery) as trials,
    ):
        truth = truth_of(evaluator.task, trials.context.select)
        depths = range(plan.depth, (deepest or plan.num_layers - 1) + 1)
        depth, scores = smallest_accurate(depths, score_depth, most)
    evaluator.progress.say(scores[depth].words(evaluator.task.metric, most))
    tell_what_dev_shows(most, evaluator)
    return plan.cut(plan.num_layers - depth), scores[depth].drop
