"""Answers of one row a token, for kinds that share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.kinds.base import NO_LABEL, Batch, Choices, Outputs
from glp_export.tasks.kinds.learning import soft_cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


def of_tokens(values: NDArray[Any], batch: Batch) -> NDArray[np.float32]:
    """Values (batch, length, width) with zeros for padding, and each row's tokens first.

    A tokenizer that pads on the left puts them last.
    """
    mask = np.asarray(batch["attention_mask"]).astype(bool)
    tokens = np.where(mask[:, :, None], values, 0).astype(np.float32)
    if mask[:, 0].all():
        return tokens
    order = np.argsort(~mask, axis=1, kind="stable")
    return np.take_along_axis(tokens, order[:, :, None], axis=1)


def read_token_logits(outputs: Outputs, batch: Batch) -> NDArray[np.float32]:
    """The logits of every token, (batch, length, labels)."""
    return of_tokens(outputs["logits"], batch)


def token_choices(answers: NDArray[Any], mask: NDArray[Any]) -> Choices:
    """The label of every token that is there."""
    there = np.arange(answers.shape[1]) < mask.sum(axis=1)[:, None]
    return Choices(answers[there], np.nonzero(there)[0])


def imitate_tokens(
    outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float
) -> Tensor:
    """Mean divergence from the teacher's distribution over labels, of the tokens that have one.

    A head is not trained on other tokens, and what it says of them is not read.
    """
    divergences = soft_cross_entropy(outputs.logits, teacher, temperature)
    counts = (batch["labels"] != NO_LABEL).to(divergences.dtype)
    return (divergences * counts).sum() / counts.sum().clamp(min=1)


def labelled_tokens(hidden_states: Tensor, batch: Mapping[str, Any]) -> list[Tensor]:
    """The last hidden states (tokens, width) of the tokens that have a label, row by row."""
    labels = batch["labels"]
    return [hidden_states[row][labels[row] != NO_LABEL] for row in range(len(labels))]


def balanced(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Numbers of units of which no more than half have the most frequent label.

    Most tokens of most texts are no name of anything: taken as they come, a loss over them says
    how well the obvious is known.

    Args:
        labels: (units,).
        most: so many units at most.
    """
    generator = np.random.default_rng(0)
    common = labels == np.bincount(labels).argmax()
    rare = generator.permutation(np.flatnonzero(~common))[: most // 2]
    usual = generator.permutation(np.flatnonzero(common))[: max(len(rare), 1)]
    return np.sort(np.concatenate([rare, usual]))


def ragged(values: Sequence[Any]) -> NDArray[Any]:
    """Lists of any length as an array of objects, which can be indexed like one of numbers."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):  # all at once, lists of one length would be a matrix
        array[row] = value
    return array
