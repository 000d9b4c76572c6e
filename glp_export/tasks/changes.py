"""How many predictions two models do not share, whichever of them is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glp_export.tasks.scoring import judged
from glp_export.tasks.task import Task

LABELLED = ("text-classification", "multi-label-classification", "token-classification")
"""Kinds of task whose predictions are labels, so that two of them are the same or not."""

_NORMAL = 1.959964
"""Quantile of the normal distribution for 95 %."""


@dataclass(frozen=True)
class ChangedShare:
    """The share of test rows whose prediction differs, with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float


def changed_predictions(
    task: Task, predictions: ArrayLike, others: ArrayLike, truth: Any
) -> ChangedShare | None:
    """Compare two models' predictions row by row; None for tasks that predict no labels.

    A row counts as changed where any of its labels differs.

    Args:
        task: as in `score`.
        predictions: of one model, as in `score`.
        others: of the other one.
        truth: as in `score`.
    """
    if task.kind not in LABELLED:
        return None
    pairs = zip(*(judged(task, each, truth)[0] for each in (predictions, others)), strict=True)
    changed = [bool(np.any(np.asarray(one) != np.asarray(other))) for one, other in pairs]
    return wilson(sum(changed), len(changed))


def wilson(count: int, of: int) -> ChangedShare:
    """A share with its 95 % interval; `of` is at least 1."""
    share, weight = count / of, _NORMAL**2 / of
    middle = (share + weight / 2) / (1 + weight)
    half = _NORMAL / (1 + weight) * float(np.sqrt(share * (1 - share) / of + weight / (4 * of)))
    return ChangedShare(share, max(0.0, middle - half), min(1.0, middle + half))
