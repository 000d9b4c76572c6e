"""The auxiliary tasks that a run uses, ready for each place that uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from glp_export.encoder import RATES, AuxiliaryRows, JointTasks, TrainSettings
from glp_export.encoder.recovery import Joint
from glp_export.encoder.schedule import WARMUP
from glp_export.tasks import AuxiliaryData, encode

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.workflows.context import RunContext

PASSES = 2
"""Over the rows of an auxiliary task that is learned first."""


def kept_tasks(context: RunContext) -> tuple[AuxiliaryData, ...]:
    """The tasks that the run uses."""
    record = context.transfer
    if record is None or not record.uses:
        return ()
    kept = {task.checksum for task in record.kept}
    return tuple(one for one in context.auxiliary if one.checksum in kept)


def transfer_facts(context: RunContext) -> dict[str, Any]:
    """What of auxiliary tasks a training depends on; nothing where none is used."""
    kept = kept_tasks(context)
    if not kept or context.transfer is None:
        return {}
    record = context.transfer
    tasks = [one.checksum for one in kept]
    return {"transfer": {"uses": record.uses, "weight": record.weight, "tasks": tasks}}


def encoded_auxiliary(
    context: RunContext, one: AuxiliaryData, tokenizer: PreTrainedTokenizerBase
) -> AuxiliaryRows:
    """An auxiliary task as a tokenizer cuts it."""
    rows = encode(one.rows, one.task, tokenizer, context.config.data.max_length)
    return AuxiliaryRows(one.task, rows)


def joint_of(context: RunContext, use: str, tokenizer: PreTrainedTokenizerBase) -> Joint | None:
    """Puts the auxiliary tasks beside a training; None where they are not used so.

    Args:
        context: of the run.
        use: `joint` for the unpruned model, `recovery` for pruned ones.
        tokenizer: of the model that is trained.
    """
    kept = kept_tasks(context)
    if not kept or context.transfer is None or use not in context.transfer.uses:
        return None
    rows = [encoded_auxiliary(context, one, tokenizer) for one in kept]
    weight, settings = context.transfer.weight, context.final

    def joint(model: PreTrainedModel) -> JointTasks:
        return JointTasks(model, rows, tokenizer, settings, weight)

    return joint


def settings_before(context: RunContext) -> TrainSettings:
    """How an auxiliary task is learned first, and the task itself in cross-validation.

    The rate is the middle one of those that the task's own training tries on dev.
    """
    given = context.config.training.learning_rate
    rate = given or RATES[1] * context.final.learning_rate
    return replace(context.final, epochs=PASSES, learning_rate=rate, warmup_ratio=WARMUP)


def texts_for(context: RunContext, count: int) -> Dataset | None:
    """So many texts of the auxiliary tasks at most, in the text columns of the run's own task.

    Words of a text are joined; of a task with two texts only one that has two as well can give
    any. None where nothing is wanted or there.
    """
    from datasets import concatenate_datasets

    record, pair = context.transfer, len(context.data.task.text_columns) == 2
    if record is None or "structure" not in record.uses or count < 1:
        return None
    wanted = ["text", "text_pair"] if pair else ["text"]
    parts = [
        one.rows.select_columns(wanted)
        for one in kept_tasks(context)
        if set(wanted) <= set(one.rows.column_names)
    ]
    if not parts:
        return None
    rows = concatenate_datasets([_plain(part) for part in parts])
    drawn = np.random.default_rng(context.config.training.seed).permutation(len(rows))[:count]
    return rows.select(np.sort(drawn))


def _plain(rows: Dataset) -> Dataset:
    from datasets import Dataset

    def joined(cell: Any) -> str:
        return cell if isinstance(cell, str) else " ".join(cell)

    return Dataset.from_dict(
        {name: [joined(cell) for cell in rows[name][:]] for name in rows.column_names}
    )
