"""The shape of an encoder: what each layer has, without weights."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_LAYERS = 1000
MAX_UNITS = 10**6
MAX_VOCABULARY = 10**8
MAX_BLOCK = 1024
"""Rows or columns of a block of a matrix, so that a small file is no huge matrix."""

_Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]
_Size = Annotated[int, Field(ge=1, le=MAX_UNITS)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerShape(_Record):
    """The sizes of one layer.

    Attributes:
        heads: attention heads; 0 where the attention sublayer is gone.
        head_size: width of one head.
        neurons: width of the feed-forward sublayer; 0 where it is gone.
    """

    heads: _Units
    head_size: _Size
    neurons: _Units


class ModelShape(_Record):
    """The sizes of an encoder, bottom layer first.

    Attributes:
        layers: one entry a layer.
        vocabulary: rows of the word embedding.
        hidden_size: width of the token states between layers.
    """

    layers: Annotated[tuple[LayerShape, ...], Field(max_length=MAX_LAYERS)]
    vocabulary: Annotated[int, Field(ge=1, le=MAX_VOCABULARY)]
    hidden_size: _Size

    @property
    def depth(self) -> int:
        """How many layers there are; one without attention or feed-forward counts."""
        return len(self.layers)

    @property
    def heads(self) -> int:
        """Attention heads of all layers together."""
        return sum(layer.heads for layer in self.layers)

    @property
    def neurons(self) -> int:
        """Feed-forward neurons of all layers together."""
        return sum(layer.neurons for layer in self.layers)

    def whole_layers_of(self, base: ModelShape) -> bool:
        """Whether this is `base` without some whole layers, or `base` itself."""
        if (self.vocabulary, self.hidden_size) != (base.vocabulary, base.hidden_size):
            return False
        below = iter(base.layers)
        return all(layer in below for layer in self.layers)

    def label(self, base: ModelShape | None = None) -> str:
        """A few words for people, never an identity: "6 layers".

        Where more differs from `base` than whole layers, the shares of its heads, neurons and
        vocabulary that are left: "12 layers, 61 % of heads, 40 % of neurons". Without a base,
        layers that differ are counted out.
        """
        parts = [_count(self.depth, "layer")]
        if base is not None:
            alike = self.model_copy(update={"vocabulary": base.vocabulary})
            narrow = (self.heads, self.neurons) != (base.heads, base.neurons)
            if narrow and not alike.whole_layers_of(base):
                parts.append(f"{_percent(self.heads, base.heads)} of heads")
                parts.append(f"{_percent(self.neurons, base.neurons)} of neurons")
            if self.vocabulary != base.vocabulary:
                parts.append(f"{_percent(self.vocabulary, base.vocabulary)} of the vocabulary")
        elif len(set(self.layers)) > 1:
            parts += [_count(self.heads, "head"), _count(self.neurons, "neuron")]
        return ", ".join(parts)


class KeptLayer(_Record):
    """What stays of one layer, by its numbers in the model that is pruned, ascending.

    Attributes:
        heads: numbers of the heads that stay; none: the attention sublayer goes.
        neurons: numbers of the neurons that stay; none: the feed-forward sublayer goes.
    """

    heads: Annotated[tuple[_Units, ...], Field(max_length=MAX_UNITS)]
    neurons: Annotated[tuple[_Units, ...], Field(max_length=MAX_UNITS)]

    @field_validator("heads", "neurons")
    @classmethod
    def _ascending(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in pairwise(numbers)):
            raise ValueError("the numbers must ascend, each once")
        return numbers


class Kept(_Record):
    """The heads and neurons that stay, layer by layer, bottom first.

    With the dense checkpoint it is all that is needed to build the compact module again.
    """

    layers: Annotated[tuple[KeptLayer, ...], Field(max_length=MAX_LAYERS)]

    @classmethod
    def everything(cls, shape: ModelShape) -> Kept:
        """All heads and neurons of a shape."""
        return cls.of((range(layer.heads), range(layer.neurons)) for layer in shape.layers)

    @classmethod
    def of(cls, layers: Iterable[tuple[Iterable[int], Iterable[int]]]) -> Kept:
        """From heads and neurons a layer, in any order."""
        return cls(
            layers=tuple(
                KeptLayer(heads=tuple(sorted(heads)), neurons=tuple(sorted(neurons)))
                for heads, neurons in layers
            )
        )

    def fits(self, base: ModelShape) -> bool:
        """Whether `base` has all that is kept, in as many layers."""
        return len(self.layers) == base.depth and all(
            max(kept.heads, default=-1) < layer.heads
            and max(kept.neurons, default=-1) < layer.neurons
            for kept, layer in zip(self.layers, base.layers, strict=True)
        )

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape that `base` has when this is kept."""
        layers = tuple(
            layer.model_copy(update={"heads": len(kept.heads), "neurons": len(kept.neurons)})
            for kept, layer in zip(self.layers, base.layers, strict=True)
        )
        return base.model_copy(update={"layers": layers})

    def then(self, later: Kept) -> Kept:
        """What is kept of the first model when the compact one is pruned again by `later`."""
        return Kept.of(
            (
                (first.heads[head] for head in second.heads),
                (first.neurons[neuron] for neuron in second.neurons),
            )
            for first, second in zip(self.layers, later.layers, strict=True)
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
