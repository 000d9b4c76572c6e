"""What the edits of a plan come to together: shape, units, tokens, factors and blocks."""

from __future__ import annotations

from collections.abc import Sequence

from glp_export.compress.edits import (
    Edit,
    KroneckerFactors,
    RemoveLayers,
    SparsifyBlocks,
    TrimVocabulary,
    WidthEdit,
)
from glp_export.core.factors import Preset
from glp_export.core.shape import Kept, ModelShape


def shape_after(edits: Sequence[Edit], base: ModelShape) -> ModelShape:
    """The shape that a model of shape `base` has after all edits."""
    for edit in edits:
        base = edit.shape(base)
    return base


def kept_after(edits: Sequence[Edit], base: ModelShape) -> Kept | None:
    """The heads and neurons that all edits leave, counted in the dense model; None for all."""
    total: Kept | None = None
    shape = base
    for edit in edits:
        own = edit.kept(shape)
        if isinstance(edit, RemoveLayers) and total is not None:
            raise ValueError("layers are removed before heads and neurons")
        if own is not None:
            if not own.fits(shape):
                raise ValueError("the edits keep heads or neurons that the model does not have")
            total = own if total is None else total.then(own)
        shape = edit.shape(shape)
    return total


def tokens_after(edits: Sequence[Edit]) -> tuple[int, ...] | None:
    """The tokens that all edits leave, by their ids in the unpruned model; None for all."""
    kept: tuple[int, ...] | None = None
    for edit in edits:
        if isinstance(edit, TrimVocabulary):
            kept = edit.tokens if kept is None else tuple(kept[token] for token in edit.tokens)
    return kept


def factors_after(edits: Sequence[Edit]) -> Preset | None:
    """The Kronecker factors that the edits make; None for dense matrices.

    Raises:
        ValueError: an edit after them, or one before them that narrows the matrices.
    """
    places = [place for place, edit in enumerate(edits) if isinstance(edit, KroneckerFactors)]
    if not places:
        return None
    *before, last = edits
    if not isinstance(last, KroneckerFactors) or len(places) > 1:
        raise ValueError("Kronecker factors are made of what all other edits left: they come last")
    if any(isinstance(edit, WidthEdit) for edit in before):
        raise ValueError("a model that lost heads or neurons has no Kronecker factors")
    return last.preset


def blocks_after(edits: Sequence[Edit]) -> SparsifyBlocks | None:
    """The edit that makes blocks sparse; None where none does.

    Raises:
        ValueError: there are two, or another one changes the matrices too.
    """
    found = [edit for edit in edits if isinstance(edit, SparsifyBlocks)]
    if not found:
        return None
    if len(found) > 1 or any(isinstance(one, WidthEdit | KroneckerFactors) for one in edits):
        raise ValueError("sparse blocks are of whole matrices, which nothing else changes")
    if any(isinstance(edit, RemoveLayers) for edit in edits[edits.index(found[0]) :]):
        raise ValueError("layers are removed before blocks are made sparse")
    return found[0]
