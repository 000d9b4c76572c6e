"""Whether the model that is given is the teacher as it is, or is fine-tuned first; its labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from glp_export.core.errors import DataError, ModelError, UsageError
from glp_export.encoder import predict
from glp_export.tasks import Task, TaskData, TaskKind, encode, labels_of, with_labels

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TeacherChoice = Literal["auto", "as-is", "finetune"]
"""The values of `--teacher`."""


def taken_as_is(
    asked: TeacherChoice, kind: TaskKind, task: Task, own_head: bool, name: str
) -> bool:
    """Whether the model that is given is the teacher and the unpruned baseline unchanged.

    Args:
        asked: `--teacher`.
        kind: of the task.
        task: what the data is.
        own_head: whether the checkpoint's head fits the data's labels.
        name: of the model, for an error.

    Raises:
        ModelError: it shall be taken as it is, and has no head for this task.
        UsageError: it shall be fine-tuned, and there is nothing to learn.
    """
    if kind.loss is None:
        if asked == "finetune":
            raise UsageError(
                f"{task.kind} has no labels to fine-tune on: the model is the teacher as it is",
                where="--teacher finetune",
                fix="leave it away",
            )
        return True
    if asked == "as-is" and not own_head:
        raise ModelError(
            f"the model has no head for this task ({task.kind}, {len(task.labels) or 'no'} labels)",
            where=f"{name}, with --teacher as-is",
            fix="give a model that was fine-tuned for it, or train a head: --teacher finetune",
        )
    return own_head and asked != "finetune"


def with_answers(
    data: TaskData,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    device: str,
) -> TaskData:
    """Texts alone with the labels that their model gives them.

    Raises:
        DataError: it gives all texts to learn from the same one.
    """

    def labelled(rows: Dataset) -> Dataset:
        encoded = encode(rows, data.task, tokenizer, max_length)
        found = labels_of(predict(model, encoded, tokenizer, device=device), data.task)
        return with_labels(rows.remove_columns(["label"]), found, data.task)

    fit, select, test = (labelled(rows) for rows in (data.fit, data.select, data.test))
    if not np.ptp(np.asarray(fit["label"][:]), axis=0).any():
        raise DataError(
            f"The model gives all {len(fit)} texts the same label: there is nothing to imitate.",
            where=data.source,
            fix="give texts of the kind that the model was trained on",
        )
    return replace(data, fit=fit, select=select, test=test)
