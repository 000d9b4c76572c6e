"""How every contender is trained in the end: how long, at which rate, what dev is asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.config.sections import TrainingOptions
from glp_export.core import machine
from glp_export.core.errors import ModelError
from glp_export.encoder import RATES, Schedule, TrainSettings, Watch, predict, schedule_for
from glp_export.encoder.bf16 import fails_in_bf16
from glp_export.encoder.schedule import CLASSES_OF_A_NUMBER, LEAST_TO_TELL
from glp_export.precision.devices import gpu_capability, not_in_hardware
from glp_export.tasks import (
    KINDS,
    Task,
    TaskData,
    against_chance,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.own_metric import is_own
from glp_export.tasks.scoring import Bootstrap

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


STANDARD = 0.683
"""Share of a bootstrap that lies within a standard error."""


def schedule_of(
    options: TrainingOptions, model: PreTrainedModel, data: TaskData
) -> Schedule | None:
    """How long contenders are trained where no epochs are given."""
    if options.epochs != "auto":
        return None
    base = learning_rate_for(model.config.hidden_size)
    rates = (options.learning_rate,) if options.learning_rate else tuple(r * base for r in RATES)
    sizes = len(data.fit), len(data.select), options.batch_size
    return schedule_for(*sizes, classes_of(data.task), rates)


def watch_on_dev(
    schedule: Schedule,
    task: Task,
    dev: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    device: str,
    teacher_answers: NDArray[np.float32] | None = None,
) -> Watch:
    """What a final training is looked at with.

    Args:
        dev: encoded.
        teacher_answers: on dev, where they are imitated.
    """
    truth = truth_of(task, dev)

    def answers_of(model: PreTrainedModel) -> NDArray[np.float32]:
        return predict(model, dev, tokenizer, device=device)

    def on_dev(answers: NDArray[np.float32]) -> float:
        finite = bool(np.isfinite(answers).all())
        return score(task, answers, truth) if finite else -math.inf

    def noise(answers: NDArray[np.float32]) -> float:
        if not np.isfinite(answers).all():
            return 0.0
        low, high = score_interval(task, answers, truth, Bootstrap(STANDARD))
        return (high - low) / 2

    def above_chance(answers: NDArray[np.float32]) -> bool:
        return bool(np.isfinite(answers).all()) and against_chance(task, answers, truth).significant

    def learned(answers: NDArray[np.float32]) -> bool:
        if not np.isfinite(answers).all():
            return False
        found = against_chance(task, answers, truth)
        # What a metric of the user's own is at its best is not known.
        little = 0.0 if is_own(task.metric) else schedule.little * (1 - found.chance)
        return found.significant and found.value - found.chance >= little

    # What imitates a teacher that learned little itself would not learn more by it.
    told = len(dev) >= LEAST_TO_TELL and (teacher_answers is None or learned(teacher_answers))
    return Watch(
        schedule,
        dev,
        answers_of,
        on_dev,
        teacher_answers,
        learned=learned if told else None,
        noise=noise,
        above_chance=above_chance,
    )


def classes_of(task: Task) -> int:
    """The classes that a task has, for its schedule; a number counts as some."""
    return CLASSES_OF_A_NUMBER if KINDS[task.kind].scaled else len(task.labels)


def train_settings(
    options: TrainingOptions,
    model: PreTrainedModel,
    device: str,
    schedule: Schedule | None,
    rows: int,
) -> TrainSettings:
    """Of every contender: the updates of the schedule at most, or the epochs that are given."""
    epochs = options.epochs
    if schedule is not None or epochs == "auto":
        epochs = schedule.updates * options.batch_size / rows if schedule else 1.0
    return TrainSettings(
        epochs=epochs,
        learning_rate=options.learning_rate or learning_rate_for(model.config.hidden_size),
        batch_size=options.batch_size,
        seed=options.seed,
        device=device,
        bf16=in_bf16(options.training_precision, model, device),
    )


def in_bf16(precision: str, model: PreTrainedModel, device: str) -> bool:
    """Whether training steps are computed in bf16, as was asked or as device and model allow.

    Raises:
        ModelError: it was asked for, and the model computes nothing in it.
    """
    if precision == "fp32" or (precision == "auto" and not_faster_in_bf16(device)):
        return False
    failure = fails_in_bf16(model)
    if failure and precision == "bf16":
        raise ModelError(
            f"{type(model).__name__} computes nothing in bf16: {failure}",
            where="--training-precision bf16",
            fix="Use fp32, or auto.",
        )
    return failure is None


def not_faster_in_bf16(device: str) -> str | None:
    """Why a training step takes no less time in bf16 on a device of this machine; None if less."""
    return not_in_hardware("bf16", device, machine.cpu_features(), gpu_capability())


def learning_rate_for(hidden_size: int) -> float:
    """The paper's 2e-5 at 768 wide, more for narrower encoders, which it would leave untrained.

    It grows as the square of the width shrinks and stops at 5e-4.
    """
    return float(f"{min(5e-4, 2e-5 * max(1.0, 768 / hidden_size) ** 2):.1g}")
