"""The matrix products of an exported encoder that have a constant weight, under stable names.

They are known by where they stand: what feeds a softmax is a layer's query, key and value, what
reads its result is the layer's output, and so on. So names do not depend on what an exporter calls
its nodes, and a graph that was rewritten has the names of the one that it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.artifact.graph_passes.graph import GraphView, attribute
from glp_export.artifact.onnx_file import OnnxFile, read_graph
from glp_export.precision.int8.attention import AttentionBlock, attention_blocks

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_FEED_FORWARD = 2
"""Matmuls of a feed-forward block where there is only one layer, so that none can be counted."""


TABLE = "embeddings"
"""The role of the one thing that is looked up and not multiplied."""

QKV = "attention.qkv"
"""The role of queries, keys and values."""

_ATTENDED = 128
"""Tokens that attention's products are reckoned with: their work grows with the text's length."""


@dataclass(frozen=True)
class MatMul:
    """A matrix product with a constant weight, or several of one layer that read the same tensor.

    In full int8 attention's own two are among them: "layer.3.attention.scores" of queries and keys,
    and "layer.3.attention.context" of probabilities and values.

    Attributes:
        name: "layer.3.attention.qkv", "classifier", "embeddings"; the same in every form of a
            graph. Graphs that are no encoder have "product.0", "product.1", … in graph order.
        layer: number of the layer in this graph, from 0; None outside of them.
        role: the name without the layer.
        rows: rows of the weight, the width that is read; of a table its entries; of attention's
            products the width of all heads.
        columns: columns of the weight, the width that is written; all of them together; of
            attention's products the tokens that each attends to.
    """

    name: str
    layer: int | None
    role: str
    rows: int
    columns: int

    @property
    def work(self) -> int:
        """Multiply-adds for one token; of a table the numbers that are copied."""
        return self.columns if self.role == TABLE else self.rows * self.columns


@dataclass(frozen=True)
class Located:
    """A matmul and the nodes that compute it.

    Attributes:
        matmul: what it is.
        nodes: that multiply, or look up.
        stored: those whose weight, one matrix a head, can be stored in integers and is multiplied
            in float: keys and values that are taken from the layer's input
            (`graph_passes.absorption`).
    """

    matmul: MatMul
    nodes: tuple[NodeProto, ...]
    stored: tuple[NodeProto, ...] = ()


def find_matmuls(source: OnnxFile | ModelProto, scope: str = "matmuls") -> tuple[MatMul, ...]:
    """What can be quantised, in the order of the graph; the embedding table is the first.

    Args:
        source: a float graph.
        scope: of `Int8Recipe`.

    Raises:
        ModelError: the file cannot be read.
    """
    model = read_graph(source.path) if isinstance(source, OnnxFile) else source
    return tuple(located.matmul for located in locate(GraphView(model), scope))


def locate(view: GraphView, scope: str = "matmuls") -> list[Located]:
    """The matmuls of a graph with their nodes; attention's own, in full scope, come last."""
    weighted = [node for node in view.nodes if weight_shape(view, node)]
    blocks = attention_blocks(view, weighted)
    full = scope == "full"
    names = _names(weighted, blocks) if blocks else _generic(weighted)
    grouped: dict[tuple[int | None, str], list[NodeProto]] = {}
    for node, key in zip(weighted, names, strict=True):
        grouped.setdefault(key, []).append(node)
    tables = _tables(view, every=full)
    found = [_located(view, (None, TABLE), tables)] if tables else []
    for (layer, role), nodes in grouped.items():
        stored = blocks[layer].stacked if layer is not None and role == QKV else ()
        found.append(_located(view, (layer, role), nodes, stored))
    return found + (_attention_products(view, weighted, blocks) if full else [])


def weight_shape(view: GraphView, node: NodeProto) -> tuple[int, int] | None:
    """Rows and columns of a matmul's weight; None for nodes that are no such product."""
    if node.op_type not in ("MatMul", "Gemm") or view.dimensions(node.input[0]) is not None:
        return None
    shape = view.dimensions(node.input[1])
    if shape is None or len(shape) != 2:
        return None
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        shape = shape[::-1]
    return shape[0], shape[1]


