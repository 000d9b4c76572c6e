"""What moves a training besides its loss, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn


class Regulariser:
    """What moves a training besides its loss; by itself, nothing.

    Attributes:
        parameters: that have a learning rate and no decay of their own.
        rate: that learning rate, at its highest; None for the training's own.
        examples: encoded rows that it shows the model, besides those of the training.
    """

    parameters: Sequence[nn.Parameter] = ()
    rate: float | None = 0.0
    examples: Sequence[Dataset] = ()

    def before_step(self, done: int, total: int) -> None:
        """Called before each update, with the updates done and those in all."""

    def penalty(self) -> Tensor | None:
        """A scalar that is added to the loss of an update; None for nothing."""
        return None

    def after_step(self, done: int, total: int) -> None:
        """Called after each update, this one counted."""


def regulated(trainer_class: Any, regulariser: Regulariser) -> Any:
    """A Trainer that a regulariser moves too; losses on dev are without its penalty."""
    from transformers import TrainerCallback

    class Regulate(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            regulariser.before_step(state.global_step, state.max_steps)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            regulariser.after_step(state.global_step, state.max_steps)

    class Regulated(trainer_class):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.add_callback(Regulate())

        def create_optimizer(self, *args: Any) -> Any:
            optimizer, rate = super().create_optimizer(*args), regulariser.rate
            rate = optimizer.defaults["lr"] if rate is None else rate
            return with_own_rate(optimizer, regulariser.parameters, rate)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            import torch

            loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
            penalty = regulariser.penalty() if torch.is_grad_enabled() else None
            loss = loss if penalty is None else loss + penalty
            return (loss, outputs) if return_outputs else loss

    return Regulated


def with_own_rate(optimizer: Any, parameters: Iterable[nn.Parameter], rate: float) -> Any:
    """Move parameters to a group without decay, before the optimizer has any schedule.

    Args:
        optimizer: with all of them, or without.
        parameters: none leave it as it is.
        rate: their learning rate at its highest.
    """
    moved = list(parameters)
    own = {id(parameter) for parameter in moved}
    for group in optimizer.param_groups:
        group["params"] = [one for one in group["params"] if id(one) not in own]
    if moved:
        optimizer.add_param_group({"params": moved, "lr": rate, "weight_decay": 0.0})
    return optimizer
