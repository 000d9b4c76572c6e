"""Whether a model answers a row otherwise where padding stands beside it.

Attention leaves padding out by its mask. Convolutions over tokens (ConvBERT) and landmarks of
attention (Nyströmformer) do not, and padding on the left moves the tokens of a model that counts
positions from the first column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.batches import forward, kind_of
from glp_export.tasks.arrow_columns import numbers

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROWS = 2
_PADDING = 8
"""Tokens; a row of as many as fit is enough to see a difference of another kind than rounding."""

_ROUNDING = 1e-5
"""Of the largest answer: ten times what sums in another order differ by."""

_SHARE = 1e-2
"""Of what answers to several texts, or their outputs, differ by: far below what padding changes."""

_known: WeakKeyDictionary[PreTrainedModel, dict[str, bool]] = WeakKeyDictionary()
"""By model and side: weights change in training, what a model reads does not."""


def padding_matters(
    model: PreTrainedModel, rows: Dataset, tokenizer: PreTrainedTokenizerBase
) -> bool:
    """Ask a model, in eval mode, for the shortest rows alone and with padding.

    Args:
        rows: encoded; as long as each other they need no padding.
        tokenizer: that pads.
    """
    lengths = numbers(rows, "length")
    longest = int(lengths.max(initial=0))
    short = [int(row) for row in np.argsort(lengths, kind="stable")[:_ROWS]]
    short = [row for row in short if lengths[row] < longest]
    if not short:
        return False
    of_model = _known.setdefault(model, {})
    side = tokenizer.padding_side
    if side not in of_model:
        pairs = [_pair(model, rows[row], tokenizer, longest) for row in short]
        of_model[side] = _differ(*(np.concatenate(each) for each in zip(*pairs, strict=True)))
    return of_model[side]


def _pair(
    model: PreTrainedModel, row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, longest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All that a model says of a row and its own tokens: alone, and beside padding."""
    own = len(row["input_ids"])
    alone, _ = _answers(model, row, tokenizer, own)
    padded, there = _answers(model, row, tokenizer, min(own + _PADDING, longest))
    # As many labels as tokens are no answers to tokens.
    padded = [
        beside if beside.shape == one.shape else beside[there]
        for beside, one in zip(padded, alone, strict=True)
    ]
    first, second = (np.concatenate([one.ravel() for one in each]) for each in (alone, padded))
    return first, second


def _answers(
    model: PreTrainedModel, row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, length: int
) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """What a model says of one row, padded to a length, and where the row's tokens are."""
    import torch

    names = [name for name in tokenizer.model_input_names if name in row]
    batch = tokenizer.pad(
        [{name: row[name] for name in names}],
        padding="max_length",
        max_length=length,
        return_tensors="pt",
    ).to(model.device)
    with torch.inference_mode(), torch.autocast(model.device.type, enabled=False):
        outputs = forward(model, batch)
    there = batch["attention_mask"][0].cpu().numpy().astype(bool)
    return [outputs[name][0].double().cpu().numpy() for name in kind_of(model).outputs], there


def _differ(alone: NDArray[np.float64], padded: NDArray[np.float64]) -> bool:
    allowed = _ROUNDING * max(1.0, float(np.abs(alone).max())) + _SHARE * float(alone.std())
    close = (alone == padded) | (np.abs(alone - padded) <= allowed)
    return not bool(close.all())
