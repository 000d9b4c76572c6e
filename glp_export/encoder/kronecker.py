"""Kronecker factors in place of the matrices of an encoder (KroneckerBERT, arXiv 2109.06243).

The linear layers of the layer stack and the word embeddings are replaced; position embeddings,
norms, pooler and head stay dense. Sizes of factors are ratios, so that a preset fits any width
that they divide.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from glp_export.core.errors import ModelError
from glp_export.core.factors import Factors, Preset
from glp_export.encoder.layer_stack import find_layer_stack
from glp_export.encoder.sublayers import WIDTHS

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    Size = tuple[int, int]

_READ_WEIGHTS = frozenset({"t5", "mt5", "umt5"})
"""Families that look at the weight of a linear layer when they run."""


def factorize(model: PreTrainedModel, preset: Preset, *, fit: bool = True) -> PreTrainedModel:
    """The model with Kronecker factors in its layers and word embeddings; `model` stays as it is.

    Args:
        preset: sizes of the factors.
        fit: as near to the dense weights as they can be; else random, for weights loaded later.

    Raises:
        ModelError: factors that do not divide a matrix (all sizes are checked before the first is
            computed), a layer with other linear layers than attention and feed-forward ones, a
            language-model head that shares the embeddings, or a family that cannot have factors.
    """
    from glp_export.encoder.kronecker_parts import KroneckerEmbedding, KroneckerLinear

    divisions = list(_divisions(model, preset))
    _check_embedding(model, preset)
    factored = copy.deepcopy(model)
    for name, inner, terms in divisions:
        linear = factored.get_submodule(name)
        make = KroneckerLinear.of if fit else KroneckerLinear.like
        _replace(factored, name, make(linear, inner, terms))
    if preset.embedding is not None:
        words = factored.get_input_embeddings()
        embed = KroneckerEmbedding.of if fit else KroneckerEmbedding.like
        factored.set_input_embeddings(embed(words, preset.embedding))
    return factored


def multiply_out(model: PreTrainedModel) -> PreTrainedModel:
    """The dense model in the stock architecture; `model` stays as it is."""
    from glp_export.encoder.kronecker_parts import KroneckerEmbedding, KroneckerLinear

    dense = copy.deepcopy(model)
    for name, module in list(dense.named_modules()):
        if isinstance(module, KroneckerLinear | KroneckerEmbedding):
            _replace(dense, name, module.to_dense())
    return dense


def count_parameters(model: nn.Module) -> int:
    """Numbers in the weights of a model, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_after(model: PreTrainedModel, preset: Preset) -> int:
    """What `count_parameters` will say of `factorize(model, preset)`, without computing it.

    Raises:
        ModelError: as `factorize`.
    """
    count = count_parameters(model)
    for name, (rows, columns), terms in _divisions(model, preset):
        weight = model.get_submodule(name).weight
        count += terms * (rows * columns + weight.numel() // (rows * columns)) - weight.numel()
    _check_embedding(model, preset)
    if preset.embedding is None:
        return count
    words = model.get_input_embeddings().weight
    return count + words.numel() // preset.embedding + preset.embedding - words.numel()


def _divisions(model: PreTrainedModel, preset: Preset) -> Iterator[tuple[str, Size, int]]:
    """Name, size of B and number of terms of each linear layer that gets factors."""
    from torch import nn

    if model.config.model_type in _READ_WEIGHTS:
        raise ModelError(
            f"{model.config.model_type} reads the weights of its linear layers, which Kronecker "
            "factors do not have",
            fix="use an encoder of the BERT family",
        )
    path = find_layer_stack(model).path
    width = model.config.hidden_size
    wide = {getattr(model.config, name, None) for name in WIDTHS} - {None}
    for name, module in model.get_submodule(path).named_modules(prefix=path):
        if not isinstance(module, nn.Linear):
            continue
        sizes = {module.in_features, module.out_features}
        if sizes == {width}:
            factors = preset.attention
        elif width in sizes and sizes - {width} <= wide:
            factors = preset.feed_forward
        else:
            raise ModelError(
                f"{name} of {module.out_features}×{module.in_features} is neither an attention "
                f"projection of {width}×{width} nor a feed-forward layer",
                fix="use an encoder of the BERT family with all of its heads and neurons",
            )
        try:
            inner = _inner_size(factors, module.out_features, module.in_features)
        except ModelError as error:
            raise ModelError(error.what, where=name, fix=error.fix) from None
        yield name, inner, factors.terms


def _inner_size(factors: Factors, rows: int, columns: int) -> Size:
    """Rows and columns of B for a weight of `(rows, columns)`.

    Raises:
        ModelError: the fixed factor does not divide the weight, or more terms than there can be.
    """
    from glp_export.encoder.kronecker_parts import check_terms, outer_size

    fixed = factors.small[::-1] if rows > columns else factors.small
    rest = outer_size((rows, columns), fixed)
    check_terms((rows, columns), fixed, factors.terms)
    return fixed if factors.inner else rest


def _check_embedding(model: PreTrainedModel, preset: Preset) -> None:
    from torch import nn

    from glp_export.encoder.kronecker_parts import outer_size

    if preset.embedding is None:
        return
    words, head = model.get_input_embeddings(), model.get_output_embeddings()
    if not isinstance(words, nn.Embedding):
        raise ModelError(
            f"the word embeddings are a {type(words).__name__}, not a plain table",
            fix="give the dense model",
        )
    if head is not None and head.weight is words.weight:
        raise ModelError(
            f"{type(model).__name__} predicts words with its embeddings, which would be gone",
            fix="load the encoder without that head (AutoModel), or with the head of the task",
        )
    outer_size(tuple(words.weight.shape), (1, preset.embedding))


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
