"""Whether a classifier's probabilities are those that its predictions are right with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glp_export.tasks.changes import SINGLE_LABEL, Interval
from glp_export.tasks.scoring import BOOTSTRAP, Bootstrap, ends
from glp_export.tasks.task import Task

BINS = 15
"""Of equal width, as usual since Guo et al. (2017, section 2)."""


def calibration_error(
    task: Task, predictions: ArrayLike, truth: Any, bootstrap: Bootstrap = BOOTSTRAP
) -> Interval | None:
    """The expected calibration error (Guo et al. 2017) with its 95 % bootstrap interval.

    How far the probability of the predicted label is from the share of right predictions: the mean
    over bins of like probability, by their rows. None for tasks without probabilities.

    Args:
        task: as in `score`.
        predictions: logits `(rows, labels)`.
        truth: label ids `(rows,)`.
    """
    if task.kind != SINGLE_LABEL:
        return None
    logits = np.asarray(predictions, np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (exponentials / exponentials.sum(axis=1, keepdims=True)).max(axis=1)
    gaps = (logits.argmax(axis=1) == np.asarray(truth)).astype(np.float64) - sure
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    generator = np.random.default_rng(bootstrap.seed)
    drawn = (generator.integers(0, len(gaps), len(gaps)) for _ in range(bootstrap.resamples))
    errors = np.array([_error(gaps[rows], place[rows]) for rows in drawn])
    return Interval(_error(gaps, place), *ends(errors, bootstrap))


def _error(gaps: NDArray[np.float64], place: NDArray[Any]) -> float:
    """|Σ (right − probability)| of every bin, over all rows."""
    return float(np.abs(np.bincount(place, gaps, minlength=BINS)).sum() / len(gaps))
