"""Whether the model that is given is the teacher as it is, or is fine-tuned first."""

from __future__ import annotations

from typing import Literal

from glp_export.core.errors import ModelError, UsageError
from glp_export.tasks import Task, TaskKind

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
