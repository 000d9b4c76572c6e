"""What a PyTorch model answers on a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    order = np.argsort(np.asarray(examples["length"][:]), kind="stable")
    inputs_only = examples.remove_columns(["labels"])
    model.eval().to(device)
    answers: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = inputs_only.select(order[start : start + batch_size])
            batch = {name: tensor.to(device) for name, tensor in collate(list(rows)).items()}
            answers.append(compute(batch).float().cpu().numpy())
    computed = np.concatenate(answers)
    restored = np.empty_like(computed)
    restored[order] = computed
    return restored
