"""Recovering a pruned model by letting it imitate the unpruned one (Hinton et al. 2015)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.training import Progress, TrainSettings, run_trainer
from glp_export.tasks.encoding import quiet_datasets

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


HIGHEST_RATE = 5e-4
"""Learning rate above which no student is hurried: narrow encoders are fine-tuned at it already."""


@dataclass(frozen=True)
class DistillSettings:
    """What the student imitates, and how fast.

    Attributes:
        temperature: both distributions are softened by it; 1 leaves them as they are.
        weight: share of the imitation in the loss, the rest is the task's own loss.
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
) -> PreTrainedModel:
    """Train `student` in place on the teacher's logits and the labels; return it in eval mode.

    The teacher sees every example once, without dropout, so its logits are taken as given
    rather than computed anew in every epoch. The student has no dropout either: what it imitates
    is free of noise, and in the few steps of a recovery noise only slows it down.

    Args:
        teacher_logits: (examples, labels) float32, in the order of `examples`.
    """
    with quiet_datasets():
        # A name of its own, for which `datasets` would else copy and hash all the numbers.
        name = uuid.uuid4().hex
        with_logits = examples.add_column(
            "teacher_logits", _column(teacher_logits), new_fingerprint=name
        )
    faster = replace(
        settings,
        learning_rate=_learning_rate(settings.learning_rate, distillation.rate),
        warmup_ratio=distillation.warmup_ratio,
    )
    return run_trainer(
        _distiller_class(distillation), student, with_logits, tokenizer, faster, progress
    )


def _column(logits: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """The rows of a matrix as a column of lists, which shares the matrix's memory."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(logits.reshape(-1)), logits.shape[1])


def _learning_rate(fine_tuning: float, rate: float) -> float:
    """The student's: faster than fine-tuning by `rate`, unless that passes what it may reach."""
    return max(min(fine_tuning * rate, HIGHEST_RATE), min(fine_tuning, fine_tuning * rate))


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback–Leibler divergence of softened distributions, times temperature² (Hinton, sec. 2).

    Args:
        student: logits (batch, labels).
        teacher: logits (batch, labels).
        temperature: the softening.

    Returns:
        (batch,).
    """
    import torch.nn.functional as functional

    divergences = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        log_target=True,
        reduction="none",
    )
    return divergences.sum(dim=-1) * temperature**2


def squared_error(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Squared difference (batch,), for scores that are no distribution; takes no temperature."""
    return ((student - teacher) ** 2).mean(dim=-1)


IMITATION_LOSSES: dict[str | None, Callable[[Any, Any, float], Any]] = {
    "single_label_classification": soft_cross_entropy,
    "regression": squared_error,
}
"""The loss of each example between logits, for each of transformers' problem types."""


def _distiller_class(distillation: DistillSettings) -> Any:
    from transformers import Trainer

    class Distiller(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            teacher_logits = inputs.pop("teacher_logits")
            outputs = model.eval()(**inputs)  # of dropout alone: gradients flow as in training
            imitation_loss = IMITATION_LOSSES[model.config.problem_type]
            distances = imitation_loss(outputs.logits, teacher_logits, distillation.temperature)
            share = distillation.weight
            loss = share * distances.mean() + (1 - share) * outputs.loss
            return (loss, outputs) if return_outputs else loss

    return Distiller
