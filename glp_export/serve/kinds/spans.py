"""Questions, each with a document that a part of answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glp_export.core.errors import DataError, UsageError
from glp_export.serve.kinds.base import Opened, ServedKind
from glp_export.serve.rows import as_rows
from glp_export.serve.spans import best_span, windows_for

_WINDOW = 256
"""Questions whose documents are cut into tokens together."""


@dataclass(frozen=True)
class Answer:
    """A part of a document.

    Attributes:
        text: the part.
        start: where it begins, in characters.
        stop: where it ends.
        score: sum of the logits of its first token as a beginning and its last as an end; only to
            be compared with those of the same model.
    """

    text: str
    start: int
    stop: int
    score: float


@dataclass(frozen=True)
class FoundAnswers:
    """A model's answers to some questions, in the order of the questions."""

    answers: tuple[Answer, ...]

    @property
    def texts(self) -> list[str]:
        """The part of each document that answers; empty where the document is."""
        return [answer.text for answer in self.answers]

    @property
    def scores(self) -> list[float]:
        """How much the model holds of each answer."""
        return [answer.score for answer in self.answers]

    def __len__(self) -> int:
        return len(self.answers)


def _answer(model: Opened, texts: Any, text_pairs: Any) -> FoundAnswers:
    rows = as_rows(texts, text_pairs)
    pairs = [row for row in rows if not isinstance(row, str)]
    if len(pairs) < len(rows):
        raise DataError("a question comes with a document", fix="model(questions, documents)")
    found: list[Answer] = []
    for start in range(0, len(pairs), _WINDOW):
        found += _answers(model, pairs[start : start + _WINDOW])
    return FoundAnswers(tuple(found))


def _answers(model: Opened, pairs: list[tuple[str, str]]) -> list[Answer]:
    limit = model.encoder.max_length
    if limit is None:
        raise UsageError("nothing says how much the model reads", where="tokenizer_config.json")
    windows = model.encoder.encode_windows(pairs, windows_for(limit))
    flat = [window for own in windows for window in own]
    logits = iter(model.of_tokens(flat))
    found = []
    for (_, document), own in zip(pairs, windows, strict=True):
        best = Answer("", 0, 0, -np.inf)
        for window in own:
            starts, ends = next(logits)
            of_document = np.array([sequence == 1 for sequence in window.sequence_ids])
            span = best_span(starts, ends, of_document)
            if span and span.score > best.score:
                first, last = window.offsets[span.first][0], window.offsets[span.last][1]
                best = Answer(document[first:last], first, last, span.score)
        found.append(best)
    return found


SPANS = ServedKind(
    head="ForQuestionAnswering", outputs=("start_logits", "end_logits"), answer=_answer
)
