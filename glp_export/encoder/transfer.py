"""Learning from auxiliary tasks: a head of their own on the encoder that is trained.

A model with little data of its own may learn from tasks that have more. Their heads are thrown away
afterwards; what stays is what the encoder learned.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError
from glp_export.encoder.batches import Collator, forward, kind_of, training_rows
from glp_export.encoder.checkpoint import configure
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.regulariser import Regulariser
from glp_export.encoder.train_settings import TrainSettings
from glp_export.encoder.training import finetune, scale_of
from glp_export.encoder.watched_training import Progress
from glp_export.tasks import KINDS, Task

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class AuxiliaryRows:
    """A task that is learned for the sake of another one.

    Attributes:
        task: its kind and its labels are what its head is for.
        examples: encoded by the tokenizer of the model that learns it.
    """

    task: Task
    examples: Dataset


def with_head_for(model: PreTrainedModel, task: Task, seed: int) -> PreTrainedModel:
    """A model for another task on the encoder of `model`: what trains one trains the other.

    The head is new and depends on the seed alone. Of modules that only one of the two has, a
    pooler, each has its own.

    Raises:
        ModelError: the architecture has no such head.
    """
    import transformers
    from transformers import set_seed

    kind, config = KINDS[task.kind], copy.deepcopy(model.config)
    configure(config, task)
    auto_class = getattr(transformers, auto_class_for(kind.auto_class, config))
    set_seed(seed)
    try:
        other = auto_class.from_config(config)
    except ValueError as error:
        raise ModelError(
            f"{config.model_type} has no head for {kind.name}",
            where=f"auxiliary task {task.name}",
            fix="leave that auxiliary task away",
        ) from error
    for name, _ in list(other.base_model.named_children()):
        own = getattr(model.base_model, name, None)
        if own is not None:
            setattr(other.base_model, name, own)
    return other.to(model.device)


def learn_first(
    model: PreTrainedModel,
    auxiliary: AuxiliaryRows,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
) -> None:
    """Train the encoder of `model`, in place, on an auxiliary task."""
    other = with_head_for(model, auxiliary.task, settings.seed)
    finetune(other, auxiliary.examples, tokenizer, settings, progress)


class JointTasks(Regulariser):
    """Auxiliary tasks beside a training: each update has a batch of one of them too, in turns.

    Args:
        model: that is trained; its encoder is shared.
        auxiliary: at least one.
        tokenizer: of the model.
        settings: of the training; the batch size is that of the auxiliary batches too.
        weight: of their loss beside the training's own.
    """

    rate = None  # the training's own

    def __init__(
        self,
        model: PreTrainedModel,
        auxiliary: Sequence[AuxiliaryRows],
        tokenizer: PreTrainedTokenizerBase,
        settings: TrainSettings,
        weight: float,
    ) -> None:
        model.to(settings.device)
        own = {id(parameter) for parameter in model.parameters()}
        self._model, self._weight, self._settings = model, weight, settings
        self._heads = [with_head_for(model, one.task, settings.seed) for one in auxiliary]
        self._scales = [
            scale_of(head, one.examples) for head, one in zip(self._heads, auxiliary, strict=True)
        ]
        for head, scale in zip(self._heads, self._scales, strict=True):
            if scale is not None:
                scale.begin(head)
        self.parameters = [
            parameter
            for head in self._heads
            for parameter in head.parameters()
            if id(parameter) not in own
        ]
        self._start = [parameter.detach().clone() for parameter in self.parameters]
        self._collate = Collator(tokenizer)
        self.examples = [one.examples for one in auxiliary]
        self._rows = [
            training_rows(head, one.examples, tokenizer)
            for head, one in zip(self._heads, auxiliary, strict=True)
        ]
        self._begin()

    def before_step(self, done: int, total: int) -> None:
        """A training that begins anew, at another rate, begins with new heads as well."""
        if done == 0:
            self._begin()

    def penalty(self) -> Tensor | None:
        """The loss of the next batch of the task whose turn it is."""
        number = self._turn % len(self._heads)
        self._turn += 1
        head = self._heads[number].train(self._model.training)
        batch = {name: one.to(head.device) for name, one in next(self._batches[number]).items()}
        loss = kind_of(head).loss
        assert loss is not None, "an auxiliary task has labels to learn"
        scale = self._scales[number]
        weight = self._weight / scale.variance if scale is not None else self._weight
        found: Tensor = weight * loss(forward(head, batch), batch)
        return found

    def after_step(self, done: int, total: int) -> None:
        """The Trainer clears the gradients of its own model alone."""
        for parameter in self.parameters:
            parameter.grad = None

    def _begin(self) -> None:
        import torch

        self._turn = 0
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self._start, strict=True):
                parameter.copy_(value)
        self._batches = [self._endless(rows) for rows in self._rows]

    def _endless(self, rows: Dataset) -> Iterator[dict[str, Any]]:
        """Batches in a random order of the seed, over and over."""
        generator = np.random.default_rng(self._settings.seed)
        size = min(self._settings.batch_size, len(rows))
        while True:
            order = generator.permutation(len(rows))
            for start in range(0, len(order) - size + 1, size):
                yield self._collate([rows[int(row)] for row in order[start : start + size]])


def row_losses(
    model: PreTrainedModel, rows: Dataset, tokenizer: PreTrainedTokenizerBase
) -> NDArray[np.float64]:
    """The loss of each encoded row by itself, (rows,)."""
    import torch

    loss = kind_of(model).loss
    assert loss is not None, "the task has labels to learn"
    collate, shown = Collator(tokenizer), training_rows(model, rows, tokenizer)
    found = np.empty(len(shown))
    model.eval()
    with torch.inference_mode():
        for row in range(len(shown)):
            batch = {name: one.to(model.device) for name, one in collate([shown[row]]).items()}
            found[row] = float(loss(forward(model, batch), batch))
    return found
