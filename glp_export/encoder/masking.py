"""Models at full size that compute with some of their heads and neurons, or with parts of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from glp_export.core.shape import Kept
from glp_export.encoder.sublayers import (
    check_kept,
    layer_shape,
    layers_of,
    require_sublayers,
    shape_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

Masks = Sequence[tuple["Tensor | None", "Tensor | None"]]
"""Factors for the heads `(heads,)` and neurons `(neurons,)` of each layer; None leaves them be."""


@contextmanager
def masked(model: PreTrainedModel, kept: Kept) -> Iterator[None]:
    """Let a model compute as if it had only the kept heads and neurons, at its full size.

    Raises:
        ModelError: where the heads and neurons of this model are is not known.
        UsageError: it has not what is to be kept.
    """
    check_kept(model, kept)
    masks = [
        (_mask(model, keep.heads, shape.heads), _mask(model, keep.neurons, shape.neurons))
        for keep, shape in zip(kept.layers, shape_of(model).layers, strict=True)
    ]
    with scaled(model, masks):
        yield


@contextmanager
def scaled(model: PreTrainedModel, masks: Masks) -> Iterator[None]:
    """Let a model multiply what each head and neuron gives by a factor; gradients reach it.

    Args:
        model: dense or compact.
        masks: factors, layer by layer.

    Raises:
        ModelError: where the heads and neurons of this model are is not known.
    """
    from glp_export.encoder.emptied import ConstantOutput

    row = require_sublayers(model)
    hooks = []
    try:
        for layer, (heads, neurons) in zip(layers_of(model), masks, strict=True):
            size = layer_shape(layer, row).head_size
            for path, factors, width in (
                (row.attention_output, heads, size),
                (row.feed_forward_output, neurons, 1),
            ):
                output = layer.get_submodule(path)
                if factors is not None and not isinstance(output, ConstantOutput):
                    hook = partial(_multiply, factors=factors, width=width)
                    hooks.append(output.register_forward_pre_hook(hook))
        yield
    finally:
        for handle in hooks:
            handle.remove()


def _multiply(module: nn.Module, inputs: tuple[Tensor], *, factors: Tensor, width: int) -> Tensor:
    return inputs[0] * factors.repeat_interleave(width)


def _mask(model: PreTrainedModel, kept: tuple[int, ...], units: int) -> Tensor:
    import torch

    mask = torch.zeros(units, device=model.device, dtype=model.dtype)
    mask[list(kept)] = 1
    return mask
