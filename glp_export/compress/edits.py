"""Edits: the kinds of change that a plan makes to a model, one record each.

An edit counts layers, heads and neurons of the model that it is applied to: of two edits, the
second one counts what the first one left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from glp_export.core.factors import Factors, Preset
from glp_export.core.records import Record
from glp_export.core.shape import (
    MAX_BLOCK,
    MAX_LAYERS,
    MAX_UNITS,
    MAX_VOCABULARY,
    Kept,
    ModelShape,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Check = Literal["masked-is-cut", "dense-is-compact", "dense-loads", "onnx-parity", "gate-reference"]
ALL_CHECKS: frozenset[Check] = frozenset(
    ("masked-is-cut", "dense-is-compact", "dense-loads", "onnx-parity", "gate-reference")
)
"""What the conformance suite holds an edit to. Masked and cut models agree only where there is
something to mask: whole layers are skipped, heads and neurons are zeroed."""

MAX_TOKENS = 2 * 10**6
"""Tokens that a plan may name; the largest vocabularies have a million."""

_Layer = Annotated[int, Field(ge=0, lt=MAX_LAYERS)]
_Layers = Annotated[tuple[_Layer, ...], Field(max_length=MAX_LAYERS)]
_Side = Annotated[int, Field(ge=1, le=MAX_BLOCK)]
_Unit = Annotated[int, Field(ge=0, lt=MAX_UNITS)]
_Token = Annotated[int, Field(ge=0, lt=MAX_VOCABULARY)]
_Tokens = Annotated[tuple[_Token, ...], Field(min_length=1, max_length=MAX_TOKENS)]
_UnitsByLayer = Annotated[
    tuple[Annotated[tuple[_Unit, ...], Field(max_length=MAX_UNITS)], ...],
    Field(min_length=1, max_length=MAX_LAYERS),
]


class RemoveLayers(Record):
    """Whole layers go, with their norms; those that stay move down.

    Attributes:
        layers: in the order of removal, numbered from 0 at the input.
    """

    kind: Literal["remove-layers"] = "remove-layers"
    layers: _Layers

    checks: ClassVar[frozenset[Check]] = ALL_CHECKS

    @field_validator("layers")
    @classmethod
    def _each_once(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(layers)) != len(layers):
            raise ValueError(f"names a layer twice: {list(layers)}")
        return layers

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape of what is left of a model of shape `base`."""
        gone = set(self.layers)
        left = tuple(layer for number, layer in enumerate(base.layers) if number not in gone)
        return base.model_copy(update={"layers": left})

    def compact(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model without these layers, built anew; `model` stays as it is."""
        from glp_export.encoder.layer_stack import remove_layers

        return remove_layers(model, self.layers)

    dense = compact

    def kept(self, base: ModelShape) -> Kept | None:
        """Nothing inside a layer changes."""
        return None


class WidthEdit(Record):
    """An edit that narrows layers: zeros in the dense model, real cuts in the compact one."""

    checks: ClassVar[frozenset[Check]] = ALL_CHECKS

    def kept(self, base: ModelShape) -> Kept:
        """The heads and neurons that stay of a model of shape `base`."""
        raise NotImplementedError

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape of what is left of a model of shape `base`."""
        return self.kept(base).shape(base)

    def compact(self, model: PreTrainedModel) -> PreTrainedModel:
        """The smaller module; `model` stays as it is."""
        from glp_export.encoder.compaction import compact
        from glp_export.encoder.sublayers import shape_of

        return compact(model, self.kept(shape_of(model)))

    def dense(self, model: PreTrainedModel) -> PreTrainedModel:
        """The same function in the stock architecture, with zeros for what is gone."""
        from glp_export.encoder.compaction import compact, expand
        from glp_export.encoder.sublayers import shape_of

        kept = self.kept(shape_of(model))
        return expand(compact(model, kept), kept)


class RemoveSublayers(WidthEdit):
    """Attention or feed-forward of some layers goes; its output bias, residual and norm stay.

    Attributes:
        attention: layers that lose all their heads.
        feed_forward: layers that lose all their neurons.
    """

    kind: Literal["remove-sublayers"] = "remove-sublayers"
    attention: _Layers = ()
    feed_forward: _Layers = ()

    def kept(self, base: ModelShape) -> Kept:
        """All heads and neurons of the sublayers that stay."""
        return _kept(
            base,
            lambda number, count: range(0 if number in self.attention else count),
            lambda number, count: range(0 if number in self.feed_forward else count),
        )


class PruneHeads(WidthEdit):
    """Heads go.

    Attributes:
        heads: that stay, layer by layer, ascending.
    """

    kind: Literal["prune-heads"] = "prune-heads"
    heads: _UnitsByLayer

    def kept(self, base: ModelShape) -> Kept:
        """These heads and all neurons.

        Raises:
            ValueError: the model has another number of layers.
        """
        _require_depth(self.heads, base)
        return _kept(base, lambda number, _: self.heads[number], lambda _, count: range(count))


class PruneNeurons(WidthEdit):
    """Feed-forward neurons go.

    Attributes:
        neurons: that stay, layer by layer, ascending.
    """

    kind: Literal["prune-neurons"] = "prune-neurons"
    neurons: _UnitsByLayer

    def kept(self, base: ModelShape) -> Kept:
        """All heads and these neurons.

        Raises:
            ValueError: the model has another number of layers.
        """
        _require_depth(self.neurons, base)
        return _kept(base, lambda _, count: range(count), lambda number, _: self.neurons[number])


class TrimVocabulary(Record):
    """Tokens go, with their rows of the embeddings; the tokenizer follows.

    The place of a token among those that stay is its new id. Texts of kept tokens alone give what
    they gave before.

    Attributes:
        tokens: ids that stay, ascending.
    """

    kind: Literal["trim-vocabulary"] = "trim-vocabulary"
    tokens: _Tokens

    checks: ClassVar[frozenset[Check]] = ALL_CHECKS - {"masked-is-cut"}

    @field_validator("tokens")
    @classmethod
    def _ascending(cls, tokens: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in pairwise(tokens)):
            raise ValueError("the tokens must ascend, each once")
        return tokens

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape of a model of shape `base` with these tokens.

        Raises:
            ValueError: it does not have them.
        """
        if self.tokens[-1] >= base.vocabulary:
            raise ValueError(
                f"keeps token {self.tokens[-1]} of a model that has {base.vocabulary} tokens"
            )
        return base.model_copy(update={"vocabulary": len(self.tokens)})

    def compact(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model with the rows of these tokens; `model` stays as it is."""
        from glp_export.encoder.embedding_rows import trim_embeddings

        return trim_embeddings(model, self.tokens)

    dense = compact

    def kept(self, base: ModelShape) -> Kept | None:
        """Nothing inside a layer changes."""
        return None


class KroneckerFactors(Record):
    """Matrices become sums of Kronecker products (KroneckerBERT, arXiv 2109.06243).

    Heads, neurons and tokens stay as many as they were. Nothing comes after it in a plan.

    Attributes:
        attention: factors of query, key, value and output projections.
        feed_forward: of the two feed-forward layers.
        embedding: entries of the row that all tokens share; null: the word embeddings stay dense.
    """

    kind: Literal["kronecker-factors"] = "kronecker-factors"
    attention: Factors
    feed_forward: Factors
    embedding: Annotated[int, Field(ge=1, lt=MAX_UNITS)] | None = None

    checks: ClassVar[frozenset[Check]] = ALL_CHECKS - {"masked-is-cut"}

    @classmethod
    def of(cls, preset: Preset) -> KroneckerFactors:
        """The edit that divides matrices so."""
        return cls(
            attention=preset.attention,
            feed_forward=preset.feed_forward,
            embedding=preset.embedding,
        )

    @property
    def preset(self) -> Preset:
        """The same without its kind."""
        return Preset(self.attention, self.feed_forward, self.embedding)

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape of `base`: all that it counts is left."""
        return base

    def compact(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model of the nearest factors; `model` stays as it is."""
        from glp_export.encoder.kronecker import factorize

        return factorize(model, self.preset)

    def dense(self, model: PreTrainedModel) -> PreTrainedModel:
        """The same function in the stock architecture, multiplied out."""
        from glp_export.encoder.kronecker import multiply_out

        return multiply_out(self.compact(model))

    def kept(self, base: ModelShape) -> Kept | None:
        """Nothing inside a layer goes."""
        return None


class SparsifyBlocks(Record):
    """Rows and columns inside blocks of the layers' matrices become zero (arXiv 2009.08065).

    Heads, neurons and tokens stay as many as they were. It saves storage alone, in the block-sparse
    file; every other file is dense, with zeros.

    Attributes:
        block: rows and columns of a block.
        keep: share of the matrices' entries that stays, at most.
    """

    kind: Literal["sparsify-blocks"] = "sparsify-blocks"
    block: tuple[_Side, _Side]
    keep: Annotated[float, Field(gt=0, le=1)]

    checks: ClassVar[frozenset[Check]] = ALL_CHECKS - {"masked-is-cut"}

    def __str__(self) -> str:
        rows, columns = self.block
        return f"{100 * self.keep:g} % of the entries stay, in blocks of {rows}x{columns}"

    def shape(self, base: ModelShape) -> ModelShape:
        """The shape of `base`: all that it counts is left."""
        return base

    def compact(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model without its weakest rows and columns of blocks; `model` stays as it is."""
        from glp_export.encoder.blocks import sparsify

        return sparsify(model, self.block, self.keep)

    dense = compact

    def kept(self, base: ModelShape) -> Kept | None:
        """Nothing inside a layer goes."""
        return None


Edit = Annotated[
    RemoveLayers
    | RemoveSublayers
    | PruneHeads
    | PruneNeurons
    | TrimVocabulary
    | KroneckerFactors
    | SparsifyBlocks,
    Field(discriminator="kind"),
]
"""Any edit, by its `kind`."""


def width_edits(kept: Kept, base: ModelShape) -> tuple[Edit, ...]:
    """The edits that keep these heads and neurons of a model of shape `base`, as few as can be."""
    shape = kept.shape(base)
    found: list[Edit] = []
    if shape.heads != base.heads:
        found.append(PruneHeads(heads=tuple(layer.heads for layer in kept.layers)))
    if shape.neurons != base.neurons:
        found.append(PruneNeurons(neurons=tuple(layer.neurons for layer in kept.layers)))
    return tuple(found)


def _require_depth(units: Sequence[tuple[int, ...]], base: ModelShape) -> None:
    if len(units) != base.depth:
        raise ValueError(f"the edits are for {len(units)} layers, the model has {base.depth}")


def _kept(
    base: ModelShape,
    heads: Callable[[int, int], Sequence[int]],
    neurons: Callable[[int, int], Sequence[int]],
) -> Kept:
    return Kept.of(
        (heads(number, layer.heads), neurons(number, layer.neurons))
        for number, layer in enumerate(base.layers)
    )
