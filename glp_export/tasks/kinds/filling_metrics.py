"""How often a masked language model finds what is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.metrics import Counts, Metric, ratio

NAME = "masked-language-model"


def _metric(name: str, first: int) -> Metric:
    """The share of hidden tokens that are among the likeliest `first`."""

    def tally(predictions: Any, golds: Any) -> NDArray[Any]:
        hits = [
            int((ids[:, :first] == gold[:, None]).any(axis=1).sum())
            for ids, gold in zip(predictions, golds, strict=True)
        ]
        return np.asarray([hits, [len(gold) for gold in golds]], dtype=np.int64)

    def compute(predictions: Any, golds: Any) -> float:
        hits, hidden = tally(predictions, golds).sum(axis=1)
        return float(hits / hidden)

    def tallied(tally: NDArray[Any], counts: Counts) -> Counts:
        hits, hidden = (counts @ side.astype(np.float64) for side in tally)
        return ratio(hits, hidden)

    return Metric(name, NAME, compute, tallied, tally=tally)


FILLING_METRICS = (_metric("accuracy", 1), _metric("accuracy_at_5", 5))
"""Predictions are the likeliest ids (hidden, kept) of every text, labels the right ones."""
