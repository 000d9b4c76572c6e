"""Exact match and F1 of answers, as SQuAD 1.1 computes them (Rajpurkar et al. 2016, section 6.1).

Predictions are one text an example, labels the texts that count as right; the best of them counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.metrics import Counts, Metric, ratio

_KIND = "question-answering"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

Texts = Sequence[str]
Golds = Sequence[Sequence[str]]


def normalised(text: str) -> str:
    """In lower case, without punctuation and articles, with single spaces."""
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(found: str, wanted: str) -> float:
    """1 where both are the same once they are normalised, else 0."""
    return float(normalised(found) == normalised(wanted))


def word_f1(found: str, wanted: str) -> float:
    """Harmonic mean of the shares of words that both have."""
    ours, theirs = normalised(found).split(), normalised(wanted).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def _best_of(
    compare: Callable[[str, str], float],
) -> Callable[[Texts, Golds], NDArray[np.float64]]:
    def tally(predictions: Texts, labels: Golds) -> NDArray[np.float64]:
        pairs = zip(predictions, labels, strict=True)
        return np.asarray([[max(compare(found, gold) for gold in golds) for found, golds in pairs]])

    return tally


def _mean_of(
    tally: Callable[[Texts, Golds], NDArray[np.float64]],
) -> Callable[[Any, Any], float]:
    return lambda predictions, labels: float(tally(predictions, labels).mean())


def _mean_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    return ratio(counts @ tally[0], counts.sum(axis=1))


def _metric(name: str, compare: Callable[[str, str], float]) -> Metric:
    tally = _best_of(compare)
    return Metric(name, _KIND, _mean_of(tally), _mean_tallied, tally=tally)


SQUAD_METRICS = (_metric("squad_f1", word_f1), _metric("exact_match", exact_match))
