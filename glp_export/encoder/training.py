"""Training an encoder on a task, on top of transformers' Trainer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.scratch import scratch_directory
from glp_export.encoder.batches import Collator, forward, kind_of, training_rows
from glp_export.encoder.regulariser import Regulariser, regulated
from glp_export.encoder.schedule import Looks, Schedule
from glp_export.encoder.target_scale import TargetScale
from glp_export.encoder.transformers_compat import training_arguments
from glp_export.tasks.arrow_columns import numbers
from glp_export.tasks.kinds.learning import own_loss

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""

REPORTS = 50
"""Times that a training is reported of, where trackers are told."""


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; the defaults are the paper's (section 4).

    Attributes:
        epochs: passes over the training examples.
        learning_rate: of AdamW, at its highest, decaying linearly to zero.
        batch_size: examples a step.
        warmup_ratio: share of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        seed: of data order and dropout.
        device: `cpu` or `cuda`.
        report_to: trackers that Trainer reports to, by its names; nothing depends on them.
        run_name: what trackers call the training.
    """

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    seed: int = 41
    device: str = "cpu"
    report_to: tuple[str, ...] = ()
    run_name: str | None = None

    def facts(self) -> dict[str, Any]:
        """Everything that the trained weights depend on."""
        told = ("report_to", "run_name")
        return {name: value for name, value in asdict(self).items() if name not in told}


@dataclass(frozen=True)
class Watch:
    """A training that is looked at on dev: how long it lasts, and what it is judged by.

    Attributes:
        schedule: how long, and which learning rates are tried.
        dev: encoded rows that are not trained on.
        score: of a model on dev, the higher the better: the weights with the best one are kept.
        teacher_answers: the teacher's on dev, where it is imitated.
        learned: whether a model answers better than chance on dev; None where that cannot be told.
    """

    schedule: Schedule
    dev: Dataset
    score: Callable[[PreTrainedModel], float]
    teacher_answers: NDArray[np.float32] | None = None
    learned: Callable[[PreTrainedModel], bool] | None = None


def finetune(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
    watch: Watch | None = None,
    regulariser: Regulariser | None = None,
) -> PreTrainedModel:
    """Train `model` in place on the labels of `examples` (encoded) and return it, in eval mode.

    Of a kind of task whose labels teach nothing the model comes back as it is.

    Args:
        watch: ends the training by dev; None for the epochs of `settings`.
        regulariser: moves the training besides.
    """
    loss = kind_of(model).loss
    if loss is None:
        return model.eval()
    scale = scale_of(model, examples)
    trainer = _loss_trainer(loss, scale)
    trainer = trainer if regulariser is None else regulated(trainer, regulariser)
    return run_trainer(
        trainer, model, examples, tokenizer, settings, progress, watch=watch, scale=scale
    )


def scale_of(
    model: PreTrainedModel, examples: Dataset, predictions: NDArray[np.float32] | None = None
) -> TargetScale | None:
    """The scale of what a regression is trained on; None for other kinds of task.

    Args:
        predictions: a teacher's, that are imitated; else labels are learned.
    """
    if not kind_of(model).scaled:
        return None
    return TargetScale.of(numbers(examples, "labels") if predictions is None else predictions)


