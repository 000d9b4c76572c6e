"""The last layer for the one token that is read of it.

The head of a classifier reads the first token's hidden state. Of the last layer's other tokens only
keys and values matter, so its queries, attention output and feed-forward block are computed for the
first token alone: the numbers are the same, and most of a layer's work is saved. What is left of
keys and values `absorption.py` takes out.

Found by asking backwards from the graph's outputs which part of every tensor is needed: all of it,
or its first entry along one axis. A node whose operator treats the entries of that axis apart needs
no more of its inputs than is needed of its output; at its edge a Slice is put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from glp_export.artifact.graph_passes.constant_shapes import Shapes
from glp_export.artifact.graph_passes.graph import (
    GraphView,
    attribute,
    reads,
    replace_nodes,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ELEMENTWISE = frozenset(
    {
        "Add",
        "Cast",
        "Clip",
        "Div",
        "Erf",
        "Gelu",
        "Identity",
        "Mul",
        "Neg",
        "Pow",
        "Relu",
        "Sigmoid",
        "Sqrt",
        "Sub",
        "Tanh",
        "Where",
    }
)

ALL = -1
"""All entries are needed; an axis number means the first along it."""

Needs = Mapping[str, int]


def first_token_only(model: ModelProto, shapes: Shapes) -> Needs:
    """Compute only what is needed of a graph whose head reads one token, in place.

    Args:
        model: a graph whose reshapes have constant shapes (`constant_shapes.fix_shapes`).
        shapes: of its tensors.

    Returns:
        Tensors of which less is computed now, with the axis of which the first entry is left: none
        if the head reads all tokens, and the graph is as it was.
    """
    view = GraphView(model)
    needs = _needs(view, shapes)
    slices: dict[tuple[str, int], NodeProto] = {}
    nodes: list[NodeProto] = []
    for node in view.nodes:
        wanted = {} if node.op_type == "Gather" else _wanted(view, node, needs, shapes)
        for position, axis in wanted.items():
            name = node.input[position]
            if axis == ALL or needs.get(name, ALL) == axis:
                continue
            if (name, axis) not in slices:
                slices[name, axis] = _slice(model, name, axis)
                nodes.append(slices[name, axis])
            node.input[position] = slices[name, axis].output[0]
        nodes.append(node)
    if slices:
        replace_nodes(model, nodes)
        return {name: axis for name, axis in needs.items() if axis != ALL}
    return {}


def _needs(view: GraphView, shapes: Shapes) -> Needs:
    """What is needed of each tensor that a node computes."""
    needs: dict[str, int] = dict.fromkeys(view.outputs, ALL)
    for node in reversed(view.nodes):
        if not any(name in needs for name in node.output):
            continue
        wanted = _wanted(view, node, needs, shapes)
        for name in node.output:
            if needs.get(name, ALL) != ALL and not wanted:
                needs[name] = ALL
        for name in reads(node):
            axis = wanted.get(list(node.input).index(name), ALL) if name in node.input else ALL
            needs[name] = axis if needs.get(name, axis) == axis else ALL
    return needs


def _wanted(view: GraphView, node: NodeProto, needs: Needs, shapes: Shapes) -> dict[int, int]:
    """Inputs of a node, by position, of which it needs less than all; none if it needs all.

    Inputs that have one entry along the axis are mapped to `ALL`: they are taken as they are.
    """
    if node.op_type == "Gather":
        return _read_token(view, node, shapes)
    axes = {needs[name] for name in node.output if name in needs}
    axis = axes.pop() if len(axes) == 1 else ALL
    ranks = [len(shapes[name]) if name in shapes else None for name in node.input]
    rank = len(shapes[node.output[0]]) if node.output[0] in shapes else None
    if axis == ALL or rank is None or ranks[0] is None:
        return {}
    if node.op_type in ELEMENTWISE:
        return _broadcast(node, axis, rank, range(len(node.input)), shapes)
    if node.op_type in ("LayerNormalization", "Softmax"):
        return {0: axis} if axis < attribute(node, "axis", -1) % rank else {}
    if node.op_type == "Slice":
        cut = view.constant(node.input[3]) if len(node.input) > 3 else None
        return {0: axis} if cut is not None and axis not in cut % rank else {}
    if node.op_type == "Transpose":
        return {0: attribute(node, "perm")[axis]}
    if node.op_type == "Reshape":
        shape = view.constant(node.input[1])
        copied = shape is not None and not shape[: axis + 1].any()
        return {0: axis} if copied else {}
    if node.op_type == "MatMul" and min(ranks[0], ranks[1] or 0) >= 2 and axis < rank - 1:
        rows = axis == rank - 2
        return {0: ranks[0] - 2} if rows else _broadcast(node, axis, rank, (0, 1), shapes)
    return {}


def _read_token(view: GraphView, node: NodeProto, shapes: Shapes) -> dict[int, int]:
    """A Gather of entry 0 along an inner axis of a tensor of three or more: the head's token."""
    index = view.constant(node.input[1])
    shape = shapes.get(node.input[0], ())
    axis = attribute(node, "axis", 0)
    if index is None or index.size != 1 or index.item() != 0 or len(shape) < 3 or axis < 1:
        return {}
    return {0: axis}


def _broadcast(
    node: NodeProto, axis: int, rank: int, positions: range | tuple[int, ...], shapes: Shapes
) -> dict[int, int]:
    """The axis of each input that becomes the output's; none if an input's shape is not known."""
    wanted: dict[int, int] = {}
    for position in positions:
        shape = shapes.get(node.input[position])
        if shape is None:
            return {}
        own = axis - (rank - len(shape))
        wanted[position] = ALL if own < 0 or shape[own] == 1 else own
    return wanted


def _slice(model: ModelProto, name: str, axis: int) -> NodeProto:
    """A node that takes the first entry along an axis."""
    from onnx import TensorProto, helper

    output = f"{name}_first_{axis}"
    inputs = [name]
    for part, value in (("from", 0), ("to", 1), ("axis", axis)):
        tensor = helper.make_tensor(f"{output}_{part}", TensorProto.INT64, (1,), [value])
        model.graph.initializer.append(tensor)
        inputs.append(tensor.name)
    return helper.make_node("Slice", inputs, [output], name=output)
