"""How well predictions agree with labels, and how sure that number is.

A reported value comes from scikit-learn or SciPy. An interval needs the same metric on a thousand
resamples, which those libraries take a minute for; so every metric has a second form that reads
*how often each row was drawn* and computes all resamples in a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AGREEMENT = "agreement"
"""The metric of data without labels: of texts the share that two models give the same labels, of
numbers Pearson's correlation of theirs."""

Array = NDArray[Any]
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One metric; larger is better.

    Attributes:
        name: that it is asked for by.
        kind: the kind of task that it scores.
        compute: predictions and labels, one an example, to the value.
        tally: predictions and labels to ``(columns, examples)``: all of an example that the value
            depends on. Examples with the same column are interchangeable.
        tallied: such columns and counts ``(resamples, examples)``, how often an example is drawn
            in a resample, to ``(resamples,)`` values. With every count 1 it equals `compute`.
        two_classes: whether it needs a positive and a negative class; id 1 is the positive one.
        suits: whether labels of these names can be scored by it.
        of_model: whether it compares with another model's answers; nobody can ask for it then.
    """

    name: str
    kind: str
    compute: Callable[[Any, Any], float]
    tallied: Callable[[Array, Counts], Counts]
    tally: Callable[[Any, Any], Array] = lambda predictions, labels: np.vstack(
        [labels, predictions]
    )
    two_classes: bool = False
    suits: Callable[[Sequence[str]], bool] = lambda labels: True
    of_model: bool = False

    def fits(self, kind: str, labels: Sequence[str]) -> bool:
        """Whether it can score a task of that kind with those labels."""
        enough = len(labels) == 2 or not self.two_classes
        return self.kind == kind and enough and self.suits(labels) and not self.of_model

    def resampled(self, predictions: Any, labels: Any, counts: Counts) -> Counts:
        """Values ``(resamples,)`` where each example counts as often as `counts` says."""
        return self.tallied(self.tally(predictions, labels), counts)


def _accuracy(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _f1(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, pos_label=1, zero_division=0.0))


def _macro_f1(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def _matthews(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import matthews_corrcoef

    return 0.0 if _constant(predictions, labels) else float(matthews_corrcoef(labels, predictions))


def _pearson(predictions: Array, labels: Array) -> float:
    from scipy.stats import pearsonr

    return 0.0 if _constant(predictions, labels) else float(pearsonr(predictions, labels)[0])


def _spearman(predictions: Array, labels: Array) -> float:
    from scipy.stats import spearmanr

    return 0.0 if _constant(predictions, labels) else float(spearmanr(predictions, labels)[0])


def _constant(*columns: Array) -> bool:
    """Whether one column does not vary: then there is no correlation, and it counts as none."""
    return any(np.ptp(column) == 0 for column in columns)


@dataclass(frozen=True)
class _Tally:
    """Per resample and class, all ``(resamples, classes)``: rows of it, answers of it, both."""

    actual: Counts
    predicted: Counts
    hits: Counts


def _tally(predictions: Array, labels: Array, counts: Counts, classes: Array) -> _Tally:
    actual = labels[:, None] == classes
    predicted = predictions[:, None] == classes
    both = actual & predicted
    return _Tally(*(counts @ side.astype(np.float64) for side in (actual, predicted, both)))


def ratio(above: Counts, below: Counts) -> Counts:
    """A quotient that is 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _accuracy_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    return ratio(counts @ (predictions == labels).astype(np.float64), counts.sum(axis=1))


def _f1_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    return _class_f1(_tally(predictions, labels, counts, np.array([1])))[:, 0]


def _class_f1(tally: _Tally) -> Counts:
    return ratio(2 * tally.hits, tally.actual + tally.predicted)


def _macro_f1_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    tally = _tally(predictions, labels, counts, np.union1d(predictions, labels))
    present = (tally.actual + tally.predicted > 0).sum(axis=1, dtype=np.float64)
    return ratio(_class_f1(tally).sum(axis=1), present)


def _matthews_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    tally = _tally(predictions, labels, counts, np.union1d(predictions, labels))
    rows = counts.sum(axis=1)
    # Gorodkin's form for any number of classes, as in scikit-learn.
    covariance = tally.hits.sum(axis=1) * rows - (tally.actual * tally.predicted).sum(axis=1)
    spread = (rows**2 - (tally.actual**2).sum(axis=1)) * (
        rows**2 - (tally.predicted**2).sum(axis=1)
    )
    return ratio(covariance, np.sqrt(spread))


def _pearson_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    return _correlation(predictions[None, :], labels[None, :], counts)


def _spearman_resampled(predictions: Array, labels: Array, counts: Counts) -> Counts:
    return _correlation(_ranks(predictions, counts), _ranks(labels, counts), counts)


def _correlation(left: Counts, right: Counts, counts: Counts) -> Counts:
    """Pearson's correlation of each resample; `left` and `right` broadcast against `counts`."""
    left, left_spread = _centred(left, counts)
    right, right_spread = _centred(right, counts)
    covariance = np.einsum("ij,ij,ij->i", counts, left, right)
    return ratio(covariance, np.sqrt(left_spread * right_spread))


def _centred(values: Counts, counts: Counts) -> tuple[Counts, Counts]:
    """Values less each resample's mean, and each resample's sum of squares about it."""
    values = np.broadcast_to(values, counts.shape)
    mean = np.einsum("ij,ij->i", counts, values) / counts.sum(axis=1)
    centred = values - mean[:, None]
    spread = np.einsum("ij,ij,ij->i", counts, centred, centred)
    size = np.einsum("ij,ij,ij->i", counts, values, values)
    # A resample without variation leaves rounding errors, not an exact 0: about 1e-30 of the size.
    return centred, np.where(spread > 1e-26 * size, spread, 0.0)


def _ranks(values: Array, counts: Counts) -> Counts:
    """Mean rank of each row within each resample, where a row stands as often as it was drawn."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    middle = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    return np.asarray(middle[:, group], dtype=np.float64)


def _of_pairs(
    resampled: Callable[[Array, Array, Counts], Counts],
) -> Callable[[Array, Counts], Counts]:
    """A function of predictions, labels and counts as one of the tally of both."""
    return lambda tally, counts: resampled(tally[1], tally[0], counts)


_CLASSES, _NUMBERS = "text-classification", "regression"

CLASS_METRICS = (
    Metric("accuracy", _CLASSES, _accuracy, _of_pairs(_accuracy_resampled)),
    Metric("f1", _CLASSES, _f1, _of_pairs(_f1_resampled), two_classes=True),
    Metric("macro_f1", _CLASSES, _macro_f1, _of_pairs(_macro_f1_resampled)),
    Metric("matthews_correlation", _CLASSES, _matthews, _of_pairs(_matthews_resampled)),
    Metric(AGREEMENT, _CLASSES, _accuracy, _of_pairs(_accuracy_resampled), of_model=True),
)
"""Of tasks in which a text has one label; predictions are ids ``(rows,)``."""

NUMBER_METRICS = (
    Metric("pearson", _NUMBERS, _pearson, _of_pairs(_pearson_resampled)),
    Metric("spearman", _NUMBERS, _spearman, _of_pairs(_spearman_resampled)),
    Metric(AGREEMENT, _NUMBERS, _pearson, _of_pairs(_pearson_resampled), of_model=True),
)
"""Of tasks in which a text has a number; predictions are numbers ``(rows,)``."""

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*CLASS_METRICS, *NUMBER_METRICS) if not metric.of_model
}
"""Those of tasks with one label or number a text; other kinds have theirs in their own files."""
