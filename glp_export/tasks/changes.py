"""What another model changes: predictions, whichever is right, and what single classes lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glp_export.tasks.scoring import BOOTSTRAP, Bootstrap, ends, judged
from glp_export.tasks.task import Task

LABELLED = ("text-classification", "multi-label-classification", "token-classification")
"""Kinds of task whose predictions are labels, so that two of them are the same or not."""

_NORMAL = 1.959964
"""Quantile of the normal distribution for 95 %."""

SINGLE_LABEL = "text-classification"
"""The kind of task with one of several classes for every row."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassDrop:
    """What a class loses: the share of its rows that are predicted right, less the other model's.

    Attributes:
        label: the class.
        rows: of it in the test set.
        before: the other model's recall.
        change: from it, with its paired 95 % bootstrap interval.
    """

    label: str
    rows: int
    before: float
    change: Interval


def changed_predictions(
    task: Task, predictions: ArrayLike, others: ArrayLike, truth: Any
) -> Interval | None:
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


def class_drops(
    task: Task,
    predictions: ArrayLike,
    others: ArrayLike,
    truth: Any,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> list[ClassDrop]:
    """The recall of every class less another model's, the largest loss first.

    One figure for all classes hides a small one that is lost. Empty for tasks without classes; a
    class without test rows is left out.

    Args:
        task: as in `score`.
        predictions: of the model, as in `score`.
        others: of the one that it replaces.
        truth: label ids `(rows,)`.
    """
    if task.kind != SINGLE_LABEL:
        return []
    wanted = np.asarray(truth)
    right, before = (np.asarray(each).argmax(axis=1) == wanted for each in (predictions, others))
    generator = np.random.default_rng(bootstrap.seed)
    found = []
    for place, label in enumerate(task.labels):
        own = wanted == place
        rows = int(own.sum())
        if not rows:
            continue
        better, worse = int((right & ~before & own).sum()), int((before & ~right & own).sum())
        shares = np.array([better, worse, rows - better - worse]) / rows
        drawn = generator.multinomial(rows, shares, bootstrap.resamples)
        change = Interval((better - worse) / rows, *ends((drawn[:, 0] - drawn[:, 1]) / rows))
        found.append(ClassDrop(label, rows, float(before[own].mean()), change))
    return sorted(found, key=lambda drop: (drop.change.value, drop.change.high))


def wilson(count: int, of: int) -> Interval:
    """A share with its 95 % interval (Wilson 1927); `of` is at least 1."""
    share, weight = count / of, _NORMAL**2 / of
    middle = (share + weight / 2) / (1 + weight)
    half = _NORMAL / (1 + weight) * float(np.sqrt(share * (1 - share) / of + weight / (4 * of)))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))
