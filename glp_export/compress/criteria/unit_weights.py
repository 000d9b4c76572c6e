"""All weights of heads and neurons, for criteria that train them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.criteria.base import Sublayer
from glp_export.compress.criteria.projections import find_projections

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from glp_export.encoder.sublayers import Projection


@dataclass(frozen=True)
class InputWeight:
    """A map that widens hidden states into heads or neurons.

    Attributes:
        module: weight `(blocks × units × rows of a unit, hidden)`.
        blocks: maps that are fused in it one below the other, each with all units.
    """

    module: nn.Linear
    blocks: int

    def by_unit(self, values: Tensor, units: int) -> Tensor:
        """Something with a row for each row of the weight, as `(blocks, units, rows, …)`."""
        return values.reshape(self.blocks, units, -1, *values.shape[1:])


@dataclass(frozen=True)
class UnitWeights:
    """The weights of one sublayer, biases aside: those that all units share stay as they are.

    Attributes:
        sublayer: whose they are.
        units: heads or neurons.
        inputs: with rows for every unit.
        output: with columns for every unit.
    """

    sublayer: Sublayer
    units: int
    inputs: tuple[InputWeight, ...]
    output: nn.Linear

    def columns(self) -> Tensor:
        """The output weight as `(hidden, units, width)`."""
        weight = self.output.weight
        return weight.reshape(len(weight), self.units, -1)

    def squared_norms(self) -> Tensor:
        """Squared norm of all weights of each unit, `(units,)`."""
        total = self.columns().detach().square().sum((0, 2))
        for one in self.inputs:
            weight = one.by_unit(one.module.weight.detach(), self.units)
            total = total + weight.square().sum((0, 2, 3))
        return total

    def multiply(self, factors: Tensor) -> None:
        """Multiply all weights of each unit by its factor `(units,)`, in place."""
        self.columns().data.mul_(factors[None, :, None])
        for one in self.inputs:
            one.by_unit(one.module.weight.data, self.units).mul_(factors[None, :, None, None])


def unit_weights(model: PreTrainedModel) -> tuple[UnitWeights, ...]:
    """The weights of all sublayers that are not emptied, bottom first, attention first.

    Raises:
        ModelError: where the heads and neurons of this model are is not known.
    """
    from glp_export.encoder.sublayers import layers_of, require_sublayers

    row, layers = require_sublayers(model), layers_of(model)
    inputs = {"attention": row.projections, "feed-forward": row.widening}
    return tuple(
        UnitWeights(
            one.sublayer,
            one.units,
            tuple(_inputs(layers[one.sublayer.layer], inputs[one.sublayer.kind])),
            one.module,
        )
        for one in find_projections(model)
    )


def _inputs(layer: nn.Module, projections: Iterable[Projection]) -> Iterable[InputWeight]:
    from torch import nn

    from glp_export.encoder.sublayers import part

    for projection in projections:
        module = part(layer, projection)
        if isinstance(module, nn.Linear):
            yield InputWeight(module, projection.blocks)


def copy_of(model: PreTrainedModel) -> PreTrainedModel:
    """A copy to train: every weight takes a gradient, and has none yet."""
    copied = copy.deepcopy(model)
    for parameter in copied.parameters():
        parameter.grad = None
        parameter.requires_grad_(True)
    return copied


def counts_of(units: Mapping[Sublayer, int]) -> list[tuple[int, int]]:
    """Heads and neurons of each layer, bottom first; 0 for a sublayer that is not named."""
    depth = 1 + max(sublayer.layer for sublayer in units)
    return [
        (units.get(Sublayer(n, "attention"), 0), units.get(Sublayer(n, "feed-forward"), 0))
        for n in range(depth)
    ]
