"""The scale of the numbers that a regression is trained on.

A new head answers numbers near 0, and an update moves its weights by the learning rate: labels from
0 to 5 are many updates away, labels from 0 to 100 out of reach. So a regression is trained as if
its targets had mean 0 and deviation 1. Nothing of that is seen in the model: the loss is divided by
their variance, the head's last layer, whose weights are as large as the deviation, learns faster by
it, and a new head's bias begins at their mean. With Adam, whose updates do not depend on the loss's
scale (Kingma and Ba 2015, section 2), the weights are those of a training on standardised targets
whose head is scaled back in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder.regulariser import with_own_rate

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class TargetScale:
    """Mean and deviation of a regression's targets."""

    mean: float
    deviation: float

    @property
    def variance(self) -> float:
        """What the loss is divided by."""
        return self.deviation**2

    @classmethod
    def of(cls, targets: NDArray[Any]) -> TargetScale:
        """Of numbers, `(rows,)` or `(rows, 1)`; those that are all alike have deviation 1."""
        numbers = np.asarray(targets, dtype=np.float64)
        return cls(float(numbers.mean()), float(numbers.std()) or 1.0)

    def begin(self, model: PreTrainedModel) -> None:
        """Let a new head begin at the mean, with weights of the targets' scale.

        A head whose bias is not 0 was trained before and stays as it is.
        """
        import torch

        head = last_layer(model)
        if head is None or head.bias is None or head.bias.any():
            return
        with torch.no_grad():
            head.bias.fill_(self.mean)
            head.weight.mul_(self.deviation)

    def trainer(self, trainer_class: Any) -> Any:
        """A Trainer whose head learns faster, or slower, by the deviation."""
        deviation = self.deviation

        class Scaled(trainer_class):
            def create_optimizer(self, *args: Any) -> Any:
                optimizer, head = super().create_optimizer(*args), last_layer(self.model)
                rate = optimizer.defaults["lr"] * deviation
                return with_own_rate(optimizer, head.parameters() if head else (), rate)

            def training_step(self, model: Any, *args: Any, **kwargs: Any) -> Any:
                loss, head = super().training_step(model, *args, **kwargs), last_layer(self.model)
                for parameter in head.parameters() if head else ():
                    if parameter.grad is not None:
                        # As for standardised targets: Trainer clips all gradients by one norm.
                        parameter.grad.mul_(deviation)
                return loss

        return Scaled


@contextmanager
def exact_answers(model: PreTrainedModel) -> Iterator[None]:
    """Where a model's answers are in float32 under autocast too, if the head's last layer is told.

    Of the numbers near 2000 bf16 has every eighth.
    """
    import torch

    device = model.device.type
    head = last_layer(model) if torch.is_autocast_enabled(device) else None
    if head is None:
        yield
        return

    def exact(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], _: Any) -> Any:
        states = [*given, *named.values()][0]
        with torch.autocast(device, enabled=False):
            return layer.forward(states.float())

    hook = head.register_forward_hook(exact, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def last_layer(model: PreTrainedModel) -> nn.Linear | None:
    """The linear layer of the head that the answers come from; None where it cannot be told."""
    from torch import nn

    inner = {id(module) for module in model.base_model.modules()}
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and id(module) not in inner
    ]
    last = layers[-1] if layers else None
    return last if last is not None and last.out_features == model.config.num_labels else None
