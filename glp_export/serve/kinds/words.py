"""Words, each with a tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, UsageError
from glp_export.serve.kinds.base import Opened, ServedKind
from glp_export.serve.rows import listed

_WINDOW = 1024
"""Rows that are cut into tokens together."""


_MARKS = frozenset("BIELSU")
_GOING_ON = frozenset("IEL")
_ENDING = frozenset("ELSU")
"""What stands before a type: begin, inside, end or last, single or unit (IOB, BIOES, BILOU)."""


@dataclass(frozen=True)
class Entity:
    """Words that belong together.

    Attributes:
        type: what follows B- and I- in their tags, and E-, S-, L- or U- where tags have these.
        start: number of the first word, counted from 0.
        stop: number of the word after the last.
        text: the words with a space between.
    """

    type: str
    start: int
    stop: int
    text: str


@dataclass(frozen=True, eq=False)
class TaggedWords:
    """A model's answers to the words of some texts, in the order of the texts.

    Attributes:
        words: of each text.
        logits: of each text, ``(words, tags)`` float32; NaN for a word that the model did not
            see, past its longest input or of signs that the tokenizer drops.
        names: of the tags, in the order of their ids.
    """

    words: list[list[str]]
    logits: list[NDArray[np.float32]]
    names: tuple[str, ...]

    @property
    def tags(self) -> list[list[str | None]]:
        """The likeliest tag of each word; None for one that the model did not see."""
        return [
            [None if np.isnan(word).any() else self.names[word.argmax()] for word in row]
            for row in self.logits
        ]

    @property
    def probabilities(self) -> list[NDArray[np.float32]]:
        """Of each text, ``(words, tags)`` float32: softmax."""
        odds = [np.exp(row - row.max(axis=-1, keepdims=True)) for row in self.logits]
        return [row / row.sum(axis=-1, keepdims=True) for row in odds]

    @property
    def entities(self) -> list[list[Entity]]:
        """Of each text what tags in the manner of B-person, I-person, O mark."""
        return [_entities(tags, words) for tags, words in zip(self.tags, self.words, strict=True)]

    def __len__(self) -> int:
        return len(self.words)


def _entities(tags: Sequence[str | None], words: Sequence[str]) -> list[Entity]:
    """Runs of words of one type.

    A new one begins at a mark that begins one, after one that ends one, or where the type changes.
    """
    found: list[Entity] = []
    ended = True
    for number, tag in enumerate(tags):
        mark, _, type_ = (tag or "O").partition("-")
        if mark not in _MARKS or not type_:
            continue
        last = found[-1] if found else None
        goes_on = mark in _GOING_ON and not ended
        if goes_on and last and (last.type, last.stop) == (type_, number):
            start = found.pop().start
        else:
            start = number
        found.append(Entity(type_, start, number + 1, " ".join(words[start : number + 1])))
        ended = mark in _ENDING
    return found


def _answer(model: Opened, texts: Any, text_pairs: Any) -> TaggedWords:
    if text_pairs is not None:
        raise UsageError("a model that labels words reads one text at a time", where="text_pairs")
    given = listed(texts)
    rows = as_words(given)
    logits: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), _WINDOW):
        placed = model.encoder.encode_words(given[start : start + _WINDOW])
        tokens = model.of_tokens([one.encoding for one in placed])
        logits += [
            _of_words(one.word_ids, found, len(words))
            for one, (found,), words in zip(placed, tokens, rows[start:], strict=False)
        ]
    return TaggedWords(rows, logits, model.head.names)


def _of_words(
    word_ids: Sequence[int | None], tokens: NDArray[np.float32], words: int
) -> NDArray[np.float32]:
    """What the first token of every word says, as in training."""
    logits = np.full((words, tokens.shape[-1]), np.nan, dtype=np.float32)
    for token, word in reversed(list(enumerate(word_ids))):
        if word is not None:
            logits[word] = tokens[token]
    return logits


def as_words(texts: Any) -> list[list[str]]:
    """Lists of words, or texts that are split at white space.

    Raises:
        DataError: what is given does not iterate over its rows, or a row is neither.
    """
    return [_words(row, number) for number, row in enumerate(listed(texts))]


def _words(row: Any, number: int) -> list[str]:
    if isinstance(row, str):
        return row.split()
    if isinstance(row, list | tuple) and all(isinstance(word, str) for word in row):
        return list(row)
    raise DataError(
        f"this is no text and no list of words: {row!r:.80}",
        where=f"row {number}, counted from 0",
        fix="give a string, or a list of strings",
    )


WORDS = ServedKind(head="ForTokenClassification", outputs=("logits",), answer=_answer)