def _located(
    view: GraphView,
    key: tuple[int | None, str],
    nodes: list[NodeProto],
    stored: Sequence[NodeProto] = (),
) -> Located:
    layer, role = key
    if nodes[0].op_type == "Gather":
        shapes = [view.dimensions(nodes[0].input[0]) or (0, 0)]
    else:
        shapes = [shape for node in nodes if (shape := weight_shape(view, node))]
    name = role if layer is None else f"layer.{layer}.{role}"
    columns = sum(shape[1] for shape in shapes)
    for node in stored:  # keys are turned: a matrix has the columns of a head first, or last
        heads, *sides = view.dimensions(node.input[1]) or (0, 0, 0)
        columns += heads * min(sides)
    matmul = MatMul(name, layer, role, shapes[0][0], columns)
    return Located(matmul, tuple(nodes), tuple(stored))


def _tables(view: GraphView, *, every: bool) -> list[NodeProto]:
    """The look-up in the table of word embeddings: the largest that an input indexes.

    Behind it, where all are wanted, those of positions and segments.
    """
    inputs = {value.name for value in view.model.graph.input}
    found = [
        (shape[0], node)
        for node in view.nodes
        if node.op_type == "Gather" and not attribute(node, "axis", 0)
        if (shape := view.dimensions(node.input[0])) and len(shape) == 2
    ]
    words = [pair for pair in found if pair[1].input[1] in inputs]
    if not words:
        return []
    largest = max(words, key=lambda pair: pair[0])[1]
    others = [node for _, node in found if every and node is not largest and _is_float(view, node)]
    return [largest, *others]


def _is_float(view: GraphView, gather: NodeProto) -> bool:
    """Whether a table holds embeddings and not numbers of positions."""
    import numpy as np

    value = view.constant(gather.input[0])
    return value is not None and value.dtype == np.float32


def _attention_products(
    view: GraphView, weighted: list[NodeProto], blocks: list[AttentionBlock]
) -> list[Located]:
    """The products of two activations in each layer: scores and context.

    Where keys and values are absorbed there are none to make integers.
    """
    found = []
    for layer, block in enumerate(blocks):
        shape = weight_shape(view, weighted[block.output]) or (0, 0)
        for role, nodes in (("scores", block.scores), ("context", (block.context,))):
            role = f"attention.{role}"
            matmul = MatMul(f"layer.{layer}.{role}", layer, role, shape[0], _ATTENDED)
            if nodes:
                found.append(Located(matmul, () if block.stacked else nodes))
    return found


def _names(weighted: list[NodeProto], blocks: list[AttentionBlock]) -> list[tuple[int | None, str]]:
    """Layer and role of each matmul.

    Between a layer's output and the next layer's queries lies its feed-forward block; after the
    last layer's as many matmuls belong to it as to the others, and the rest is the head.
    """
    names: list[tuple[int | None, str]] = [(None, "embeddings.projection")] * len(weighted)
    starts = [min(block.inputs) for block in blocks]
    between = starts[1] - blocks[0].output - 1 if len(blocks) > 1 else _FEED_FORWARD
    for layer, block in enumerate(blocks):
        last = layer + 1 == len(blocks)
        end = min(block.output + 1 + between, len(weighted)) if last else starts[layer + 1]
        fed = range(block.output + 1, end)
        for number in range(starts[layer], block.output):
            names[number] = (layer, QKV)
        names[block.output] = (layer, "attention.output")
        for place, number in enumerate(fed):
            names[number] = (layer, f"feed_forward.{_place(place, len(fed))}")
        if last:
            head = range(end, len(weighted))
            for place, number in enumerate(reversed(head)):
                role = ("classifier", "pooler")[place] if place < 2 else f"head.{place}"
                names[number] = (None, role)
    return names


def _place(place: int, count: int) -> str:
    if place + 1 == count:
        return "out"
    return "in" if place == 0 else f"in.{place}"


def _generic(weighted: list[NodeProto]) -> list[tuple[int | None, str]]:
    return [(None, f"product.{number}") for number in range(len(weighted))]
