"""How far a model's answers are from another's, beside whether both decide alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.scoring import BOOTSTRAP, PIECE, Bootstrap, ends
from glp_export.tasks.task import Task

NAME = "divergence"

Numbers = NDArray[np.float64]


def divergences(task: Task, answers: NDArray[Any], wanted: NDArray[Any]) -> Numbers:
    """Of every text the divergence of answers from those wanted, (rows,); 0 where they are equal.

    Of classes the Kullback-Leibler divergence of the distributions, in nats; of several labels a
    text the mean of it over the labels; of numbers the squared difference.

    Args:
        task: of whose kind a model can label texts.
        answers: logits (rows, labels).
        wanted: likewise.
    """
    found, true = (np.asarray(one, dtype=np.float64) for one in (answers, wanted))
    if task.kind == "text-classification":
        return _between(_log_softmax(true), _log_softmax(found))
    if task.kind == "multi-label-classification":
        pairs = [
            _log_softmax(np.stack([np.zeros_like(one), one], axis=-1)) for one in (true, found)
        ]
        return np.asarray(_between(*pairs).mean(axis=-1))
    return np.asarray(((found - true) ** 2).mean(axis=-1))


def mean_interval(values: Numbers, bootstrap: Bootstrap = BOOTSTRAP) -> tuple[float, float]:
    """Interval of a mean by the percentile bootstrap over examples."""
    generator = np.random.default_rng(bootstrap.seed)
    means: list[float] = []
    step = max(1, PIECE // len(values))
    while len(means) < bootstrap.resamples:
        rows = generator.integers(
            len(values), size=(min(step, bootstrap.resamples - len(means)), len(values))
        )
        means += values[rows].mean(axis=1).tolist()
    return ends(np.asarray(means), bootstrap)


def _between(wanted: Numbers, found: Numbers) -> Numbers:
    return np.asarray(np.maximum((np.exp(wanted) * (wanted - found)).sum(axis=-1), 0.0))


def _log_softmax(logits: Numbers) -> Numbers:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
