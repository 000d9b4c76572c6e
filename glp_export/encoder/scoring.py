"""What a PyTorch model answers on a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.training import Collator

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def predict(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int = 64,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Compute the logits of every example, in the order of `examples`.

    Batches hold examples of like length, so little of them is padding.

    Args:
        examples: encoded, see `glp_export.tasks.encode`.

    Returns:
        (examples, labels) float32.
    """
    import torch

    collate = Collator(tokenizer)
    order = np.argsort(np.asarray(examples["length"][:]), kind="stable")
    inputs_only = examples.remove_columns(["labels"])
    model = model.eval().to(device)
    answers: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = inputs_only.select(order[start : start + batch_size])
            batch = {name: tensor.to(device) for name, tensor in collate(list(rows)).items()}
            answers.append(model(**batch).logits.float().cpu().numpy())
    logits = np.concatenate(answers)
    restored = np.empty_like(logits)
    restored[order] = logits
    return restored
