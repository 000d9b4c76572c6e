"""Training rows as a compressor sees them: padded batches, the loss of the task, their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors.base import Calibrator
from glp_export.encoder.scoring import padded_batches, predict
from glp_export.tasks import blank_labels, encode, labels_of, with_labels
from glp_export.workflows.auxiliary import texts_for
from glp_export.workflows.context import RunContext

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

BATCH = 32
"""Rows of a calibration batch."""


def calibrator_of(context: RunContext, model: PreTrainedModel, samples: int) -> Calibrator:
    """Training rows as padded batches, and the loss of the task's labels.

    Where texts of auxiliary tasks calibrate too, they fill up what the task lacks, with the labels
    that the model gives them.
    """
    rows = context.fit.select(range(min(samples, len(context.fit))))
    texts = texts_for(context, samples - len(rows))
    if texts is not None:
        rows = _with_texts(context, model, rows, texts)
    kind = context.execution.kind
    return Calibrator(batches_of(context, model, rows), kind.loss)


def _with_texts(
    context: RunContext, model: PreTrainedModel, rows: Dataset, texts: Dataset
) -> Dataset:
    from datasets import concatenate_datasets

    task = context.data.task
    blank = _encoded(context, texts, blank_labels(texts, task))
    answers = predict(model, blank, context.tokenizer, device=context.execution.device)
    return concatenate_datasets([rows, _encoded(context, texts, labels_of(answers, task))])


def batches_of(
    context: RunContext, model: PreTrainedModel, rows: Dataset, *, size: int = BATCH
) -> list[Any]:
    """Rows as padded batches of like length on the run's device, with their targets."""
    targets, device = context.execution.kind.targets, context.execution.device
    found = padded_batches(model, rows, context.tokenizer, targets, size, device)
    return [batch for _, batch in found]


def tokens_in(rows: Dataset) -> set[int]:
    """All token ids in encoded rows."""
    import pyarrow.compute as compute

    table = rows.with_format("arrow")[:]
    return set(compute.unique(compute.list_flatten(table["input_ids"])).to_pylist())


def encoded_unlabeled(context: RunContext) -> Dataset:
    """The unlabelled texts as the unpruned model reads them; the run has some."""
    assert context.unlabeled is not None
    return _encoded(context, context.unlabeled, blank_labels(context.unlabeled, context.data.task))


def _encoded(context: RunContext, texts: Dataset, labels: Any) -> Dataset:
    """Texts of the run's own task with labels, as the unpruned model reads them."""
    task = context.data.task
    rows = with_labels(texts, labels, task)
    return encode(rows, task, context.tokenizer, context.config.data.max_length)
