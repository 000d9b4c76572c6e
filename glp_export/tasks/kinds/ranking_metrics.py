"""How good an order is: of every query the first ten passages, and the mean over queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.metrics import Counts, Metric, ratio

FIRST = 10
"""Passages that count."""

Values = NDArray[np.float64]
OfQuery = Callable[[Values, Values], float]


def ndcg(scores: Values, relevances: Values) -> float:
    """Normalised discounted cumulative gain of one query (scikit-learn: gains are grades)."""
    from sklearn.metrics import ndcg_score

    return float(ndcg_score([relevances], [scores], k=FIRST))


def reciprocal_rank(scores: Values, relevances: Values) -> float:
    """1 over the place of the first relevant passage, 0 where that is past the tenth.

    Among passages of one score the relevant ones come last: whoever scores all alike is not right.
    """
    relevant = relevances > 0
    place = 1 + np.count_nonzero(scores[~relevant] >= scores[relevant].max())
    return float(1 / place) if place <= FIRST else 0.0


def _metric(name: str, of_query: OfQuery) -> Metric:
    def each(scores: Sequence[Values], relevances: Sequence[Values]) -> Values:
        return np.asarray([of_query(*pair) for pair in zip(scores, relevances, strict=True)])

    def compute(scores: Any, relevances: Any) -> float:
        return float(each(scores, relevances).mean())

    def tallied(tally: NDArray[Any], counts: Counts) -> Counts:
        return ratio(counts @ tally[0], counts.sum(axis=1))

    return Metric(
        name,
        "reranking",
        compute,
        tallied,
        tally=lambda scores, relevances: each(scores, relevances)[None],
    )


RANKING_METRICS = (_metric("ndcg_at_10", ndcg), _metric("mrr_at_10", reciprocal_rank))
"""Predictions and labels are lists of scores and of relevances, one an example: a query."""
