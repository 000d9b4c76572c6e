"""The block-sparse compressor: zero rows and columns inside blocks, for storage (2009.08065)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import field_validator

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator, Found, UntrainedFollower
from glp_export.compress.edits import SparsifyBlocks
from glp_export.core.errors import ModelError
from glp_export.core.options import Options, option
from glp_export.core.shape import MAX_BLOCK

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LASSO_EPOCHS = 3.0
"""Passes over the training rows in which rows and columns shrink, where nothing is asked for."""


class BlockSparseOptions(Options):
    """Which share of the matrices stays, and in which blocks."""

    panel: ClassVar[str] = "Sparse blocks"

    sparse_keep: float = option(
        0.5, "Share of the entries of the layers' matrices that stays.", gt=0, le=1
    )
    sparse_block: str = option(
        "16x16", "Size of a block, rows x columns; single rows and columns of it are removed."
    )
    lasso_epochs: float = option(
        LASSO_EPOCHS,
        "Passes over the training rows in which a reweighted group lasso shrinks rows and columns "
        "before the weakest are removed; 0 for none.",
        ge=0,
    )

    @field_validator("sparse_block")
    @classmethod
    def _two_sizes(cls, value: str) -> str:
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", value)
        if not found or max(map(int, found.groups())) > MAX_BLOCK:
            raise ValueError(f"should be two sizes up to {MAX_BLOCK}: 16x16")
        return value

    @property
    def edit(self) -> SparsifyBlocks:
        """What these options ask for."""
        rows, columns = map(int, self.sparse_block.split("x"))
        return SparsifyBlocks(block=(rows, columns), keep=self.sparse_keep)


@dataclass(frozen=True)
class BlockSparseCompressor(UntrainedFollower):
    """The row of the block-sparse compressor."""

    name: str = "block-sparse"
    summary: str = "rows and columns inside blocks of the layers' matrices, for storage alone"
    options: type[BaseModel] = BlockSparseOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check that there are matrices.

        Raises:
            ModelError: there are none.
        """
        from glp_export.encoder.blocks import block_matrices

        block_matrices(model, (1, 1))

    def follow(
        self,
        found: Found,
        options: BlockSparseOptions,
        budget: Budget,
        evaluator: CompressionEvaluator,
    ) -> Found:
        """Make the blocks of the layers sparse that another compressor left.

        Raises:
            ModelError: the block does not divide a matrix.
        """
        from glp_export.encoder.blocks import block_matrices

        edit = options.edit
        with evaluator.progress.stage("divide into blocks") as meter:
            try:
                matrices = block_matrices(evaluator.given, edit.block)
            except ModelError as error:
                fix = f"{error.fix}: --sparse-block"
                raise ModelError(error.what, where=error.where, fix=fix) from None
            meter.advance(f"{len(matrices)} matrices, {100 * edit.keep:g} % stays")
        plan = found.plan.model_copy(update={"edits": (*found.plan.edits, edit)})
        return found.followed(plan, self.name, options.model_dump(mode="json", exclude_none=True))


BLOCK_SPARSE = BlockSparseCompressor()
