"""Reweighted group lasso on rows and columns inside blocks of matrices (Li et al., 2009.08065).

A dense runtime computes with their zeros as with any numbers: they save storage, and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.criteria.group_lasso import GroupLasso
from glp_export.encoder.blocks import BlockSize, block_matrices, in_blocks, mean_squares

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


SHRUNK = 0.8
"""What a row or column that stays is multiplied by at least in a whole training. In a pretrained
matrix they are nearly alike, so that a few updates which shrink some to zero would shrink all."""


@dataclass(frozen=True)
class _Lines:
    """All rows, or all columns, of the blocks of one matrix, each a group.

    Attributes:
        module: with the weight, which a training may move to another device.
        size: of a block.
        along: the dimension of `in_blocks` that a group lies along: 3 for rows, 2 for columns.
    """

    module: nn.Linear
    size: BlockSize
    along: int

    @property
    def blocks(self) -> Tensor:
        """A view of the weight, `(down, across, rows, columns)`."""
        return in_blocks(self.module.weight.data, self.size)

    def squared_norms(self) -> Tensor:
        """Of each row or column, block by block, over the number of its entries that are left."""
        return mean_squares(self.blocks, self.along).flatten()

    def multiply(self, factors: Tensor) -> None:
        """Multiply each row or column by its factor, in place."""
        self.blocks.mul_(self._by_block(factors).unsqueeze(self.along))

    def left(self, norms: Tensor) -> Tensor:
        """How many are not zero of each block, `(down, across)`."""
        return (self._by_block(norms) > 0).sum(-1)

    def _by_block(self, values: Tensor) -> Tensor:
        down, across, *_ = self.blocks.shape
        return values.view(down, across, -1)


def block_lasso(model: PreTrainedModel, size: BlockSize, keep: float) -> GroupLasso:
    """What shrinks rows and columns of blocks while a model is trained.

    Args:
        model: the one that is trained; its weights are moved in place.
        size: of a block.
        keep: share of the matrices' entries that is left in the end.

    Raises:
        ModelError: the block does not divide the matrices.
    """
    matrices = list(block_matrices(model, size).values())
    lines = [_Lines(one, size, along) for one in matrices for along in (3, 2)]
    entries = sum(one.weight.numel() for one in matrices)

    def share(norms: Sequence[Tensor]) -> float:
        counts = [one.left(norm) for one, norm in zip(lines, norms, strict=True)]
        pairs = zip(counts[::2], counts[1::2], strict=True)
        return sum(int((rows * columns).sum()) for rows, columns in pairs) / entries

    return GroupLasso(lines, share, keep, SHRUNK)
