"""Training rows as a compressor sees them: padded batches, the loss of the task, their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors.base import Calibrator
from glp_export.encoder.scoring import padded_batches
from glp_export.tasks import drawn
from glp_export.workflows.auxiliary import texts_for
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.labelled_texts import encoded, labelled_by

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
    from datasets import concatenate_datasets

    rows = drawn(context.fit, samples)
    texts = texts_for(context, samples - len(rows))
    if texts is not None:
        rows = concatenate_datasets([rows, encoded(context, labelled_by(context, model, texts))])
    kind = context.execution.kind
    return Calibrator(batches_of(context, model, rows), kind.loss)


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
