"""What a PyTorch model answers on a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.batches import Collator, forward, kind_of
from glp_export.encoder.padding import padding_matters
from glp_export.tasks import TaskKind
from glp_export.tasks.arrow_columns import numbers
from glp_export.tasks.predictions import batch_order, gather

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def predict(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Compute the answers to every example, in the order of `examples`.

    Args:
        examples: encoded, see `glp_export.tasks.encode`.
        batch_size: rows that are answered together; None for the kind's own.

    Returns:
        (examples, width) float32, or (examples, tokens, width) where each token has its answer.
    """
    import torch

    kind, parts, order = kind_of(model), [], []
    with torch.inference_mode():
        size = batch_size or kind.batch_size
        for rows, batch in padded_batches(model, examples, tokenizer, (), size, device):
            parts.append(_answers(kind, forward(model, batch), batch))
            order.append(rows)
    return gather(parts, order)


def predict_with_features(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    device: str = "cpu",
) -> tuple[NDArray[np.float32], Any]:
    """Compute the answers to every example, and what the encoder knows of it before any head.

    Args:
        examples: encoded, see `glp_export.tasks.encode`.

    Returns:
        Answers as of `predict`, and what the kind of task takes from the last hidden states: of
        most (examples, 2 x width) float32, the first token and the mean of all; else a list with
        an array (units, width) for each example.
    """
    import torch

    kind, parts, order = kind_of(model), [], []
    features: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        size = kind.batch_size
        for rows, batch in padded_batches(model, examples, tokenizer, kind.targets, size, device):
            inputs = {name: batch[name] for name in batch if name not in kind.targets}
            outputs = forward(model, inputs, output_hidden_states=True)
            parts.append(_answers(kind, outputs, batch))
            made = kind.features(outputs.hidden_states[-1], batch)
            features += [one.float().cpu().numpy() for one in made]
            order.append(rows)
    positions = np.argsort(np.concatenate(order))
    restored = [features[position] for position in positions]
    return gather(parts, order), np.stack(restored) if restored[0].ndim == 1 else restored


def padded_batches(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    targets: tuple[str, ...],
    batch_size: int,
    device: str,
) -> Iterator[tuple[NDArray[np.int64], dict[str, Any]]]:
    """Batches with their row numbers, of examples of like length, to pad little.

    The longest come first: each batch fits where the one before it was, whereas batches that grow
    leave holes in the heap that no later one fits into.
    """
    collate = Collator(tokenizer)
    wanted = (*tokenizer.model_input_names, *targets)
    shown = examples.select_columns([name for name in examples.column_names if name in wanted])
    model.eval().to(device)
    apart = padding_matters(model, examples, tokenizer)
    for rows in batch_order(numbers(examples, "length"), batch_size, apart=apart):
        columns = shown[rows.tolist()]
        batch = collate(
            [
                dict(zip(columns, values, strict=True))
                for values in zip(*columns.values(), strict=True)
            ]
        )
        yield rows, {name: tensor.to(device) for name, tensor in batch.items()}


def _answers(kind: TaskKind, outputs: Any, batch: dict[str, Any]) -> NDArray[np.float32]:
    arrays = {name: outputs[name].float().cpu().numpy() for name in kind.outputs}
    return kind.read(arrays, {name: tensor.cpu().numpy() for name, tensor in batch.items()})
