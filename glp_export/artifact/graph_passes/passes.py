"""Forms of a float graph that compute the same numbers, as ONNX Runtime runs them best in int8.

All have operators of the ONNX standard only. ONNX Runtime's fused operators are left out on
purpose: SkipLayerNormalization takes several times as long on a CPU as the sum and the
LayerNormalization that it stands for, QAttention and MultiHeadAttention are no faster than their
parts, and BiasGelu is slower than Gelu after a product that adds the bias itself
(benchmarks/int8_recipe.py measures it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from glp_export.artifact.graph_passes.absorption import absorb_projections
from glp_export.artifact.graph_passes.constant_shapes import Shapes, fix_shapes, infer_shapes
from glp_export.artifact.graph_passes.first_token import Needs, first_token_only
from glp_export.artifact.graph_passes.graph import GraphView, replace_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

logger = logging.getLogger(__name__)


def as_exported(model: ModelProto) -> None:
    """The graph as it is."""
    replace_nodes(model, model.graph.node)


def lean(model: ModelProto) -> None:
    """Constant shapes, and residual sums that no LayerNormalization is fused with."""
    fix_shapes(model, infer_shapes(model))
    _keep_sums(model)


def first_token(model: ModelProto) -> None:
    """`lean`, and the last layer only for the token that the head reads, if it reads only one.

    Its attention has one query, which needs no keys and values of the others.
    """
    shapes, cut = _last_layer_cut(model)
    if cut:
        absorb_projections(model, shapes, cut)
    else:
        read = "the head does not read the first token alone"
        why = read if shapes else "the graph's shapes cannot be told"
        logger.info("%s: every layer is computed whole", why)
    _keep_sums(model)


def _last_layer_cut(model: ModelProto) -> tuple[Shapes, Needs]:
    """Fix shapes and compute the last layer for what is read of it; shapes before that, the cut."""
    shapes = infer_shapes(model)
    fix_shapes(model, shapes)
    if not shapes:
        return shapes, {}
    shapes = infer_shapes(model)
    return shapes, first_token_only(model, shapes)


def reads_first_token(model: ModelProto) -> bool:
    """Whether the head reads the first token alone, so that the last layer needs no other."""
    copied = type(model)()
    copied.CopyFrom(model)
    return bool(_last_layer_cut(copied)[1])


PASSES: dict[str, Callable[[ModelProto], None]] = {
    "plain": as_exported,
    "lean": lean,
    "first-token": first_token,
}
"""What changes a graph, in place, by the name of the form that it then has."""


def _keep_sums(model: ModelProto) -> None:
    """Write the sums in front of LayerNormalizations as Sum, which no fusion looks for.

    Where all products are integers, ONNX Runtime does not see that it could fuse them; where layers
    stay in float it does, and batches of one are 2 % slower for it.
    """
    view = GraphView(model)
    for node in view.nodes:
        if node.op_type != "Add" or any(view.dimensions(name) is not None for name in node.input):
            continue
        if any(n.op_type == "LayerNormalization" for n in view.consumers[node.output[0]]):
            node.op_type = "Sum"
