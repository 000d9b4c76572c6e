"""Which part of a document answers a question: windows over it, and the best span of all.

Training's data, the metric and serving all go by this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_BEST = 20
"""Beginnings and ends of a window that are combined: so many of the likeliest of each."""

LONGEST_ANSWER = 30
"""Tokens of an answer at most."""


class Span(NamedTuple):
    """A part of a window.

    Attributes:
        first: its first token.
        last: its last token.
        score: logit of the one as a beginning plus that of the other as an end.
    """

    first: int
    last: int
    score: float


class Windows(NamedTuple):
    """How a question and a document that is longer than the model reads are cut.

    Attributes:
        question: tokens of the question at most.
        stride: tokens that a window has in common with the one before.
    """

    question: int
    stride: int


def windows_for(limit: int) -> Windows:
    """How to cut for a model that reads `limit` tokens: a quarter of them twice.

    The question gets less than half, so that every window has room for something new.
    """
    return Windows(question=max(1, limit // 2 - 4), stride=max(0, limit // 4))


def best_span(
    starts: NDArray[np.float32], ends: NDArray[np.float32], context: NDArray[np.bool_]
) -> Span | None:
    """The likeliest span of one window, None where no token is of the document.

    Args:
        starts: (tokens,) logits of a token as the beginning.
        ends: (tokens,) logits of a token as the end.
        context: (tokens,) whether a token is of the document.
    """
    tokens = np.flatnonzero(context)
    if not len(tokens):
        return None
    first = tokens[np.argsort(-starts[tokens], kind="stable")[:N_BEST]]
    last = tokens[np.argsort(-ends[tokens], kind="stable")[:N_BEST]]
    scores = starts[first][:, None] + ends[last][None, :]
    lengths = last[None, :] - first[:, None] + 1
    scores = np.where((lengths >= 1) & (lengths <= LONGEST_ANSWER), scores, -np.inf)
    if not np.isfinite(scores).any():
        only = tokens[np.argmax(starts[tokens] + ends[tokens])]
        return Span(int(only), int(only), float(starts[only] + ends[only]))
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    return Span(int(first[row]), int(last[column]), float(scores[row, column]))
