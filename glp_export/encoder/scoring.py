"""What a PyTorch model answers on a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.training import Collator
from glp_export.tasks.cells import numbers

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

    Args:
        examples: encoded, see `glp_export.tasks.encode`.

    Returns:
        (examples, labels) float32.
    """

    def logits(batch: dict[str, Any]) -> Any:
        return model(**batch).logits

    return _in_batches(model, logits, examples, tokenizer, batch_size, device)


def predict_with_features(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int = 64,
    device: str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the logits of every example, and what the encoder knows of it before any head.

    Args:
        examples: encoded, see `glp_export.tasks.encode`.

    Returns:
        Logits (examples, labels) float32, and features (examples, 2 x width) float32: the first
        token of the last hidden states, and their mean.
    """
    import torch

    def both(batch: dict[str, Any]) -> Any:
        output = model(**batch, output_hidden_states=True)
        hidden_states = output.hidden_states[-1]
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden_states.dtype)
        mean = (hidden_states * mask).sum(dim=1) / mask.sum(dim=1)
        return torch.cat([output.logits, hidden_states[:, 0], mean], dim=-1)

    computed = _in_batches(model, both, examples, tokenizer, batch_size, device)
    labels = model.config.num_labels
    return computed[:, :labels], computed[:, labels:]


def _in_batches(
    model: PreTrainedModel,
    compute: Callable[[dict[str, Any]], Any],
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    device: str,
) -> NDArray[np.float32]:
    """Compute a row for every example; batches hold examples of like length, to pad little."""
    import torch

    collate = Collator(tokenizer)
    order = np.argsort(numbers(examples, "length"), kind="stable")
    inputs_only = examples.remove_columns(["labels"])
    model.eval().to(device)
    computed = np.empty((0, 0), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            columns = inputs_only[rows.tolist()]
            examples_of_batch = [
                dict(zip(columns, values, strict=True))
                for values in zip(*columns.values(), strict=True)
            ]
            batch = {name: tensor.to(device) for name, tensor in collate(examples_of_batch).items()}
            answers = compute(batch).float().cpu().numpy()
            if start == 0:  # their width is known now; a list of all would take twice as much
                computed = np.empty((len(order), *answers.shape[1:]), dtype=np.float32)
            computed[rows] = answers
    return computed
