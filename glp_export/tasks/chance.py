"""Whether a model has learned anything: its score against answers that ignore the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glp_export.tasks.metrics import Metric
from glp_export.tasks.scoring import BOOTSTRAP, Bootstrap, ends, judged, metric_of, resample
from glp_export.tasks.task import Task

SHUFFLES = 39
"""Of which a score has to beat every one: by chance it does so once in forty times."""

_MOST_CONSTANTS = 30


@dataclass(frozen=True)
class AgainstChance:
    """A score beside what is reached without reading the texts.

    Attributes:
        value: the model's score.
        chance: the better one of the best constant answer (the most frequent class, the mean) and
            of the model's own answers given to other texts, on average.
        low: of the interval of `value` less `chance`.
        high: likewise.
        beats_shuffled: whether the score is above that of all `SHUFFLES` such exchanges.
    """

    value: float
    chance: float
    low: float
    high: float
    beats_shuffled: bool

    @property
    def significant(self) -> bool:
        """Whether the model is better than chance, beyond what this test set leaves in doubt."""
        return self.low > 0 and self.beats_shuffled


def against_chance(
    task: Task,
    predictions: ArrayLike,
    truth: Any,
    bootstrap: Bootstrap = BOOTSTRAP,
) -> AgainstChance:
    """Compare a model's score with chance, by the paired bootstrap and by a permutation test.

    The constant answer is the best one for these very labels, which no model could know: chance is
    rather over- than underestimated. The permutation test covers metrics that a constant answer
    does worst on, such as macro F1, and test sets of few examples.

    Args:
        task: as in `score`.
        predictions: likewise.
        truth: likewise.
        bootstrap: how many resamples, how wide the interval; its seed is that of shuffling too.

    Raises:
        ModelError: answers that are not finite.
    """
    metric = metric_of(task)
    found, wanted = judged(task, predictions, truth)
    value = metric.compute(found, wanted)
    constant = _best(metric, _constants(task, found, wanted), wanted)
    generator = np.random.default_rng(bootstrap.seed)
    shuffled = [metric.compute(_shuffled(task, found, generator), wanted) for _ in range(SHUFFLES)]
    level, usual = metric.compute(constant, wanted), float(np.mean(shuffled))
    tallies = [metric.tally(found, wanted), metric.tally(constant, wanted)]
    own, fixed = resample(metric, tallies, bootstrap)
    low, high = ends(own - (fixed if level >= usual else usual), bootstrap)
    return AgainstChance(value, max(level, usual), low, high, value > max(shuffled))


def _best(metric: Metric, candidates: Sequence[Any], wanted: Any) -> Any:
    return max(candidates, key=lambda answers: metric.compute(answers, wanted))


def _constants(task: Task, found: Any, wanted: Any) -> list[Any]:
    """Answers that are the same for every text, in the form of predictions."""
    return _CONSTANTS.get(task.kind, _zeros)(found, wanted)


def _zeros(found: Any, wanted: Any) -> list[Any]:
    return [np.zeros(len(wanted))]


def _classes(found: NDArray[Any], wanted: NDArray[Any]) -> list[Any]:
    usual = Counter(wanted.tolist()).most_common(_MOST_CONSTANTS)
    return [np.full_like(found, label) for label in {1, *(label for label, _ in usual)}]


def _label_sets(found: NDArray[Any], wanted: NDArray[Any]) -> list[Any]:
    """The most frequent labels for every text: one of them, two, … all."""
    order = np.argsort(-wanted.mean(axis=0), kind="stable")
    counts = np.unique(np.linspace(1, len(order), _MOST_CONSTANTS).round().astype(int))
    sets = []
    for count in counts:
        answers = np.zeros_like(found)
        answers[:, order[:count]] = 1
        sets.append(answers)
    return sets


def _tags(found: Any, wanted: Any) -> list[Any]:
    usual = Counter(tag for row in wanted for tag in row).most_common(_MOST_CONSTANTS)
    return [[[tag] * len(row) for row in wanted] for tag, _ in usual]


def _no_text(found: Any, wanted: Any) -> list[Any]:
    return [[""] * len(wanted)]


def _equal_scores(found: Any, wanted: Any) -> list[Any]:
    return [[np.zeros(len(own)) for own in wanted]]


def _tokens(found: Any, wanted: Any) -> list[Any]:
    """The most frequent ids, in as many columns as the model's likeliest ones have."""
    kept = found[0].shape[1]
    ids = [token for token, _ in Counter(np.concatenate(wanted).tolist()).most_common(kept)]
    row = np.asarray([*ids, *[-1] * (kept - len(ids))])
    return [[np.tile(row, (len(own), 1)) for own in wanted]]


_CONSTANTS: dict[str, Callable[[Any, Any], list[Any]]] = {
    "text-classification": _classes,
    "multi-label-classification": _label_sets,
    "token-classification": _tags,
    "question-answering": _no_text,
    "masked-language-model": _tokens,
    "reranking": _equal_scores,
}


def _shuffled(task: Task, found: Any, generator: np.random.Generator) -> Any:
    """The same answers, each for another text."""
    if task.kind == "reranking":  # scores of one query compare with no others
        return [generator.permutation(own) for own in found]
    if task.kind == "token-classification":
        tags = [tag for row in found for tag in row]
        mixed = iter([tags[place] for place in generator.permutation(len(tags))])
        return [[next(mixed) for _ in row] for row in found]
    if task.kind == "masked-language-model":
        mixed_ids = generator.permutation(np.concatenate(found))
        return np.split(mixed_ids, np.cumsum([len(own) for own in found])[:-1])
    order = generator.permutation(len(found))
    return found[order] if isinstance(found, np.ndarray) else [found[place] for place in order]
