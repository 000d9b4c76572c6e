"""The fewest layers that keep an accuracy, by trainings of a few depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.plan import Plan
from glp_export.compress.search.trial import Trial
from glp_export.core.errors import AccuracyError
from glp_export.core.numbers import signed_with_span
from glp_export.tasks import paired_difference_interval, probability_at_most, truth_of

ROUNDING = 1e-9
"""0.95 - 0.94 is a little more than 0.01 in floating point, and no more than it to a person."""


@dataclass(frozen=True)
class DepthScore:
    """How accurate a depth is.

    Attributes:
        layers: that are left.
        score: the task's metric on dev.
        drop: the unpruned model's score on the same examples, less this one.
        low: lower end of the drop's 95 % paired bootstrap interval.
        high: upper end.
        probability: share of the resamples in which the drop is within the budget.
    """

    layers: int
    score: float
    drop: float
    low: float
    high: float
    probability: float


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
    compared = (evaluator.task, evaluator.predictions)

    def score_depth(layers: int) -> DepthScore:
        trial = Trial(tuple(sorted(plan.order[: plan.num_layers - layers])))
        (candidate,) = trials.outcomes([trial])
        logits = trials.trial_log.logits(trial)
        drop, low, high = paired_difference_interval(*compared, logits, truth)
        within = probability_at_most(most, *compared, logits, truth)
        meter.advance(f"{layers} layers: {candidate.score:.3f}")
        return DepthScore(layers, candidate.score, drop, low, high, within)

    with (
        evaluator.progress.stage("find a depth that is accurate enough") as meter,
        evaluator.open_trials(evaluator.recovery) as trials,
    ):
        truth = truth_of(evaluator.task, trials.context.select)
        depths = range(plan.depth, (deepest or plan.num_layers - 1) + 1)
        depth, scores = shallowest_accurate(depths, score_depth, most)
    (chosen,) = (score for score in scores if score.layers == depth)
    evaluator.progress.say(
        f"{depth} of {plan.num_layers} layers: {evaluator.task.metric} changes by "
        f"{signed_with_span(-chosen.drop, -chosen.high, -chosen.low)} on dev; falls by no more "
        f"than {most:g} with probability {chosen.probability:.2f}"
    )
    return plan.cut(plan.num_layers - depth), chosen.drop


def shallowest_accurate(
    depths: Sequence[int], score: Callable[[int], DepthScore], max_drop: float
) -> tuple[int, list[DepthScore]]:
    """Find the smallest model within the accuracy budget.

    The depths are bisected from the middle on the measured drop. A drop need not grow with every
    layer that goes (noise of training, few examples), so the nearest shallower depth that the
    bisection left out is looked at as well, once.

    Args:
        depths: numbers of layers that may be left.
        score: trains and scores one.
        max_drop: metric points that may be lost.

    Returns:
        The number of layers, and every depth that was scored, in that order.

    Raises:
        AccuracyError: none that was scored is within the budget.
    """
    ordered = sorted(set(depths))
    scores: dict[int, DepthScore] = {}

    def passes(layers: int) -> bool:
        scores[layers] = score(layers)
        return scores[layers].drop <= max_drop + ROUNDING

    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(ordered[middle]) else (middle + 1, high)
    if high == len(ordered):
        raise _too_inaccurate(list(scores.values()), max_drop)
    found = ordered[high]
    unseen = [layers for layers in ordered[:high] if layers not in scores]
    if unseen and passes(unseen[-1]):
        found = unseen[-1]
    return found, list(scores.values())


def _too_inaccurate(scores: Sequence[DepthScore], max_drop: float) -> AccuracyError:
    best = min(scores, key=lambda score: score.drop)
    return AccuracyError(
        f"no depth loses {max_drop:g} or less: {_layers(best.layers)}, the best of "
        f"{len(scores)} tried, lose{'s' * (best.layers == 1)} {best.drop:.3f} "
        f"({best.low:.3f} to {best.high:.3f}) on dev",
        where=f"--max-drop {max_drop:g}",
        fix="allow a larger drop, or train longer (--epochs) or on more data",
    )


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
