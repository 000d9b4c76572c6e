"""Recovering a pruned model by letting it imitate the unpruned one (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.training import Progress, TrainSettings, run_trainer

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class DistillSettings:
    """What the student imitates.

    Attributes:
        temperature: both distributions are softened by it; 1 leaves them as they are.
        weight: share of the imitation in the loss, the rest is the task's own loss.
    """

    temperature: float = 2.0
    weight: float = 0.9


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
    rather than computed anew in every epoch.

    Args:
        teacher_logits: (examples, labels) float32, in the order of `examples`.
    """
    with_logits = examples.add_column("teacher_logits", list(teacher_logits))
    return run_trainer(
        _distiller_class(distillation), student, with_logits, tokenizer, settings, progress
    )


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback–Leibler divergence of softened distributions, times temperature² (Hinton, sec. 2).

    Args:
        student: logits (batch, labels).
        teacher: logits (batch, labels).
        temperature: the softening.
    """
    import torch.nn.functional as functional

    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        log_target=True,
        reduction="batchmean",
    )
    return divergence * temperature**2


def squared_error(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean squared difference, for scores that are no distribution; takes no temperature."""
    import torch.nn.functional as functional

    return functional.mse_loss(student, teacher)


IMITATION_LOSSES: dict[str | None, Callable[[Any, Any, float], Any]] = {
    "single_label_classification": soft_cross_entropy,
    "regression": squared_error,
}
"""The loss between logits for each of transformers' problem types."""


def _distiller_class(distillation: DistillSettings) -> Any:
    from transformers import Trainer

    class Distiller(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            teacher_logits = inputs.pop("teacher_logits")
            outputs = model(**inputs)
            imitation_loss = IMITATION_LOSSES[model.config.problem_type]
            imitation = imitation_loss(outputs.logits, teacher_logits, distillation.temperature)
            share = distillation.weight
            loss = share * imitation + (1 - share) * outputs.loss
            return (loss, outputs) if return_outputs else loss

    return Distiller
