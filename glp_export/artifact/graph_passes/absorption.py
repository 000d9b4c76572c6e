"""Attention of one token without keys and values: their weights go to the query and the context.

Where a layer has one query, its keys and values need not be computed for every token. A score is
`q · (W_k x) = (W_kᵀ q) · x`: the query is multiplied by the weight, head by head, and meets the
layer's input itself. Values are summed before they are projected: `Σ p (W_v x) = W_v (Σ p x)`.
The numbers are the same up to rounding, for `heads · length · width` multiplications in place of
`length · width²`. Multi-head latent attention absorbs its up-projections so (DeepSeek-V2, 2024,
section 2.1.2).

The keys' bias moves all scores of a query alike, which softmax takes away, and the values' bias is
added once, since probabilities sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glp_export.artifact.graph_passes.graph import GraphView, attribute, replace_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from glp_export.artifact.graph_passes.constant_shapes import Shapes

    Array = np.ndarray[Any, Any]

QUERIES = 2
"""The axis of queries in scores, `(batch, heads, queries, length)`."""

MASKED = -1e4
"""A score that is set to this or less has no part in the softmax, however the others are moved."""

_KEYS, _VALUES = [0, 2, 3, 1], [0, 2, 1, 3]
"""Axes of `(batch, length, heads, size)` in the order in which attention's products read them."""


@dataclass(frozen=True)
class _Projection:
    """Keys or values: what a layer's input goes through on its way to attention's product.

    Attributes:
        source: the layer's input, `(batch, length, width)`.
        weight: `(width, heads, size)`.
        bias: `(heads, 1, size)`; None where there is none.
        scales: operators with the scalars that it is multiplied or divided by.
    """

    source: str
    weight: Array
    bias: Array | None
    scales: tuple[tuple[str, str], ...]


def absorb_projections(model: ModelProto, shapes: Shapes, cut: Mapping[str, int]) -> None:
    """Take keys and values out of the attention of single queries, in place.

    Keys that are turned by their position (rotary embeddings) stay, and so does what others read.

    Args:
        model: a float graph.
        shapes: of its tensors before any of them was cut.
        cut: tensors of which only the first entry along an axis is computed, with the axis.
    """
    view, made = GraphView(model), {}
    for softmax in view.nodes:
        single = softmax.op_type == "Softmax" and cut.get(softmax.output[0]) == QUERIES
        if not single or attribute(softmax, "axis", -1) not in (-1, 3):
            continue
        scores = _product(view, shapes, softmax.input[0])
        keys = _projection(view, shapes, scores.input[1], _KEYS) if scores else None
        if scores and keys:
            made[scores.output[0]] = _scores(model, scores, keys)
        context = view.only_consumer(softmax.output[0])
        if context is None or context.op_type != "MatMul":
            continue
        values = _projection(view, shapes, context.input[1], _VALUES)
        if values:
            made[context.output[0]] = _context(model, context, values)
    replace_nodes(model, [new for node in view.nodes for new in made.get(node.output[0], [node])])


def _product(view: GraphView, shapes: Shapes, name: str) -> NodeProto | None:
    """The product whose scores a softmax reads; None if it would see that all of them move."""
    node = view.producers.get(name)
    if node is None or view.only_consumer(name) is None:
        return None
    if node.op_type == "MatMul":
        return node
    found = (_product(view, shapes, operand) for operand in _moved(view, shapes, node))
    return next((product for product in found if product), None)


def _moved(view: GraphView, shapes: Shapes, node: NodeProto) -> Iterator[str]:
    """Inputs that a node only moves, scales or masks: what moves them all moves its output so."""
    if node.op_type == "Add":
        yield from node.input
    elif _is_scaling(shapes, node):
        yield node.input[0]
    elif node.op_type == "Where":
        for kept, filled in ((1, 2), (2, 1)):
            value = view.constant(node.input[filled])
            if value is not None and (value <= MASKED).all():
                yield node.input[kept]


def _is_scaling(shapes: Shapes, node: NodeProto) -> bool:
    """Whether a node multiplies or divides its first input by one number."""
    return node.op_type in ("Mul", "Div") and shapes.get(node.input[1]) in ((), (1,))


