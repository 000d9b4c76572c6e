"""A model's logits against the labels: the task's metric, its interval, and differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glp_export.errors import ModelError
from glp_export.tasks.kinds import KINDS
from glp_export.tasks.metrics import METRICS, Metric
from glp_export.tasks.task import Task

# Resamples are made in pieces of at most so many numbers, 64 MiB.
PIECE = 2**23


def score(task: Task, logits: ArrayLike, labels: ArrayLike) -> float:
    """Score a model's answers with the task's metric.

    Args:
        task: picks the metric and how answers are read from logits.
        logits: ``(rows, num_labels)``.
        labels: ``(rows,)`` ids or numbers.

    Returns:
        The metric; larger is better. F1 is of the class with id 1. A correlation (Pearson,
        Spearman, Matthews) of answers that are all the same is 0.

    Raises:
        ModelError: logits that are not finite.
    """
    predictions, truth = _answers(task, logits, labels)
    return METRICS[task.metric].compute(predictions, truth)


def score_interval(
    task: Task,
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval of `score` by the percentile bootstrap over examples.

    It says how far another test set of this size would move the number; not how far another
    training would. A perfect score resamples to itself, so its interval has no width.

    Args:
        task: as in `score`.
        logits: ``(rows, num_labels)``.
        labels: ``(rows,)``.
        confidence: share of the resamples between the two ends.
        resamples: how many sets of `rows` examples are drawn with replacement.
        seed: of the drawing.

    Returns:
        The lower and the upper end.

    Raises:
        ModelError: logits that are not finite.
    """
    predictions, truth = _answers(task, logits, labels)
    values = _resample(METRICS[task.metric], predictions[None], truth, resamples, seed)
    return _ends(values[0], confidence)


def paired_difference_interval(
    task: Task,
    logits_a: ArrayLike,
    logits_b: ArrayLike,
    labels: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Score of model A less that of model B on the same examples, with its bootstrap interval.

    Each resample draws the same examples for both models, so what makes an example easy or hard
    for both cancels out; two intervals of `score_interval` that overlap do not say as much.

    Args:
        task: as in `score`.
        logits_a: ``(rows, num_labels)``.
        logits_b: ``(rows, num_labels)``.
        labels: ``(rows,)``.
        confidence: share of the resamples between the two ends.
        resamples: how many sets of `rows` examples are drawn with replacement.
        seed: of the drawing.

    Returns:
        The difference, and the lower and upper end of its interval.

    Raises:
        ModelError: logits that are not finite.
    """
    metric = METRICS[task.metric]
    a, truth = _answers(task, logits_a, labels)
    b, _ = _answers(task, logits_b, labels)
    differences = _resample_differences(metric, a, b, truth, resamples, seed)
    difference = metric.compute(a, truth) - metric.compute(b, truth)
    return difference, *_ends(differences, confidence)


def probability_at_most(
    bound: float,
    task: Task,
    logits_a: ArrayLike,
    logits_b: ArrayLike,
    labels: ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> float:
    """Share of the resamples in which A's score exceeds B's by `bound` at most.

    Args:
        bound: metric points.
        task: as in `score`.
        logits_a: ``(rows, num_labels)``.
        logits_b: ``(rows, num_labels)``.
        labels: ``(rows,)``.
        resamples: as in `paired_difference_interval`, and the same ones.
        seed: of the drawing.

    Raises:
        ModelError: logits that are not finite.
    """
    a, truth = _answers(task, logits_a, labels)
    b, _ = _answers(task, logits_b, labels)
    differences = _resample_differences(METRICS[task.metric], a, b, truth, resamples, seed)
    return float((differences <= bound).mean())


def _resample_differences(
    metric: Metric,
    a: NDArray[Any],
    b: NDArray[Any],
    labels: NDArray[Any],
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    values = _resample(metric, np.stack([a, b]), labels, resamples, seed)
    return values[0] - values[1]


def _answers(task: Task, logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    outputs, truth = np.asarray(logits), np.asarray(labels)
    if len(outputs) != len(truth) or not len(truth) or outputs.shape[-1] != task.num_labels:
        raise ValueError(
            f"logits of shape {outputs.shape} for {len(truth)} labels and {task.num_labels} outputs"
        )
    # An argmax over NaN would quietly answer with the first class.
    if not np.isfinite(outputs).all():
        raise ModelError(
            "The model's outputs are not finite numbers.",
            where=f"{np.count_nonzero(~np.isfinite(outputs).all(axis=-1))} of {len(truth)} rows",
            fix="train with a lower learning rate or in float32",
        )
    return KINDS[task.kind].predictions(outputs), truth


def _resample(
    metric: Metric, predictions: NDArray[Any], labels: NDArray[Any], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Values ``(models, resamples)`` of the metric; predictions are ``(models, rows)``."""
    # Rows with the same label and answers are interchangeable: a resample is fully told by how
    # many of each such group it has, and of a classifier there are few groups.
    groups, sizes = np.unique(np.vstack([labels[None], predictions]), axis=1, return_counts=True)
    pieces = [
        [metric.resampled(answers, groups[0], counts) for answers in groups[1:]]
        for counts in _draws(sizes, resamples, seed)
    ]
    return np.concatenate(pieces, axis=1)


def _draws(sizes: NDArray[Any], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    rows = int(sizes.sum())
    step = max(1, PIECE // len(sizes))
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        yield generator.multinomial(rows, sizes / rows, size=number).astype(np.float64)


def _ends(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    outside = (1 - confidence) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
