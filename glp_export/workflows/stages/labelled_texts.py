"""Texts without labels become training rows: with the labels that the unpruned model gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.encoder import predict
from glp_export.tasks import blank_labels, encode, labels_of, with_labels
from glp_export.workflows.context import RunContext

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


def encoded(context: RunContext, rows: Dataset) -> Dataset:
    """Rows of the run's task as the unpruned model reads them."""
    return encode(rows, context.data.task, context.tokenizer, context.config.data.max_length)


def blank(context: RunContext, texts: Dataset) -> Dataset:
    """Texts as rows of the run's task, with labels that stand for none."""
    task = context.data.task
    return with_labels(texts, blank_labels(texts, task), task)


def labelled_by(context: RunContext, model: PreTrainedModel, texts: Dataset) -> Dataset:
    """Texts as rows of the run's task with a model's labels; blank where no training reads any."""
    rows = blank(context, texts)
    if context.execution.kind.blank:
        return rows
    tokenizer, device = context.tokenizer, context.execution.device
    found = predict(model, encoded(context, rows), tokenizer, device=device)
    return with_labels(texts, labels_of(found, context.data.task), context.data.task)


def with_unlabeled(context: RunContext, rows: Dataset, unpruned: PreTrainedModel) -> Dataset:
    """Rows of the run, and after them its unlabelled texts; not encoded."""
    from datasets import concatenate_datasets

    if context.unlabeled is None:
        return rows
    return concatenate_datasets([rows, labelled_by(context, unpruned, context.unlabeled)])
