"""A training that dev watches: its learning rate, its end and the weights that are kept."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.batches import Collator, kind_of, training_rows
from glp_export.encoder.bf16 import autocast
from glp_export.encoder.schedule import LEAST_TO_END, LOOKS_AVERAGED, Looks, Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.encoder.train_settings import TrainSettings

logger = logging.getLogger(__name__)

PARTS = 30
"""Of dev, at least where it has as many rows: what a loss there is worth is told by them."""

_START = "the start"
"""What the weights before a training are called."""

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""


@dataclass(frozen=True)
class Watch:
    """A training that is looked at on dev: how long it lasts, and what it is judged by.

    Attributes:
        schedule: how long, and which learning rates are tried.
        dev: encoded rows that are not trained on.
        answers: a model's to dev, which it is asked for once a look.
        score: of answers, the higher the better: by it weights are kept.
        teacher_answers: the teacher's on dev, where it is imitated.
        learned: whether answers are well above chance; None where that cannot be told.
        noise: of answers, the standard error of their score; None for that of a share of rows.
        above_chance: whether answers are above chance at all: else the weights before a training
            are none to keep. None where they always are.
    """

    schedule: Schedule
    dev: Dataset
    answers: Callable[[PreTrainedModel], Any]
    score: Callable[[Any], float]
    teacher_answers: NDArray[np.float32] | None = None
    learned: Callable[[Any], bool] | None = None
    noise: Callable[[Any], float] | None = None
    above_chance: Callable[[Any], bool] | None = None


def train_watched(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None,
    watch: Watch,
    train: Callable[..., Any],
) -> None:
    """Train by the schedule; once more, longer, from the same start, what learned little by it.

    The weights with the better score on dev are kept, the longer training's of equals.
    """
    training = _Training(model, tokenizer, settings, train)
    start, done = _weights(model), watch.schedule.most
    kept = training.run(watch, progress)
    if watch.learned is None or watch.learned(kept.answers):
        return
    longer = replace(watch, schedule=watch.schedule.again())
    logger.warning(
        "little is learned after %d updates, by dev: trained once more, for %d",
        watch.schedule.updates,
        longer.schedule.updates,
    )
    first = _weights(model)
    model.load_state_dict(start)
    further = progress and (lambda step, most: progress(done + step, done + most))
    if training.run(longer, further).score < kept.score:
        model.load_state_dict(first)


@dataclass(frozen=True)
class _Training:
    """What is trained, and by what; `train` takes settings, callbacks and updates."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: TrainSettings
    train: Callable[..., Any]

    def run(self, watch: Watch, progress: Progress | None) -> _Look:
        """Find the rate, train at most as long as the schedule says, keep the weights of `_Best`.

        Returns:
            What they are on dev.
        """
        schedule, start = watch.schedule, _weights(self.model)
        settings = replace(self.settings, warmup_ratio=schedule.warmup)
        done, losses = 0, {}
        for rate in sorted(schedule.rates, reverse=True) if len(schedule.rates) > 1 else ():
            own = replace(settings, learning_rate=rate, report_to=())
            tried = self.train(own, _reporting(progress, schedule, done), schedule.tried)
            with autocast(settings):
                losses[rate] = _dev_losses(tried, self.model, self.tokenizer, watch)
            self.model.load_state_dict(start)
            done += schedule.tried
            if not _is_as_good(losses[rate], losses.values()):
                break  # a still lower rate would be no better
        found = lowest_of_the_best(losses)
        rate = settings.learning_rate if found is None else schedule.rate_after(found)
        best = _Best(self.model, settings, watch)
        self.train(
            replace(settings, learning_rate=rate),
            [*_reporting(progress, schedule, done), best.callback()],
            schedule.updates,
        )
        kept = best.kept()
        self.model.load_state_dict(kept.weights)
        logger.info(
            "learning rate %g (loss on dev after %d updates: %s); dev by %d updates: %s; kept: %s",
            rate,
            schedule.tried,
            ", ".join(f"{one:g} {loss.mean():.3f}" for one, loss in losses.items()) or "none tried",
            schedule.every,
            ", ".join(f"{score:.3f}" for score in best.scores),
            f"{kept.label}, {kept.score:.3f}",
        )
        return kept


@dataclass(frozen=True)
class _Look:
    """Weights of a model, and what it says to dev with them."""

    label: str
    weights: dict[str, Any]
    answers: Any
    score: float


