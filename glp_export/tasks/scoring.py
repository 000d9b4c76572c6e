"""A model's answers against the truth: the task's metric, its interval, and differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glp_export.core.errors import ModelError
from glp_export.tasks.kinds import KINDS
from glp_export.tasks.metrics import Metric
from glp_export.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset

# Resamples are made in pieces of at most so many numbers, 64 MiB.
PIECE = 2**23


@dataclass(frozen=True)
class Bootstrap:
    """How an interval is drawn: the percentile bootstrap over examples.

    Attributes:
        confidence: share of the resamples between the two ends.
        resamples: how many sets of as many examples are drawn with replacement.
        seed: of the drawing.
    """

    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0


BOOTSTRAP = Bootstrap()
"""A 95 % interval."""


def metric_of(task: Task) -> Metric:
    """The task's metric."""
    return KINDS[task.kind].metric(task.metric)


def truth_of(task: Task, encoded: Dataset) -> Any:
    """What answers to encoded rows are scored against: of most kinds their labels."""
    return KINDS[task.kind].truth(encoded, task.labels)


def count_examples(task: Task, truth: Any) -> int:
    """How many examples a score is over; one example may have several encoded rows."""
    return KINDS[task.kind].count(truth)


def score(task: Task, predictions: ArrayLike, truth: Any) -> float:
    """Score a model's answers with the task's metric.

    Args:
        task: picks the metric and how answers are read.
        predictions: ``(rows, width)`` or ``(rows, tokens, width)``.
        truth: of `truth_of`; where a text has one label or number, ``(rows,)`` ids or numbers.

    Returns:
        The metric; larger is better. F1 is of the task's positive class. A correlation (Pearson,
        Spearman, Matthews) of answers that are all the same is 0.

    Raises:
        ModelError: answers that are not finite.
    """
    return metric_of(task).compute(*judged(task, predictions, truth))


def score_interval(
    task: Task,
    predictions: ArrayLike,
    truth: Any,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> tuple[float, float]:
    """Interval of `score` by the percentile bootstrap over examples.

    It says how far another test set of this size would move the number; not how far another
    training would. A perfect score resamples to itself, so its interval has no width.

    Args:
        task: as in `score`.
        predictions: likewise.
        truth: likewise.
        bootstrap: how many resamples, and how wide the interval.

    Returns:
        The lower and the upper end.

    Raises:
        ModelError: answers that are not finite.
    """
    metric = metric_of(task)
    values = resample(metric, [metric.tally(*judged(task, predictions, truth))], bootstrap)
    return ends(values[0], bootstrap)


def paired_difference_interval(
    task: Task,
    predictions_a: ArrayLike,
    predictions_b: ArrayLike,
    truth: Any,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> tuple[float, float, float]:
    """Score of model A less that of model B on the same examples, with its bootstrap interval.

    Each resample draws the same examples for both models, so what makes an example easy or hard
    for both cancels out; two intervals of `score_interval` that overlap do not say as much.

    Args:
        task: as in `score`.
        predictions_a: likewise.
        predictions_b: likewise.
        truth: likewise.
        bootstrap: how many resamples, and how wide the interval.

    Returns:
        The difference, and the lower and upper end of its interval.

    Raises:
        ModelError: answers that are not finite.
    """
    metric = metric_of(task)
    a, b = (judged(task, predictions, truth) for predictions in (predictions_a, predictions_b))
    differences = _resample_differences(metric, a, b, bootstrap)
    return metric.compute(*a) - metric.compute(*b), *ends(differences, bootstrap)


def probability_at_most(
    bound: float,
    task: Task,
    predictions_a: ArrayLike,
    predictions_b: ArrayLike,
    truth: Any,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> float:
    """Share of the resamples in which A's score exceeds B's by `bound` at most.

    Args:
        bound: metric points.
        task: as in `score`.
        predictions_a: likewise.
        predictions_b: likewise.
        truth: likewise.
        bootstrap: as in `paired_difference_interval`, and the same resamples.

    Raises:
        ModelError: answers that are not finite.
    """
    a, b = (judged(task, predictions, truth) for predictions in (predictions_a, predictions_b))
    differences = _resample_differences(metric_of(task), a, b, bootstrap)
    return float((differences <= bound).mean())


def _resample_differences(
    metric: Metric, a: tuple[Any, Any], b: tuple[Any, Any], bootstrap: Bootstrap
) -> NDArray[np.float64]:
    values = resample(metric, [metric.tally(*a), metric.tally(*b)], bootstrap)
    return values[0] - values[1]


def judged(task: Task, predictions: ArrayLike, truth: Any) -> tuple[Any, Any]:
    """Predictions and labels of every example, as the metric takes them.

    Metrics of two classes take 1 for the positive one, whatever its id is in the model.
    """
    kind, outputs = KINDS[task.kind], np.asarray(predictions)
    width = (kind.width or task.num_labels) if kind.fits_head else outputs.shape[-1]
    if len(outputs) != len(truth) or not len(truth) or outputs.shape[-1] != width:
        raise ValueError(
            f"answers of shape {outputs.shape} for {len(truth)} rows and {width} outputs"
        )
    # An argmax over NaN would quietly answer with the first class.
    if not np.isfinite(outputs).all():
        finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
        raise ModelError(
            "The model's outputs are not finite numbers.",
            where=f"{np.count_nonzero(~finite)} of {len(outputs)} rows",
            fix="train with a lower learning rate or in float32",
        )
    found, wanted = kind.judge(outputs, truth)
    return (found, wanted) if task.positive else (1 - found, 1 - wanted)


def resample(
    metric: Metric, tallies: Sequence[NDArray[Any]], bootstrap: Bootstrap
) -> NDArray[np.float64]:
    """Values ``(models, resamples)`` of the metric, from each model's tally of the examples."""
    # Examples with the same tallies are interchangeable: a resample is fully told by how many of
    # each such group it has, and of a classifier there are few groups.
    groups, sizes = np.unique(np.vstack(tallies), axis=1, return_counts=True)
    models = np.split(groups, len(tallies))
    pieces = [
        [metric.tallied(tally, counts) for tally in models] for counts in _draws(sizes, bootstrap)
    ]
    return np.concatenate(pieces, axis=1)


def _draws(sizes: NDArray[Any], bootstrap: Bootstrap) -> Iterator[NDArray[np.float64]]:
    generator = np.random.default_rng(bootstrap.seed)
    rows = int(sizes.sum())
    step = max(1, PIECE // len(sizes))
    for start in range(0, bootstrap.resamples, step):
        number = min(step, bootstrap.resamples - start)
        yield generator.multinomial(rows, sizes / rows, size=number).astype(np.float64)


def ends(values: NDArray[np.float64], bootstrap: Bootstrap = BOOTSTRAP) -> tuple[float, float]:
    """The quantiles between which that share of the values lies."""
    outside = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