def run_trainer(
    trainer_class: type[Trainer],
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
    predictions: NDArray[np.float32] | None = None,
    watch: Watch | None = None,
    scale: TargetScale | None = None,
) -> PreTrainedModel:
    """Train with a Trainer or a subclass of it, batches grouped by length and padded alone.

    Nothing is kept on disk. The same seed on the same machine gives the same weights.

    Args:
        predictions: of a teacher to every example; they come with the batch as `batches.TEACHER`.
        watch: ends the training by dev; None for the epochs of `settings`.
        scale: of a regression's targets.
    """
    if scale is not None:
        scale.begin(model)
        trainer_class = scale.trainer(trainer_class)
    rows = training_rows(model, examples, tokenizer, numbered=predictions is not None)

    def train(settings: TrainSettings, callbacks: list[Any], updates: int = -1) -> Any:
        from transformers import PrinterCallback, set_seed

        set_seed(settings.seed)
        with scratch_directory("glp-trainer-") as scratch:
            trainer = _grouped_by_length(trainer_class)(
                model=model,
                args=_training_arguments(settings, scratch, updates),
                train_dataset=rows,
                data_collator=Collator(tokenizer, predictions),
                callbacks=callbacks,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return trainer

    if watch is None:
        train(settings, [_report_to(progress)] if progress else [])
    else:
        _train_watched(model, tokenizer, settings, progress, watch, train)
    return model.eval()


def _train_watched(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None,
    watch: Watch,
    train: Callable[..., Any],
) -> None:
    """Train by the schedule; once more, longer, from the same start, what that leaves at chance.

    The weights with the better score on dev are kept, the longer training's of equals.
    """
    start, done = _weights(model), watch.schedule.most
    score = _train_by_schedule(model, tokenizer, settings, progress, watch, train)
    if watch.learned is None or watch.learned(model):
        return
    longer = replace(watch, schedule=watch.schedule.again())
    logger.warning(
        "no better than chance on dev after %d updates: trained once more, for %d",
        watch.schedule.updates,
        longer.schedule.updates,
    )
    first = _weights(model)
    model.load_state_dict(start)
    further = progress and (lambda step, most: progress(done + step, done + most))
    if _train_by_schedule(model, tokenizer, settings, further, longer, train) < score:
        model.load_state_dict(first)


def _train_by_schedule(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None,
    watch: Watch,
    train: Callable[..., Any],
) -> float:
    """Find the learning rate, train at most as long as the schedule says, keep the best weights.

    Returns:
        Their score on dev.
    """
    schedule, start = watch.schedule, _weights(model)
    settings = replace(settings, warmup_ratio=schedule.warmup)
    done, losses = 0, {}
    for rate in schedule.rates if len(schedule.rates) > 1 else ():
        own = replace(settings, learning_rate=rate, report_to=())
        tried = train(own, _reporting(progress, schedule, done), schedule.tried)
        losses[rate] = _dev_loss(tried, model, tokenizer, watch)
        model.load_state_dict(start)
        done += schedule.tried
    finite = {rate: loss for rate, loss in losses.items() if np.isfinite(loss)}
    rate = min(finite, key=lambda one: finite[one]) if finite else settings.learning_rate
    best = _Best(model, watch, schedule)
    best.look_first()
    train(
        replace(settings, learning_rate=rate),
        [*_reporting(progress, schedule, done), best.callback()],
        schedule.updates,
    )
    if best.weights is not None:
        model.load_state_dict(best.weights)
    logger.info(
        "learning rate %g (loss on dev after %d updates: %s); dev by %d updates: %s",
        rate,
        schedule.tried,
        ", ".join(f"{one:g} {loss:.3f}" for one, loss in losses.items()) or "none tried",
        schedule.every,
        ", ".join(f"{score:.3f}" for score in best.scores),
    )
    return best.score


class _Best:
    """Looks at dev while a model is trained, and keeps the weights that were best there."""

    def __init__(self, model: PreTrainedModel, watch: Watch, schedule: Schedule) -> None:
        self.weights: dict[str, Any] | None = None
        self.scores: list[float] = []
        self._model, self._watch, self._schedule = model, watch, schedule
        self._looks = Looks(schedule)
        self._start = -np.inf

    def look_first(self) -> None:
        """Score the model before its training, which may have nothing to add.

        Of a model that was narrowed with weights in closed form few rows bring it no nearer to its
        teacher. An untrained head is at chance, and costs a look.
        """
        self._start = self._watch.score(self._model)
        self.weights = _weights(self._model)

    @property
    def score(self) -> float:
        """Of the weights that are kept."""
        return max(self._start, *self.scores)

    def callback(self) -> Any:
        from transformers import TrainerCallback

        best = self

        class Look(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                last = state.global_step == state.max_steps
                if state.global_step % best._schedule.every == 0 or last:
                    control.should_training_stop |= best.look()

        return Look()

    def look(self) -> bool:
        """Score the model as it is now; whether its training may end."""
        self.scores.append(self._watch.score(self._model))
        if self._looks.add(self.scores[-1]) and self.scores[-1] >= self._start:
            self.weights = _weights(self._model)
        return self._looks.ends


def _weights(model: PreTrainedModel) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _dev_loss(
    trainer: Any, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch
) -> float:
    """The loss that is trained for, on dev: the mean over batches."""
    import torch

    teacher = watch.teacher_answers
    rows = training_rows(model, watch.dev, tokenizer, numbered=teacher is not None)
    collate, size = Collator(tokenizer, teacher), kind_of(model).batch_size
    losses, model = [], model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = collate([rows[row] for row in range(start, min(start + size, len(rows)))])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            losses.append(float(trainer.compute_loss(model, batch)))
    return float(np.mean(losses))


def _reporting(progress: Progress | None, schedule: Schedule, done: int) -> list[Any]:
    if progress is None:
        return []
    return [_report_to(lambda step, _: progress(done + step, schedule.most))]


def _grouped_by_length(trainer_class: Any) -> Any:
    """A Trainer whose batches hold examples of like length, as its `group_by_length` makes them.

    That looks every length up in the table anew, which takes the longer the more rows there are.
    """
    from transformers.trainer_pt_utils import LengthGroupedSampler

    class Grouped(trainer_class):
        def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
            lengths = numbers(self.train_dataset, "length").tolist()
            return LengthGroupedSampler(self.args.train_batch_size, lengths=lengths)

    return Grouped


def _loss_trainer(
    loss_of: Callable[[Any, Mapping[str, Any]], Any], scale: TargetScale | None
) -> Any:
    from transformers import Trainer

    if loss_of is own_loss and scale is None:
        return Trainer

    class LossTrainer(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            outputs = forward(model, inputs)
            loss = loss_of(outputs, inputs)
            loss = loss if scale is None else loss / scale.variance
            return (loss, outputs) if return_outputs else loss

    return LossTrainer


def _training_arguments(settings: TrainSettings, scratch: Path, updates: int = -1) -> Any:
    return training_arguments(
        max_steps=updates,
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        save_strategy="no",
        logging_strategy="steps" if settings.report_to else "no",
        logging_steps=1 / REPORTS,
        report_to=[*settings.report_to],
        run_name=settings.run_name,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=settings.device != "cpu",
    )


def _report_to(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step, state.max_steps)

    return Report()
