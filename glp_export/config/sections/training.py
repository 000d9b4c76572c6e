"""How the models of a run are trained."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import PlainValidator

from glp_export.core.options import Names, Options, option

STUDENT, NO_RIVAL = "student", "none"
"""The distilled rival that is made here, and the word for none."""


def _epochs(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not (0 < number < math.inf):
        raise ValueError("should be a number above 0, or auto")
    return number


Epochs = Annotated[float | Literal["auto"], PlainValidator(_epochs)]


class TrainingOptions(Options):
    """How all contenders are trained."""

    panel: ClassVar[str] = "Training"

    teacher: Literal["auto", "as-is", "finetune"] = option(
        "auto",
        "The unpruned model, which is the teacher and the baseline: as-is (the given one, "
        "unchanged), finetune (trained first), or auto: as-is where its head fits the labels.",
    )
    recover: str = option(
        "distill",
        "How a pruned model recovers: distill (from the unpruned model) or finetune (as in the "
        "paper).",
    )
    distilled: str = option(
        "student",
        "The distilled model to compare with: a model, `student` (every other layer of the "
        "unpruned one), or `none`.",
    )
    epochs: Epochs = option(
        "auto",
        "Passes over the data, or auto: the number of updates follows from rows and classes; dev "
        "decides when training ends and, by short trainings at up to three, its learning rate.",
    )
    learning_rate: float | None = option(
        None, "Highest learning rate. Default: from the model's width.", gt=0
    )
    batch_size: int = option(32, "Examples in a training step.", gt=0)
    training_precision: Literal["auto", "fp32", "bf16"] = option(
        "auto",
        "What a training step is computed in: fp32, bf16 (weights and losses stay in fp32), or "
        "auto: bf16 where the device multiplies it in hardware.",
    )
    temperature: float = option(2.0, "Softmax temperature of distillation.", gt=0)
    distill_weight: float = option(
        0.5, "Weight of the teacher's answers in the loss; labels have the rest.", ge=0, le=1
    )
    hidden_weight: float | None = option(
        None,
        "Weight of the teacher's hidden states in distillation. Default: 1 where heads, neurons or "
        "matrices are changed, otherwise 0.",
        ge=0,
    )
    distill_rate: float = option(
        4.0, "Learning rate of distillation, as a multiple of that of fine-tuning.", gt=0
    )
    seed: int = option(41, "Seed of splits, heads, data order and dropout.", ge=0)
    report_to: Names = option(
        ("none",),
        "Trackers that the final trainings report to, by Trainer's names: mlflow, wandb, …, or "
        "none.",
    )

    def weight_of_hidden_states(self, *, changed: bool) -> float:
        """What was asked for, or what suits models that were changed inside their layers or not.

        Beside as many whole layers hidden states teach nothing that the answers do not
        (docs/method/structure.md).
        """
        return float(changed) if self.hidden_weight is None else self.hidden_weight

    @property
    def reporters(self) -> tuple[str, ...]:
        """The trackers that trainings are reported to."""
        return () if self.report_to == ("none",) else self.report_to

    @property
    def named_rival(self) -> str | None:
        """The model that was named as the distilled rival; None where it is made here, or none."""
        return None if self.distilled in (STUDENT, NO_RIVAL) else self.distilled
