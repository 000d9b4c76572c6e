"""PDP: soft masks that follow from the weights alone (Cho et al., arXiv 2305.11203).

A weight is multiplied by sigmoid((w² − t²) / τ), where t is set so that the wanted share stays, and
the share falls as training goes on. Here a group's squared norm stands for w²: a group is what a
head or neuron gives to the output of its sublayer. No parameter is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import (
    Criterion,
    Ranking,
    Trained,
    Training,
    curve_of_scores,
)
from glp_export.compress.criteria.magnitude import squared_norms
from glp_export.compress.criteria.steering import progress
from glp_export.compress.criteria.unit_weights import (
    UnitWeights,
    copy_of,
    counts_of,
    unit_weights,
)
from glp_export.encoder.regulariser import Regulariser

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.05
"""τ over the mean squared norm of a sublayer's groups; 1e-4 in the paper, where w² is 2e-3."""

_STEPS = 128
"""Shares of the units that are tried for the wanted time."""


def train(training: Training) -> Trained:
    """Train under soft masks whose thresholds rise; the masks are part of the weights in the end.

    Every sublayer keeps the same share of its units, that at which the time is the wanted one.
    """
    import torch
    from torch.nn.utils import parametrize

    model = copy_of(training.model)
    found = unit_weights(model)
    share = _share_of_units(training, found)
    regulariser = _Masks(found, share)
    training.teach(model, regulariser)
    regulariser.raise_to(share)
    with torch.no_grad():
        kept = {
            one.sublayer: int((mask.of(_unmasked(one.output)) > 0.5).sum())
            for one, mask in zip(found, regulariser.masks, strict=True)
        }
    for one in found:
        parametrize.remove_parametrizations(one.output, "weight")
    curves = (
        curve_of_scores(one.sublayer, squared_norms(one.output.weight, one.units).tolist())
        for one in found
    )
    return Trained(model.eval(), Ranking(tuple(curves)), training.share(counts_of(kept)))


class _Masks(Regulariser):
    """The masks of all sublayers."""

    def __init__(self, found: Sequence[UnitWeights], share: float) -> None:
        from torch.nn.utils import parametrize

        self._share = share
        self.masks = [_mask_of(one) for one in found]
        self._outputs = [one.output for one in found]
        for output, mask in zip(self._outputs, self.masks, strict=True):
            parametrize.register_parametrization(output, "weight", mask)

    def before_step(self, done: int, total: int) -> None:
        self.raise_to(1 - (1 - self._share) * progress(done, total))

    def raise_to(self, share: float) -> None:
        """Set every threshold so that this share of the units is above it."""
        import torch

        with torch.no_grad():
            for output, mask in zip(self._outputs, self.masks, strict=True):
                mask.set_share(_unmasked(output), share)


def _unmasked(output: Any) -> Tensor:
    """The weight below its mask."""
    return output.parametrizations.weight.original


def _mask_of(one: UnitWeights) -> Any:
    import torch
    from torch import nn

    class Mask(nn.Module):
        """Multiplies each unit's columns of a weight by its mask."""

        def __init__(self) -> None:
            super().__init__()
            self.threshold = -torch.inf

        def relative(self, weight: Tensor) -> Tensor:
            norms = weight.reshape(len(weight), one.units, -1).square().sum((0, 2))
            return norms / norms.mean().detach()

        def of(self, weight: Tensor) -> Tensor:
            """The masks `(units,)`."""
            return torch.sigmoid((self.relative(weight) - self.threshold) / TEMPERATURE)

        def set_share(self, weight: Tensor, share: float) -> None:
            """Put the threshold halfway between the last that stays and the first that goes."""
            norms = self.relative(weight).sort(descending=True).values.tolist()
            kept = max(1, round(share * one.units))
            whole = kept >= one.units
            self.threshold = -torch.inf if whole else (norms[kept - 1] + norms[kept]) / 2

        def forward(self, weight: Tensor) -> Tensor:
            columns = weight.reshape(len(weight), one.units, -1)
            return (columns * self.of(weight)[None, :, None]).reshape(weight.shape)

    return Mask()


def _share_of_units(training: Training, found: Sequence[UnitWeights]) -> float:
    """The largest share of the units of every sublayer that takes the wanted time at most."""
    for step in range(_STEPS, 0, -1):
        kept = {one.sublayer: max(1, round(one.units * step / _STEPS)) for one in found}
        if training.share(counts_of(kept)) <= training.wanted:
            return step / _STEPS
    return 1 / _STEPS


CRITERION = Criterion(
    "pdp", "trains under soft masks by the norm of each unit, no parameter added", train=train
)
