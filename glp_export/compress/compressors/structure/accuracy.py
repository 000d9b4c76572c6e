"""The fastest structure that keeps an accuracy, by recoveries at a few speeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from glp_export.compress.accuracy import DropScore, smallest_accurate, tell_what_dev_shows
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.base import CompressionEvaluator, Found
from glp_export.core.errors import LatencyError, UsageError
from glp_export.tasks import score

SPEEDS = (8.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.25, 2.0, 1.75, 1.5, 1.25, 1.1)
"""Times as fast as the unpruned model, that an accuracy is looked for at; those in reach."""

OUT_OF_REACH = DropScore("out of reach", math.nan, math.inf, math.inf, math.inf, 0.0)
"""What a table says that was corrected by what was chosen may be slower than it said before."""

_ACCURATE = DropScore("accurate", math.nan, 0.0, 0.0, 0.0, 1.0)


def speed_wanted(budget: Budget) -> TimeBudget:
    """What has to be kept in any case where an accuracy is asked for: the least that goes counts.

    Raises:
        UsageError: several speeds are asked for.
    """
    if len(budget.times) > 1:
        raise UsageError(
            "an accuracy is looked for at one shape, and several times are asked for",
            where="--max-drop",
            fix="name one --target-speedup or --latency-budget, or leave --max-drop out",
        )
    if budget.times:
        return budget.times[0]
    batch_size, length = budget.shape
    return TimeBudget(batch_size, length, speedup=SPEEDS[-1])


def speeds_within(least: TimeBudget, slowest: float, fastest: float) -> list[TimeBudget]:
    """The time budgets that are looked at, the fastest first.

    Args:
        least: what has to be kept in any case.
        slowest: the speedup that it stands for.
        fastest: the largest speedup that can be had.
    """
    faster = [speed for speed in SPEEDS if slowest < speed <= fastest]
    return [*(replace(least, speedup=one, milliseconds=None) for one in faster), least]


def longest_search(budget: Budget) -> list[TimeBudget]:
    """The time budgets that are looked at where only the slowest model is accurate enough.

    No search recovers larger models. What the table leaves within reach is not known yet.

    Raises:
        UsageError: several speeds are asked for.
    """
    least = speed_wanted(budget)
    speeds = speeds_within(least, least.speedup or 1.0, math.inf)
    _, looked_at = smallest_accurate(
        speeds, lambda time: _ACCURATE if time == least else OUT_OF_REACH, max_drop=0.0
    )
    return list(looked_at)


def fastest_within_drop(
    speeds: Sequence[TimeBudget],
    choose: Callable[[TimeBudget], Found],
    most: float,
    evaluator: CompressionEvaluator,
) -> Found:
    """The fastest choice that loses at most so much on dev after a whole recovery.

    Args:
        speeds: the fastest first.
        choose: what is kept for one of them.
        most: metric points.
        evaluator: recovers and scores.

    Raises:
        AccuracyError: none is accurate enough.
        LatencyError: not even the slowest can be reached.
    """
    found: dict[TimeBudget, Found] = {}

    def score_speed(time: TimeBudget) -> DropScore:
        try:
            found[time] = one = choose(time)
        except LatencyError as error:
            if time == speeds[-1]:
                raise
            evaluator.progress.say(f"{time.speedup:g}×: {error.what}")
            return OUT_OF_REACH
        label = f"{one.plan.label}, {one.plan.predicted_speedup or 1.0:.2f}×"
        with evaluator.progress.stage(f"recover {label}") as meter:
            logits = evaluator.recovered(one, lambda done, total: meter.update(done, total))
        reached = score(evaluator.task, logits, evaluator.truth)
        dropped = DropScore.of(label, reached, logits, evaluator.truth, most, evaluator)
        evaluator.progress.say(dropped.words(evaluator.task.metric, most))
        return dropped

    chosen, scores = smallest_accurate(speeds, score_speed, most, name="structure")
    tell_what_dev_shows(most, evaluator)
    return replace(found[chosen], drop=scores[chosen].drop)
