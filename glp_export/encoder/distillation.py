"""Recovering a pruned model by letting it imitate the unpruned one (Hinton et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.batches import TEACHER, forward, kind_of
from glp_export.encoder.hidden_states import HiddenStates
from glp_export.encoder.regulariser import Regulariser, regulated
from glp_export.encoder.train_settings import TrainSettings
from glp_export.encoder.training import run_trainer, scale_of
from glp_export.encoder.watched_training import Progress, Watch

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.encoder.target_scale import TargetScale


HIGHEST_RATE = 5e-4
"""Learning rate above which no student is hurried: narrow encoders are fine-tuned at it already."""


@dataclass(frozen=True)
class DistillSettings:
    """What the student imitates, and how fast.

    Attributes:
        temperature: both distributions are softened by it; 1 leaves them as they are.
        weight: share of the imitation in the loss, the rest is the task's own loss, if it has one.
        rate: the student's highest learning rate over that of fine-tuning. It starts from layers
            that know the task and has a gap to bridge, which takes longer strides, up to
            `HIGHEST_RATE`.
        warmup_ratio: share of the steps in which the learning rate rises to that.
    """

    temperature: float = 2.0
    weight: float = 0.5
    rate: float = 4.0
    warmup_ratio: float = 0.1


def distill(
    student: PreTrainedModel,
    teacher_logits: NDArray[np.float32],
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    distillation: DistillSettings,
    progress: Progress | None = None,
    watch: Watch | None = None,
    regulariser: Regulariser | None = None,
    hidden_states: HiddenStates | None = None,
) -> PreTrainedModel:
    """Train `student` in place on the teacher's logits and the labels; return it in eval mode.

    The teacher sees every example once, without dropout, so its logits are taken as given
    rather than computed anew in every epoch. The student has no dropout either: what it imitates
    is free of noise, and in the few steps of a recovery noise only slows it down.

    Args:
        teacher_logits: the teacher's answers (examples, …) float32, in the order of `examples`.
        watch: ends the training by dev, at a learning rate of its own; None for `settings`.
        regulariser: moves the training besides.
        hidden_states: of the teacher, that are imitated too.
    """
    faster = replace(
        settings,
        learning_rate=_learning_rate(settings.learning_rate, distillation.rate),
        warmup_ratio=distillation.warmup_ratio,
    )
    answers = np.asarray(teacher_logits, dtype=np.float32)
    scale = scale_of(student, examples, answers)
    distiller = _distiller_class(distillation, hidden_states, scale)
    regulariser = regulariser or Regulariser()
    return run_trainer(
        regulated(distiller, regulariser),
        student,
        examples,
        tokenizer,
        faster,
        progress,
        answers,
        watch,
        scale,
        regulariser.examples,
    )


def _learning_rate(fine_tuning: float, rate: float) -> float:
    """The student's: faster than fine-tuning by `rate`, unless that passes what it may reach."""
    return max(min(fine_tuning * rate, HIGHEST_RATE), min(fine_tuning, fine_tuning * rate))


def _distiller_class(
    distillation: DistillSettings, hidden: HiddenStates | None, scale: TargetScale | None
) -> Any:
    from transformers import Trainer

    class Distiller(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            teacher, kind = inputs.pop(TEACHER), kind_of(model)
            # In eval mode for dropout alone: gradients flow as in training.
            outputs = forward(model.eval(), inputs, output_hidden_states=hidden is not None)
            distance = kind.imitation(outputs, teacher, inputs, distillation.temperature)
            loss = distance
            if kind.loss is not None:
                share = distillation.weight
                loss = share * distance + (1 - share) * kind.loss(outputs, inputs)
            if scale is not None:
                loss = loss / scale.variance
            if hidden is not None:
                loss = loss + hidden.weight * hidden.distance(outputs, inputs)
            return (loss, outputs) if return_outputs else loss

    return Distiller
