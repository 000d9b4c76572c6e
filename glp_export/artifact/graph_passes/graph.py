"""Looking things up in an ONNX graph, and putting it in order after nodes were exchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

    Array = np.ndarray[Any, Any]


class GraphView:
    """Who makes a tensor, who reads it, and what is constant, in the main graph of a model.

    A view of the moment: make a new one after the graph was changed.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers: dict[str, NodeProto] = {}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            self.producers.update(dict.fromkeys(filter(None, node.output), node))
            for name in dict.fromkeys(reads(node)):
                self.consumers[name].append(node)
        self.outputs = frozenset(value.name for value in model.graph.output)

    def constant(self, name: str) -> Array | None:
        """The value of a tensor that no input has a part in; None for the others.

        Looks through Identity, by which exporters share equal weights between layers.
        """
        from onnx import numpy_helper

        if name in self.initializers:
            return numpy_helper.to_array(self.initializers[name])
        node = self.producers.get(name)
        if node is None:
            return None
        if node.op_type == "Identity":
            return self.constant(node.input[0])
        if node.op_type == "Constant":
            value = attribute(node, "value")
            return None if value is None else numpy_helper.to_array(value)
        return None

    def dimensions(self, name: str) -> tuple[int, ...] | None:
        """The shape of a constant, without reading its values; None for the others."""
        while name in self.producers and self.producers[name].op_type == "Identity":
            name = self.producers[name].input[0]
        if name in self.initializers:
            return tuple(self.initializers[name].dims)
        value = self.constant(name)
        return None if value is None else value.shape

    def only_consumer(self, name: str) -> NodeProto | None:
        """The one node that reads a tensor, if there is one and the graph does not give it out."""
        readers = self.consumers[name]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    from onnx import helper

    found: AttributeProto
    for found in node.attribute:
        if found.name == name:
            return helper.get_attribute_value(found)
    return default


def reads(node: NodeProto) -> Iterator[str]:
    """Names of the tensors that a node reads, those that its branches read among them."""
    from onnx import AttributeProto

    yield from filter(None, node.input)
    for found in node.attribute:
        if found.type == AttributeProto.GRAPH:
            for inner in found.g.node:
                yield from reads(inner)


def name_nodes(graph: GraphProto) -> None:
    """Give every node a name of its own: ONNX Runtime's converters know nodes by name only."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_unnamed_{number}"
        taken.add(node.name)


def read_directly(model: ModelProto) -> None:
    """Let nodes read initializers themselves that they read through Identity."""
    view = GraphView(model)
    for node in view.nodes:
        for place, name in enumerate(node.input):
            while name in view.producers and view.producers[name].op_type == "Identity":
                name = view.producers[name].input[0]
            if name in view.initializers:
                node.input[place] = name
    replace_nodes(model, view.nodes)


def replace_nodes(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Put other nodes into the main graph; what nothing reads any more is left out.

    Shapes noted at tensors go too, since they may no longer hold.
    """
    kept = list(nodes)
    needed = {value.name for value in model.graph.output}
    alive = []
    for node in reversed(kept):
        if needed.intersection(node.output):
            alive.append(node)
            needed.update(reads(node))
    del model.graph.node[:]
    model.graph.node.extend(reversed(alive))
    del model.graph.value_info[:]
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    if len(initializers) < len(model.graph.initializer):
        del model.graph.initializer[:]
        model.graph.initializer.extend(initializers)
