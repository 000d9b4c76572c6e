"""Rows and columns inside blocks of the layers' matrices (Li et al., arXiv 2009.08065).

Each matrix is divided into blocks of one size, and in each block some rows and columns are zero.
What stays of a block is a small dense matrix. The linear layers of the layer stack are meant;
embeddings, norms, biases, pooler and head stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from glp_export.core.errors import ModelError
from glp_export.encoder.layer_stack import find_layer_stack

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

BlockSize = tuple[int, int]
"""Rows and columns of a block."""


def block_matrices(model: PreTrainedModel, size: BlockSize) -> dict[str, nn.Linear]:
    """The linear layers whose weights are divided into blocks, by name, bottom first.

    Raises:
        ModelError: the block does not divide one of them, or there are none.
    """
    from torch import nn

    path = find_layer_stack(model).path
    found = {
        name: module
        for name, module in model.get_submodule(path).named_modules(prefix=path)
        if isinstance(module, nn.Linear)
    }
    for name, module in found.items():
        rows, columns = module.out_features, module.in_features
        if rows % size[0] or columns % size[1]:
            raise ModelError(
                f"blocks of {size[0]}x{size[1]} do not divide {name} of {rows}x{columns}",
                fix="choose a block whose rows and columns divide every matrix of the layers",
            )
    if not found:
        raise ModelError(
            "the layers have no linear layers to divide into blocks",
            fix="use an encoder of the BERT family",
        )
    return found


def in_blocks(weight: Tensor, size: BlockSize) -> Tensor:
    """A view of a weight `(rows, columns)` as `(down, across, rows, columns)` of its blocks."""
    rows, columns = weight.shape
    divided = weight.view(rows // size[0], size[0], columns // size[1], size[1])
    return divided.permute(0, 2, 1, 3)


def mean_squares(blocks: Tensor, along: int) -> Tensor:
    """Of each row (`along` 3) or column (2) of blocks, over those of its entries that are not zero.

    Over all of them a row would seem the weaker the more columns of its block are gone, and blocks
    would go whole.
    """
    squares = blocks.float().square()
    return squares.sum(along) / (squares != 0).sum(along).clamp_min(1)


def sparsify(model: PreTrainedModel, size: BlockSize, keep: float) -> PreTrainedModel:
    """The model with zeros in place of the weakest rows and columns of blocks; `model` stays.

    Rows and columns of all matrices are ranked together, by their mean square over that of their
    matrix. The fewest go that leave no more than the share.

    Args:
        size: of a block.
        keep: share of the matrices' entries that stays, at most.

    Raises:
        ModelError: see `block_matrices`.
    """
    import torch

    block_matrices(model, size)
    sparse = copy.deepcopy(model)
    blocks = [in_blocks(one.weight.data, size) for one in block_matrices(sparse, size).values()]
    scores = [_scores(one) for one in blocks]
    most = keep * sum(one.numel() for one in blocks)
    order = torch.cat([part.flatten() for pair in scores for part in pair]).sort().values
    low, high = 0, len(order)
    while low < high:  # the fewest that are enough
        middle = (low + high) // 2
        left = sum(_left(pair, _bound(order, middle)) for pair in scores)
        low, high = (low, middle) if left <= most else (middle + 1, high)
    bound = _bound(order, low)
    for one, (rows, columns) in zip(blocks, scores, strict=True):
        kept = (rows > bound).unsqueeze(-1) & (columns > bound).unsqueeze(-2)
        one.masked_fill_(~kept, 0.0)  # a product would leave zeros with a sign
    return sparse


@contextmanager
def zeros_held(model: PreTrainedModel, size: BlockSize) -> Iterator[None]:
    """While it lasts, a training of the model leaves zeros of the divided matrices zero.

    Their gradients are zero from the first update on, so that neither momentum nor decay of an
    optimizer moves them.
    """
    handles = []
    for module in block_matrices(model, size).values():
        mask = module.weight.detach() != 0
        hook = module.weight.register_hook(_masked_by(mask))  # type: ignore[no-untyped-call]
        handles.append(hook)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def count_nonzero(matrices: Mapping[str, nn.Linear]) -> tuple[int, int]:
    """Entries of some matrices that are not zero, and all entries."""
    weights = [module.weight.detach() for module in matrices.values()]
    return sum(int(one.count_nonzero()) for one in weights), sum(one.numel() for one in weights)


def _scores(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row and column of the blocks, `(down, across, rows)` and `(…, columns)`."""
    mean = blocks.float().square().mean().clamp_min(1e-30)
    return mean_squares(blocks, 3) / mean, mean_squares(blocks, 2) / mean


def _left(scores: tuple[Tensor, Tensor], bound: float) -> int:
    rows, columns = scores
    return int(((rows > bound).sum(-1) * (columns > bound).sum(-1)).sum())


def _bound(order: Tensor, gone: int) -> float:
    """The score up to which rows and columns go; of none, one that is below all."""
    return float(order[gone - 1]) if gone else -1.0


def _masked_by(mask: Tensor) -> Callable[[Tensor], Tensor]:
    def masked(gradient: Tensor) -> Tensor:
        nonlocal mask
        mask = mask.to(gradient.device)  # moved once: a training may move the model
        return gradient * mask

    return masked