class _Best:
    """Looks at dev while a model is trained, and says which weights to keep.

    Those are a moving mean of the weights at the looks (as stochastic weight averaging, arXiv
    1803.05407), unless dev tells it from the weights that were best there by a standard error, or
    by two where it is small: the best of several looks at the same few rows seems better than it
    is.

    The first look is before the training, which may have nothing to add: of a model that was
    narrowed with weights in closed form few rows bring it no nearer to its teacher. An untrained
    head is at chance, and stays out of it: on few rows of dev it may seem better by luck.
    """

    def __init__(self, model: PreTrainedModel, settings: TrainSettings, watch: Watch) -> None:
        self.scores: list[float] = []
        self._model, self._settings, self._watch = model, settings, watch
        self._looks, self._mean = Looks(watch.schedule), _MovingMean()
        self._best = self._seen(_START)
        tells = watch.above_chance
        known = tells is None or tells(self._best.answers)
        self._least = self._best.score if known else -math.inf

    def kept(self) -> _Look:
        """What to keep, once the training has ended."""
        if self._best.label == _START or len(self.scores) < 2:
            return self._best
        doubt = self._noise() * (1 if len(self._watch.dev) >= LEAST_TO_END else 2)
        self._model.load_state_dict(self._mean.weights)
        mean = self._seen("the moving mean of the looks")
        # A training that diverged has no number.
        return mean if mean.score >= self._best.score - doubt else self._best

    def callback(self) -> Any:
        from transformers import TrainerCallback

        best = self

        class Look(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                last = state.global_step == state.max_steps
                if state.global_step % best._watch.schedule.every == 0 or last:
                    control.should_training_stop |= best.look()

        return Look()

    def look(self) -> bool:
        """Ask the model as it is now; whether its training may end."""
        seen = self._seen("the best look")
        self.scores.append(seen.score)
        if self._looks.add(seen.score) and seen.score >= self._least:
            self._best = seen
        self._mean.add(seen.weights)
        return self._looks.ends

    def _seen(self, label: str) -> _Look:
        with autocast(self._settings):
            answers = self._watch.answers(self._model)
        return _Look(label, _weights(self._model), answers, self._watch.score(answers))

    def _noise(self) -> float:
        """The standard error on dev of the best look's score."""
        if self._watch.noise is None:
            share = min(1.0, max(0.0, self._best.score))
            return math.sqrt(share * (1 - share) / len(self._watch.dev))
        return self._watch.noise(self._best.answers)


class _MovingMean:
    """A mean of a model's weights over about `LOOKS_AVERAGED` moments; integers are of the last."""

    def __init__(self) -> None:
        self._count = 0
        self.weights: dict[str, Any] = {}

    def add(self, now: Mapping[str, Any]) -> None:
        """Take the weights as they are now."""
        self._count += 1
        if self._count == 1:
            self.weights = {name: value.clone() for name, value in now.items()}
            return
        for name, value in self.weights.items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 / min(self._count, LOOKS_AVERAGED))
            else:
                value.copy_(now[name])


def _weights(model: PreTrainedModel) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def lowest_of_the_best(losses: Mapping[float, NDArray[np.float64]]) -> float | None:
    """The lowest learning rate that dev does not tell from the best by a standard error.

    Args:
        losses: of each rate on the same parts of dev.

    Returns:
        None where no loss is a number.
    """
    good = [rate for rate, loss in losses.items() if _is_as_good(loss, losses.values())]
    return min(good, default=None)


def _is_as_good(loss: NDArray[np.float64], losses: Collection[NDArray[np.float64]]) -> bool:
    """Whether dev does not tell a loss from the best by a standard error; a number it must be."""
    if not np.isfinite(loss).all():
        return False
    behind = loss - min((one for one in losses if np.isfinite(one).all()), key=np.mean)
    noise = behind.std(ddof=1) / math.sqrt(len(behind)) if len(behind) > 1 else 0.0
    return bool(behind.mean() <= noise)


def _dev_losses(
    trainer: Any, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch
) -> NDArray[np.float64]:
    """The loss that is trained for, on parts of dev: means of a few rows each."""
    import torch

    teacher = watch.teacher_answers
    rows = training_rows(model, watch.dev, tokenizer, numbered=teacher is not None)
    collate = Collator(tokenizer, teacher)
    size = min(kind_of(model).batch_size, max(1, len(rows) // PARTS))
    losses, model = [], model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = collate([rows[row] for row in range(start, min(start + size, len(rows)))])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            losses.append(float(trainer.compute_loss(model, batch)))
    return np.array(losses)


def _reporting(progress: Progress | None, schedule: Schedule, done: int) -> list[Any]:
    if progress is None:
        return []
    return [progress_callback(lambda step, _: progress(done + step, schedule.most))]


def progress_callback(progress: Progress) -> Any:
    """A callback of Trainer that reports every step."""
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step, state.max_steps)

    return Report()
