"""Shapes that an exported graph computes at every call although they are known beforehand.

Traced graphs ask a tensor for its dimensions, pick some of them and put them together again, for
each reshape of each layer. ONNX's Reshape copies a dimension that is given as 0, so batch and
length need not be asked for; with the rest known, ONNX Runtime folds what was computed from them,
such as the scale of attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from glp_export.artifact.graph_passes.graph import GraphView, attribute, replace_nodes
from glp_export.core.quiet import quiet

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Dimension = int | str
Shapes = Mapping[str, tuple[Dimension, ...]]
"""Dimensions by tensor: numbers, and names of those that differ from call to call."""


def infer_shapes(model: ModelProto) -> Shapes:
    """The shapes of all tensors, dynamic dimensions by name, after ONNX Runtime's own inference.

    Empty where that inference fails, which it does on some rare families.
    """
    return _inferred(_skeleton(model).SerializeToString(deterministic=True))


@lru_cache(maxsize=16)
def _inferred(skeleton: bytes) -> Shapes:
    """Shapes by the graph alone: files of one model that differ in their weights share them.

    Inference takes seconds on a deep model, and a search for what stays in float asks for each
    file it tries.
    """
    import onnx
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    try:
        with quiet():
            inferred = SymbolicShapeInference.infer_shapes(
                onnx.load_model_from_string(skeleton), auto_merge=True
            )
    except Exception:  # asserts and sympy's own, by what it meets
        return MappingProxyType({})
    graph = inferred.graph
    shapes: dict[str, tuple[Dimension, ...]] = {
        value.name: tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output, *graph.value_info)
        if value.type.tensor_type.HasField("shape")
    }
    return MappingProxyType(
        shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    )


def _skeleton(model: ModelProto) -> ModelProto:
    """A copy without the values of the weights, which have no part in shapes and may be large."""
    import onnx

    copy = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = model.graph
    copy.graph.name = graph.name
    for field in ("node", "input", "output"):
        getattr(copy.graph, field).extend(getattr(graph, field))
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            copy.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims
            )
        else:
            copy.graph.initializer.append(tensor)
    return copy


def fix_shapes(model: ModelProto, shapes: Shapes) -> None:
    """Replace computed shapes by constants, in place."""
    view = GraphView(model)
    constants: list[TensorProto] = []
    nodes = []
    for node in view.nodes:
        if node.op_type == "Reshape":
            _fix_reshape(node, shapes, constants)
        value = _asked_for(view, node, shapes)
        if value is None:
            nodes.append(node)
        else:
            constants.append(_int64(node.output[0], *value))
    model.graph.initializer.extend(constants)
    replace_nodes(model, nodes)


def _fix_reshape(node: NodeProto, shapes: Shapes, constants: list[TensorProto]) -> None:
    """Give a Reshape its shape as a constant, if all but one dimension are known or copied."""
    before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
    if before is None or after is None or attribute(node, "allowzero", 0) or 0 in after:
        return
    target = [
        dimension if isinstance(dimension, int) else 0 if before[i : i + 1] == (dimension,) else -1
        for i, dimension in enumerate(after)
    ]
    if target.count(-1) > 1:
        return
    name = f"{node.output[0]}_shape"
    constants.append(_int64(name, (len(target),), target))
    node.input[1] = name


def _asked_for(
    view: GraphView, node: NodeProto, shapes: Shapes
) -> tuple[tuple[int, ...], list[int]] | None:
    """Shape and values of dimensions that a node picks out of a shape, if all are numbers."""
    if node.op_type not in ("Gather", "Slice") or node.input[0] not in view.producers:
        return None
    asked = view.producers[node.input[0]]
    dimensions = shapes.get(asked.input[0]) if asked.op_type == "Shape" else None
    picks = [view.constant(name) for name in node.input[1:] if name]
    if dimensions is None or asked.attribute or any(pick is None for pick in picks):
        return None
    picked: Sequence[Any]
    if node.op_type == "Gather":
        index = picks[0]
        shape = index.shape  # type: ignore[union-attr]
        picked = [dimensions[int(i)] for i in index.flatten()]  # type: ignore[union-attr]
    else:
        start, stop = (int(pick.item()) for pick in picks[:2])  # type: ignore[union-attr]
        step = int(picks[3].item()) if len(picks) > 3 else 1  # type: ignore[union-attr]
        picked = dimensions[slice(start, stop, step)]
        shape = (len(picked),)
    if not all(isinstance(dimension, int) for dimension in picked):
        return None
    return shape, [int(dimension) for dimension in picked]


def _int64(name: str, shape: tuple[int, ...], values: list[int]) -> TensorProto:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, shape, values)
