"""Whether padding beside a row changes what a model of PyTorch answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.batches import forward, kind_of
from glp_export.tasks import padding
from glp_export.tasks.arrow_columns import numbers

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_known: WeakKeyDictionary[PreTrainedModel, dict[str, bool]] = WeakKeyDictionary()
"""By model and side: weights change in training, what a model reads does not."""


def padding_matters(
    model: PreTrainedModel, rows: Dataset, tokenizer: PreTrainedTokenizerBase
) -> bool:
    """Ask a model, in eval mode, once for each side of padding.

    Args:
        rows: encoded; as long as each other they need no padding.
        tokenizer: that pads.
    """
    import torch

    kind, of_model, side = kind_of(model), _known.setdefault(model, {}), tokenizer.padding_side

    def ask(row: int, length: int) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.bool_]]:
        own = rows[row]
        inputs = {name: own[name] for name in tokenizer.model_input_names if name in own}
        batch = tokenizer.pad(
            [inputs], padding="max_length", max_length=length, return_tensors="pt"
        ).to(model.device)
        with torch.inference_mode(), torch.autocast(model.device.type, enabled=False):
            outputs = forward(model, batch)
        there = batch["attention_mask"][0].cpu().numpy().astype(bool)
        return {name: outputs[name].float().cpu().numpy() for name in kind.outputs}, there

    lengths = numbers(rows, "length")
    if len(np.unique(lengths)) < 2:  # which says nothing of other rows
        return False
    if side not in of_model:
        of_model[side] = padding.padding_matters(ask, lengths, scaled=kind.scaled)
    return of_model[side]
