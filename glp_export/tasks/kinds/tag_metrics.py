"""Metrics of tagged words; predictions and labels are a list of tags for every example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.metrics import Counts, Metric, ratio

Tags = Sequence[Sequence[str]]

_KIND = "token-classification"


def _entity_f1(predictions: Tags, labels: Tags) -> float:
    from seqeval.metrics import f1_score

    # seqeval divides by the entities: with none on either side it has nothing to say.
    return float(f1_score(_lists(labels), _lists(predictions), zero_division=0))


def _entities(predictions: Tags, labels: Tags) -> NDArray[np.int64]:
    """Of every example the entities that are right, that were found, and that are there.

    As seqeval counts them: an entity is right if its type, its first and its last word are.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    counts = []
    for found, wanted in zip(_lists(predictions), _lists(labels), strict=True):
        ours, theirs = set(get_entities(found)), set(get_entities(wanted))
        counts.append((len(ours & theirs), len(ours), len(theirs)))
    return np.asarray(counts, dtype=np.int64).T


def _entity_f1_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    right, found, wanted = (counts @ column for column in tally.astype(np.float64))
    return ratio(2 * right, found + wanted)


def _accuracy(predictions: Tags, labels: Tags) -> float:
    from sklearn.metrics import accuracy_score

    pairs = [[tag for row in rows for tag in row] for rows in (labels, predictions)]
    return float(accuracy_score(*pairs))


def _words(predictions: Tags, labels: Tags) -> NDArray[np.int64]:
    """Of every example the words that are tagged right, and all."""
    pairs = zip(predictions, labels, strict=True)
    counts = [
        (sum(one == other for one, other in zip(found, wanted, strict=True)), len(wanted))
        for found, wanted in pairs
    ]
    return np.asarray(counts, dtype=np.int64).T


def _accuracy_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    right, words = (counts @ column for column in tally.astype(np.float64))
    return ratio(right, words)


def _lists(tags: Tags) -> list[list[str]]:
    return [list(row) for row in tags]


def _marks_entities(labels: Sequence[str]) -> bool:
    """Whether tags say where names begin and go on: B-person, I-person, O."""
    return any(label.startswith(("B-", "I-")) for label in labels)


TAG_METRICS = (
    Metric(
        "seqeval_f1",
        _KIND,
        _entity_f1,
        _entity_f1_tallied,
        tally=_entities,
        suits=_marks_entities,
    ),
    Metric("tag_accuracy", _KIND, _accuracy, _accuracy_tallied, tally=_words),
)
"""seqeval's F1 of entities (micro), and the share of words with the right tag."""
