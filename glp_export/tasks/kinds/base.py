"""What a kind of task has to know; everything else in the package is the same for all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one split as they stand in the user's data.

    Attributes:
        values: one per row; a column of a large data set makes them as they are asked for.
        names: names of the ids 0, 1, … where the data set declares them, else None.
        column: the column's name.
        source: file or split that it was read from.
    """

    values: Sequence[Any]
    names: tuple[str, ...] | None
    column: str
    source: str

    def place(self, row: int) -> str:
        """Where row `row`, counted from 0, stands; people count rows from 1."""
        return f"{self.source}, row {row + 1}, column '{self.column}'"


class LabelReader(Protocol):
    """Turns a column of labels into what a model is trained on. Made from the training labels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids; empty where there are none."""

    def targets(self, column: LabelColumn) -> NDArray[Any]:
        """One id or number a row.

        Raises:
            DataError: a label that is missing, no label at all, or unknown; it names the row.
        """


@dataclass(frozen=True)
class TaskKind:
    """One kind of task. A new kind is one file that makes this record, and a row in ``KINDS``.

    Attributes:
        name: key in ``KINDS``.
        auto_class: class of `transformers` that loads the model with its head.
        export_task: the exporter's name for the task.
        ort_class: class of `optimum.onnxruntime` that loads the exported file.
        problem_type: what the model's configuration calls it; picks the loss.
        default_metric: key of ``METRICS``.
        label_dtype: type of the normalised ``label`` column.
        recognises: whether a column of training labels looks like this kind.
        reader: makes the label reader from the training labels and the labels that the task is
            known to have, in the order of their ids.
        strata: ``(rows,)`` group numbers that a sample keeps the proportions of, from the targets.
        encode: one batch of normalised columns to model inputs, ``labels`` and ``length``.
        predictions: logits ``(rows, num_labels)`` to ``(rows,)`` ids or numbers.
        refit: fits a linear head to features ``(rows, width)`` and their targets, and gives its
            loss ``(rows,) float32`` on each of other features and theirs.
    """

    name: str
    auto_class: str
    export_task: str
    ort_class: str
    problem_type: str
    default_metric: str
    label_dtype: str
    recognises: Callable[[LabelColumn], bool]
    reader: Callable[[LabelColumn, Sequence[str]], LabelReader]
    strata: Callable[[NDArray[Any]], NDArray[np.int64]]
    encode: Callable[[Mapping[str, Any], PreTrainedTokenizerBase, int], dict[str, Any]]
    predictions: Callable[[NDArray[Any]], NDArray[Any]]
    refit: Callable[[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[np.float32]]


def standardise(
    seen: NDArray[Any], new: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale features to mean 0 and deviation 1 over the rows that are fitted."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(seen)
    return scaler.transform(seen), scaler.transform(new)


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: JSON's null, a NaN, or nothing between two separators."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def encode_text(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Tokenise ``text``[, ``text_pair``]: truncated, not padded, with the ``length`` in tokens.

    Of a pair the longer text is cut first.
    """
    encoding = tokenizer(
        batch["text"], batch.get("text_pair"), truncation=True, max_length=max_length, padding=False
    )
    return {**encoding, "length": [len(ids) for ids in encoding["input_ids"]]}
