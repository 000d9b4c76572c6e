"""Attention in an exported graph: a softmax, what it is computed from and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.artifact.graph_passes.graph import GraphView

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True)
class AttentionBlock:
    """One attention block: numbers of its matmuls in graph order.

    Attributes:
        inputs: of query, key and value.
        output: of the output projection.
        scores: products of queries and keys; relative positions (DeBERTa) make several.
        context: the product of probabilities and values.
        stacked: keys and values that are taken from the layer's input, one matrix a head
            (`graph_passes.absorption`); where there are any, attention's products are small and
            stay in float.
    """

    inputs: frozenset[int]
    output: int
    scores: tuple[NodeProto, ...]
    context: NodeProto
    stacked: tuple[NodeProto, ...]


def attention_blocks(view: GraphView, weighted: list[NodeProto]) -> list[AttentionBlock]:
    """The attention of each layer: a softmax, what it is computed from and what reads it.

    Args:
        view: of a float graph.
        weighted: its matmuls with a weight, in graph order.
    """
    numbers = {node.output[0]: number for number, node in enumerate(weighted)}
    blocks = []
    for softmax in view.nodes:
        if softmax.op_type != "Softmax":
            continue
        context = next(_ahead(view, softmax.output[0], lambda node: node.op_type == "MatMul"), None)
        if context is None or context.output[0] in numbers:
            continue
        # Where keys and values are taken from the layer's input itself, what made that stands
        # behind it too, and behind the query.
        behind = {number: weighted[number] for number in _behind(view, context, numbers)}
        before = {one for node in behind.values() for one in _behind(view, node, numbers)}
        inputs = frozenset(behind.keys() - before)
        outputs = _ahead(view, context.output[0], lambda node: node.output[0] in numbers)
        output = next((numbers[node.output[0]] for node in outputs), None)
        if inputs and output is not None:
            scores = tuple(_scores(view, softmax, numbers))
            stacked = tuple(_stacked(view, weighted[output], numbers))
            blocks.append(AttentionBlock(inputs, output, scores, context, stacked))
    return blocks


def _scores(view: GraphView, softmax: NodeProto, numbers: dict[str, int]) -> Iterator[NodeProto]:
    """Products of two activations that a softmax is computed from."""
    for node in _nodes_behind(view, softmax, numbers):
        own = node.op_type == "MatMul" and node.output[0] not in numbers
        # Those of rotary angles have no weight behind them.
        if own and any(True for _ in _behind(view, node, numbers)):
            yield node


def _stacked(view: GraphView, output: NodeProto, numbers: dict[str, int]) -> Iterator[NodeProto]:
    """Products between a layer's query and its output whose weight is one matrix a head."""
    for node in _nodes_behind(view, output, numbers):
        if node.op_type == "MatMul" and len(view.dimensions(node.input[1]) or ()) == 3:
            yield node


def _behind(view: GraphView, node: NodeProto, numbers: dict[str, int]) -> Iterator[int]:
    """Numbers of the matmuls that a node is computed from, without those behind them."""
    for behind in _nodes_behind(view, node, numbers):
        if behind.output[0] in numbers:
            yield numbers[behind.output[0]]


def _nodes_behind(view: GraphView, node: NodeProto, numbers: dict[str, int]) -> Iterator[NodeProto]:
    """What a node is computed from, as far as the nearest matmuls with a weight."""
    waiting, seen = list(node.input), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in view.producers:
            continue
        seen.add(name)
        yield view.producers[name]
        if name not in numbers and view.producers[name].op_type != "Shape":
            waiting.extend(view.producers[name].input)


def _ahead(view: GraphView, name: str, wanted: Callable[[NodeProto], bool]) -> Iterator[NodeProto]:
    """The nearest nodes of some kind that read a tensor, or what is made of it."""
    waiting, seen = [name], set()
    while waiting:
        for node in view.consumers[waiting.pop(0)]:
            if wanted(node):
                yield node
            elif node.op_type != "Shape" and id(node) not in seen:
                seen.add(id(node))
                waiting.extend(node.output)
