"""Bringing a shallower model back to accuracy: the ways to do it, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.distillation import DistillSettings, distill
from glp_export.encoder.hidden_states import HiddenStates
from glp_export.encoder.regulariser import Regulariser
from glp_export.encoder.train_settings import TrainSettings
from glp_export.encoder.training import finetune
from glp_export.encoder.watched_training import Progress, Watch

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


Joint = Callable[["PreTrainedModel"], Regulariser]
"""Puts auxiliary tasks beside the training of a model."""


@dataclass(frozen=True)
class TrainingInputs:
    """All that a student is trained on.

    Attributes:
        examples: encoded training examples with labels.
        teacher_logits: the unpruned model's answers to them, (examples, …) float32; None
            where labels alone are learned.
        watch: ends a whole training by dev; None for the epochs of `settings`.
        hidden_states: of the teacher, that a student with its layers imitates too.
        joint: what is learned beside it in a whole training; None for nothing.
    """

    examples: Dataset
    tokenizer: PreTrainedTokenizerBase
    teacher_logits: NDArray[np.float32] | None
    settings: TrainSettings
    distillation: DistillSettings
    watch: Watch | None = None
    hidden_states: HiddenStates | None = None
    joint: Joint | None = None

    def part(self, examples: int | None, repeat: int = 0) -> TrainingInputs | None:
        """So many of the examples, once each; all of them for None, None for 0.

        Every part with the same `repeat` begins with the same examples, drawn at
        random by the seed. Where there are fewer than asked for, they are gone through again.
        """
        if examples == 0:
            return None
        settings = replace(self.settings, seed=self.settings.seed + repeat)
        if examples is None:
            return replace(self, settings=settings)
        order = np.random.default_rng(settings.seed).permutation(len(self.examples))
        rows = order[: min(examples, len(order))]
        return replace(
            self,
            examples=self.examples.select(rows),
            teacher_logits=None if self.teacher_logits is None else self.teacher_logits[rows],
            settings=replace(settings, epochs=examples / len(rows)),
            watch=None,
            joint=None,
        )


@dataclass(frozen=True)
class Recovery:
    """A row of the table of recoveries.

    Attributes:
        name: as given to `--recover`.
        summary: one line for people.
        inherits: the student starts from the fine-tuned model's layers, else from the
            pretrained ones.
        train: trains a student in place.
    """

    name: str
    summary: str
    inherits: bool
    train: Callable[[PreTrainedModel, TrainingInputs, Progress | None], PreTrainedModel]


def _imitate(
    student: PreTrainedModel, inputs: TrainingInputs, progress: Progress | None
) -> PreTrainedModel:
    if inputs.teacher_logits is None:
        raise ValueError("imitation needs the teacher's logits")
    return distill(
        student,
        inputs.teacher_logits,
        inputs.examples,
        inputs.tokenizer,
        inputs.settings,
        inputs.distillation,
        progress,
        inputs.watch,
        regulariser=inputs.joint(student) if inputs.joint else None,
        hidden_states=inputs.hidden_states,
    )


def _learn_labels(
    student: PreTrainedModel, inputs: TrainingInputs, progress: Progress | None
) -> PreTrainedModel:
    return finetune(
        student,
        inputs.examples,
        inputs.tokenizer,
        inputs.settings,
        progress,
        inputs.watch and replace(inputs.watch, teacher_answers=None),  # nobody is imitated
        inputs.joint(student) if inputs.joint else None,
    )


RECOVERIES: dict[str, Recovery] = {
    recovery.name: recovery
    for recovery in (
        Recovery("distill", "imitate the fine-tuned unpruned model", True, _imitate),
        Recovery("finetune", "fine-tune on the labels, as in the paper", False, _learn_labels),
    )
}
