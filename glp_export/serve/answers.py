"""What a served model answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import UsageError
from glp_export.core.notebook import MOST_ROWS, table_html

_SHOWN = 5
REGRESSION = "regression"
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to some texts, in the order of the texts.

    Attributes:
        logits: ``(texts, outputs)`` float32.
        names: of the labels, in the order of their ids; () for regression.
        problem: `single_label_classification`, `multi_label_classification` or `regression`, as
            transformers calls them.
    """

    logits: NDArray[np.float32]
    names: tuple[str, ...]
    problem: str

    def __repr__(self) -> str:
        shown = [words for words, _ in self._words(_SHOWN)]
        more = ", …" if len(self) > _SHOWN else ""
        return f"Answers({len(self)} texts: {', '.join(shown)}{more})"

    def _repr_html_(self) -> str:
        head = ("text", "answer", "probability")
        rows = [(n, *words) for n, words in enumerate(self._words(MOST_ROWS))]
        return table_html(f"answers to {len(self)} texts", head, rows)

    def _words(self, most: int) -> list[tuple[str, str]]:
        """The first answers with their probabilities, as text."""
        first = Answers(self.logits[:most], self.names, self.problem)
        if self.problem == REGRESSION:
            return [(" ".join(f"{value:.4g}" for value in row), "") for row in first.logits]
        if self.problem == MULTI_LABEL:
            return [(" + ".join(labels) or "none", "") for labels in first.label_sets]
        certain = first.probabilities.max(axis=-1)
        return [
            (label, f"{probability:.3f}")
            for label, probability in zip(first.labels, certain, strict=True)
        ]

    @property
    def labels(self) -> list[str]:
        """The likeliest label of each text.

        Raises:
            UsageError: the model gives numbers, or several labels a text.
        """
        if self.problem == REGRESSION:
            raise UsageError("a regression model has no labels", fix="use .values")
        if self.problem == MULTI_LABEL:
            raise UsageError(
                "a text may have several labels here, or none",
                fix="use .label_sets, or compare .probabilities with a threshold of your own; "
                ".names are their labels",
            )
        return [self.names[index] for index in self.logits.argmax(axis=-1)]

    @property
    def label_sets(self) -> list[list[str]]:
        """The labels of each text whose probability is more than one half.

        Raises:
            UsageError: labels exclude one another, or the model gives numbers.
        """
        if self.problem != MULTI_LABEL:
            other = ".values" if self.problem == REGRESSION else ".labels"
            raise UsageError("a text has one answer here", fix=f"use {other}")
        return [[self.names[index] for index in np.flatnonzero(row > 0)] for row in self.logits]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """``(texts, labels)`` float32: softmax, or a sigmoid each where labels do not exclude.

        Raises:
            UsageError: the model gives numbers.
        """
        if self.problem == REGRESSION:
            raise UsageError("a regression model has no probabilities", fix="use .values")
        if self.problem == MULTI_LABEL:
            return np.exp(-np.logaddexp(np.float32(0), -self.logits))
        odds = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)

    @property
    def values(self) -> NDArray[np.float32]:
        """What a regression model says of each text.

        ``(texts,)`` float32; ``(texts, outputs)`` of a model that gives several numbers.

        Raises:
            UsageError: the model gives labels.
        """
        if self.problem != REGRESSION:
            raise UsageError("a classifier gives labels", fix="use .labels or .probabilities")
        return self.logits[:, 0] if self.logits.shape[1] == 1 else self.logits

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class Head:
    """What a model's outputs stand for, see `Answers`."""

    names: tuple[str, ...]
    problem: str
    numbers: int = 1
    """Of a regression model, how many a text has."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Head:
        """Read it from a model's `config.json`, with transformers' defaults for what is left out.

        One output without more said is a regression, and labels without names are two.
        """
        named = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        names = tuple(str(named[key]) for key in sorted(named, key=int))
        unsaid = REGRESSION if len(names) == 1 else SINGLE_LABEL
        problem = config.get("problem_type") or unsaid
        return cls((), problem, len(names)) if problem == REGRESSION else cls(names, problem)

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for a text."""
        return len(self.names) or self.numbers
