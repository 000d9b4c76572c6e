from __future__ import annotations

from typing import Any

from glp_export.compress.edits import SparsifyBlocks
from glp_export.compress.plan import Plan
from glp_export.encoder.sublayers import shape_of
from glp_export.workflows.stages.recovery_start import start_of
from tests.compress.test_structure import make_model


def test_the_training_of_sparse_blocks_leaves_the_unpruned_model_as_it_is() -> None:
    model: Any = make_model("bert")
    base = shape_of(model)
    plan = Plan(
        base_model="some/bert",
        num_layers=base.depth,
        task="rte",
        metric="accuracy",
        compressors=("block-sparse",),
        strategy="block-sparse",
        base_shape=base,
        edits=(SparsifyBlocks(block=(8, 16), keep=0.5),),
    )
    begun = start_of(None, plan, model)  # type: ignore[arg-type]
    assert begun is not model
    theirs = {one.data_ptr() for one in model.parameters()}
    assert theirs.isdisjoint(one.data_ptr() for one in begun.parameters())
