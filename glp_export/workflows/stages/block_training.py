"""Training a model of sparse blocks: rows and columns shrink, the weakest go, the rest recovers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.compress.compressors.block_sparse import LASSO_EPOCHS
from glp_export.compress.criteria.block_lasso import block_lasso
from glp_export.compress.edits import SparsifyBlocks
from glp_export.compress.plan import Plan
from glp_export.encoder import Recovery, TrainingInputs
from glp_export.encoder.block_sparse_file import BlockSparseRecord, write_block_sparse
from glp_export.encoder.blocks import block_matrices, sparsify, zeros_held
from glp_export.encoder.checkpoint_files import BLOCK_SPARSE

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def train_blocks(
    model: PreTrainedModel,
    blocks: SparsifyBlocks,
    plan: Plan,
    recovery: Recovery,
    inputs: TrainingInputs,
    report: Callable[[int, int], None],
) -> PreTrainedModel:
    """Train with a reweighted group lasso, cut to the share, and recover with the zeros held.

    Args:
        model: where training begins, with dense matrices.
        blocks: of the plan.
        plan: its settings say how long the lasso lasts.
        recovery: a row of `RECOVERIES`; it is what both trainings are.
        inputs: what the model learns from.
        report: told the updates done and those in all.
    """
    epochs = float(plan.settings.get("lasso_epochs", LASSO_EPOCHS))
    if epochs > 0 and blocks.keep < 1:
        shrinking = replace(
            inputs,
            settings=replace(inputs.settings, epochs=epochs),
            watch=None,
            joint=lambda trained: block_lasso(trained, blocks.block, blocks.keep),
        )
        model = recovery.train(model, shrinking, report)
    sparse = sparsify(model, blocks.block, blocks.keep)
    with zeros_held(sparse, blocks.block):
        return recovery.train(sparse, inputs, report)


def write_blocks(
    model: PreTrainedModel, blocks: SparsifyBlocks, checkpoint: Path
) -> BlockSparseRecord:
    """Write the block-sparse file of a checkpoint beside its dense weights."""
    names = {f"{name}.weight" for name in block_matrices(model, blocks.block)}
    dense = sorted(checkpoint.glob("*.safetensors"))
    return write_block_sparse(dense, checkpoint / BLOCK_SPARSE, names, blocks.block)
