"""Encoded rows as a model takes them: the columns of its kind of task, in padded batches."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError
from glp_export.encoder.target_scale import exact_answers
from glp_export.tasks import KINDS, TaskKind, kind_of_config
from glp_export.tasks.encoding import quiet_datasets
from glp_export.tasks.kinds import NO_LABEL

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEACHER = "teacher_answers"
"""The teacher's answers in a collated batch."""

_ROW = "teacher_row"


def kind_of(model: PreTrainedModel) -> TaskKind:
    """The kind of task that a model is for, as its head and its configuration tell.

    Raises:
        ModelError: it has no head that is known here.
    """
    kind = kind_of_config(model.config, type(model).__name__)
    if kind is None:
        raise ModelError(
            f"{type(model).__name__} has no head that is known here",
            fix=f"load it for one of {', '.join(KINDS)}",
        )
    return kind


def forward(model: Any, batch: Mapping[str, Any], **more: Any) -> Any:
    """What a model gives for a batch, of which it is shown what it takes, in float32."""
    from accelerate.utils import convert_to_fp32

    taken = inspect.signature(model.forward).parameters
    shown = {name: values for name, values in batch.items() if name in taken}
    with exact_answers(model):
        return convert_to_fp32(model(**shown, **more))


class Collator:
    """Pads a batch of encoded examples to its longest; other columns become tensors as they are.

    Args:
        tokenizer: it knows the padding token and its side.
        predictions: of a teacher to all examples, of which the batch's rows (column `_ROW`)
            are taken.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, predictions: NDArray[np.float32] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.predictions = predictions

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Turn examples into tensors of shape (batch, longest) and (batch,)."""
        import torch

        inputs = set(self.tokenizer.model_input_names)
        batch = self.tokenizer.pad(
            [{k: v for k, v in example.items() if k in inputs} for example in examples],
            return_tensors="pt",
        )
        for column in examples[0].keys() - inputs - {"length", _ROW}:
            values = [example[column] for example in examples]
            if _one_a_token(values, examples):
                values = [self._padded(value, batch["input_ids"].shape[1]) for value in values]
            batch[column] = torch.tensor(values)
        if self.predictions is not None:
            predictions = self.predictions[[example[_ROW] for example in examples]]
            batch[TEACHER] = torch.from_numpy(self._cut(predictions, examples, batch))
        return dict(batch)

    def _padded(self, values: list[int], length: int) -> list[int]:
        filling = [NO_LABEL] * (length - len(values))
        return [*filling, *values] if self._left else [*values, *filling]

    def _cut(
        self, predictions: NDArray[np.float32], examples: list[dict[str, Any]], batch: Any
    ) -> NDArray[np.float32]:
        """Answers of every token stand where the batch has the token."""
        if predictions.ndim == 2:
            return predictions
        length = batch["input_ids"].shape[1]
        cut = np.zeros((len(predictions), length, *predictions.shape[2:]), dtype=np.float32)
        for row, example in enumerate(examples):
            own = len(example["input_ids"])
            start = length - own if self._left else 0
            cut[row, start : start + own] = predictions[row, :own]
        return cut

    @property
    def _left(self) -> bool:
        return self.tokenizer.padding_side == "left"


def _one_a_token(values: list[Any], examples: list[dict[str, Any]]) -> bool:
    """Whether a column has a value for every token of each row."""
    return all(
        isinstance(value, list) and len(value) == len(example["input_ids"])
        for value, example in zip(values, examples, strict=True)
    )


def training_rows(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    numbered: bool = False,
) -> Dataset:
    """What a training needs of encoded rows: the model's inputs, its targets, their length.

    Args:
        numbered: with the number of each, by which a teacher's answer to it is found.
    """
    wanted = (*tokenizer.model_input_names, *kind_of(model).targets, "length")
    rows = examples.select_columns([name for name in examples.column_names if name in wanted])
    if not numbered:
        return rows
    with quiet_datasets():
        return rows.add_column(_ROW, np.arange(len(rows)))
