"""How accurate a compressed model has to be, and the smallest one that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from glp_export.core.errors import AccuracyError
from glp_export.core.numbers import ROUNDING, signed_with_span
from glp_export.tasks import against_chance, paired_difference_interval, probability_at_most

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glp_export.compress.compressors.base import CompressionEvaluator

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class DropScore:
    """How accurate a model is beside the unpruned one.

    Attributes:
        label: of the model, for people.
        score: the task's metric on dev.
        drop: the unpruned model's score on the same examples, less this one.
        low: lower end of the drop's 95 % paired bootstrap interval.
        high: upper end.
        probability: share of the resamples in which the drop is within the budget.
    """

    label: str
    score: float
    drop: float
    low: float
    high: float
    probability: float

    @classmethod
    def of(
        cls,
        label: str,
        score: float,
        logits: NDArray[np.float32],
        truth: Any,
        most: float,
        evaluator: CompressionEvaluator,
    ) -> DropScore:
        """Of a model's answers on the whole of dev, beside the teacher's.

        Args:
            label: for people.
            score: of the answers.
            logits: the answers.
            truth: the labels.
            most: points that may be lost.
            evaluator: has the teacher's answers.
        """
        compared = (evaluator.task, evaluator.predictions, logits, truth)
        return cls(
            label,
            score,
            *paired_difference_interval(*compared),
            probability_at_most(most, *compared),
        )

    def words(self, metric: str, most: float) -> str:
        """What was found, in one line."""
        return (
            f"{self.label}: {metric} changes by "
            f"{signed_with_span(-self.drop, -self.high, -self.low)} on dev; falls by no more than "
            f"{most:g} with probability {self.probability:.2f}"
        )


def smallest_accurate(
    choices: Sequence[Choice],
    score: Callable[[Choice], DropScore],
    max_drop: float,
    *,
    name: str = "depth",
) -> tuple[Choice, dict[Choice, DropScore]]:
    """Find the smallest model within the accuracy budget.

    The choices are bisected from the middle on the measured drop. A drop need not grow with all
    that goes (noise of training, few examples), so the nearest smaller model that the bisection
    left out is looked at as well, once.

    Args:
        choices: the smallest model first.
        score: trains and scores one.
        max_drop: metric points that may be lost.
        name: of what is chosen, for the error.

    Returns:
        The choice, and every one that was scored, in that order.

    Raises:
        AccuracyError: none that was scored is within the budget.
    """
    scores: dict[Choice, DropScore] = {}

    def passes(choice: Choice) -> bool:
        scores[choice] = score(choice)
        return scores[choice].drop <= max_drop + ROUNDING

    low, high = 0, len(choices)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(choices[middle]) else (middle + 1, high)
    if high == len(choices):
        raise _too_inaccurate(list(scores.values()), max_drop, name)
    found = choices[high]
    unseen = [choice for choice in choices[:high] if choice not in scores]
    if unseen and passes(unseen[-1]):
        found = unseen[-1]
    return found, scores


def tell_what_dev_shows(most: float, evaluator: CompressionEvaluator) -> None:
    """Say so where dev shows no drop, since the unpruned model is no better than chance there."""
    found = against_chance(evaluator.task, evaluator.predictions, evaluator.truth)
    if not found.significant:
        evaluator.progress.say(
            f"on dev the unpruned model ({evaluator.task.metric} {found.value:.3f}) is not surely "
            f"better than chance ({found.chance:.3f}): --max-drop {most:g} bounds little there. "
            "Train longer, or hold out more (--dev-fraction)"
        )


def _too_inaccurate(scores: Sequence[DropScore], max_drop: float, name: str) -> AccuracyError:
    best = min(scores, key=lambda score: score.drop)
    return AccuracyError(
        f"no {name} loses {max_drop:g} or less: the best of {len(scores)} tried, {best.label}, "
        f"loses {best.drop:.3f} ({best.low:.3f} to {best.high:.3f}) on dev",
        where=f"--max-drop {max_drop:g}",
        fix="allow a larger drop, or train longer (--epochs) or on more data",
    )