def _projection(view: GraphView, shapes: Shapes, name: str, order: list[int]) -> _Projection | None:
    """What a product reads, if that is a linear projection that was split into heads.

    Args:
        view: of the graph.
        shapes: of its tensors.
        name: the product's second operand.
        order: of the axes of `(batch, length, heads, size)` in it.
    """
    linear, *others = _chain(view, name) or (None,)
    weight = _weight(view, linear) if linear else None
    if linear is None or weight is None or not others:
        return None
    source, bias = linear.input[0], None
    if others[0].op_type == "Add":
        bias = _summand(view, others.pop(0), weight.shape[1])
        if bias is None:
            return None
    split = shapes.get(others[0].output[0], ()) if others and others[0].op_type == "Reshape" else ()
    heads = [size for size in split[2:] if isinstance(size, int)]
    if len(split) != 4 or len(heads) != 2 or split[:2] != shapes.get(source, ())[:2]:
        return None
    found = _split(others[1:], shapes)
    if found is None or found[0] != order:
        return None
    if bias is not None:
        bias = bias.reshape(heads[0], 1, heads[1])
    return _Projection(source, weight.reshape(-1, *heads), bias, found[1])


def _split(
    nodes: list[NodeProto], shapes: Shapes
) -> tuple[list[int], tuple[tuple[str, str], ...]] | None:
    """How nodes behind the split into heads turn its axes and scale it; None if they do more."""
    axes, scales = [0, 1, 2, 3], []
    for node in nodes:
        if node.op_type == "Transpose":
            axes = [axes[axis] for axis in attribute(node, "perm")]
        elif _is_scaling(shapes, node):
            scales.append((node.op_type, node.input[1]))
        else:
            return None
    return axes, tuple(scales)


def _chain(view: GraphView, name: str) -> list[NodeProto]:
    """The nodes that make a tensor, from a product on; none of them is read by others too."""
    chain: list[NodeProto] = []
    while (node := view.producers.get(name)) is not None and view.only_consumer(name) is not None:
        chain.insert(0, node)
        if node.op_type == "MatMul":
            return chain
        name = next((one for one in node.input if view.dimensions(one) is None), "")
    return []


def _weight(view: GraphView, linear: NodeProto) -> Array | None:
    """The weight of a linear projection, unless layers share it: it is stored in another order."""
    name = linear.input[1]
    shape = view.dimensions(name)
    own = name in view.initializers and view.only_consumer(name) is not None
    return view.constant(name) if own and shape is not None and len(shape) == 2 else None


def _summand(view: GraphView, node: NodeProto, size: int) -> Array | None:
    """The constant that a sum adds to each of so many columns."""
    found = (view.constant(name) for name in node.input if view.dimensions(name) == (size,))
    return next(found, None)


def _scores(model: ModelProto, product: NodeProto, keys: _Projection) -> list[NodeProto]:
    """Nodes in place of the product of a query, `(batch, heads, 1, size)`, and keys."""
    build = _Builder(model, product)
    width, heads, _ = keys.weight.shape
    query = build.add("MatMul", product.input[0], build.constant(keys.weight.transpose(1, 2, 0)))
    for operator, scale in keys.scales:
        query = build.add(operator, query, scale)
    # One product a text and not one a head.
    query = build.add("Reshape", query, build.constant(np.array([0, heads, width])))
    source = build.add("Transpose", keys.source, perm=[0, 2, 1])
    scores = build.add("MatMul", query, source)
    build.add("Reshape", scores, build.constant(np.array([0, heads, 1, -1])))
    return build.finish()


def _context(model: ModelProto, product: NodeProto, values: _Projection) -> list[NodeProto]:
    """Nodes in place of the product of probabilities, `(batch, heads, 1, length)`, and values."""
    build = _Builder(model, product)
    width, heads, _ = values.weight.shape
    shares = build.add("Reshape", product.input[0], build.constant(np.array([0, heads, -1])))
    summed = build.add("MatMul", shares, values.source)
    summed = build.add("Reshape", summed, build.constant(np.array([0, heads, 1, width])))
    context = build.add("MatMul", summed, build.constant(values.weight.transpose(1, 0, 2)))
    if values.bias is not None:
        context = build.add("Add", context, build.constant(values.bias))
    for operator, scale in values.scales:
        context = build.add(operator, context, scale)
    return build.finish()


class _Builder:
    """Nodes in place of one product, one after another, and the constants that they read."""

    def __init__(self, model: ModelProto, product: NodeProto) -> None:
        self._model, self._output = model, product.output[0]
        self._nodes: list[NodeProto] = []

    def constant(self, value: Array) -> str:
        """An initializer of the graph, by its name."""
        from onnx import numpy_helper

        name = f"{self._output}_absorbed_{len(self._nodes)}_by"
        value = np.ascontiguousarray(value)
        self._model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node, by the name of what it makes."""
        from onnx import helper

        output = f"{self._output}_absorbed_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def finish(self) -> list[NodeProto]:
        """All of them, of which the last makes what the product made."""
        self._nodes[-1].output[0] = self._output
        return self._nodes
