"""Matmuls of a float graph written anew with integer weights.

A matmul becomes ONNX's DynamicQuantizeLinear, or QuantizeLinear with a known range, and ONNX
Runtime's com.microsoft.MatMulIntegerToFloat, which adds the bias too. Matmuls that read the same
tensor share its integers: query, key and value are three matmuls and one quantisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glp_export.artifact.graph_passes.graph import GraphView, attribute, replace_nodes
from glp_export.artifact.onnx_file import opset_of
from glp_export.precision.int8.matmuls import Located
from glp_export.precision.int8.weights import LARGEST, to_int8

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto

    Array = np.ndarray[Any, Any]

MICROSOFT = "com.microsoft"

PER_AXIS = 13
"""The opset from which on DequantizeLinear takes a scale for each entry of an axis."""

Ranges = Mapping[str, tuple[float, float]]
"""Least and largest value by tensor."""


class Rewriter:
    """Exchanges the nodes of one model, in place.

    Args:
        model: a float graph.
        per_channel: a scale for each column of a weight.
        ranges: of the activations, for static quantisation; None measures them at every call.
        table_steps: of an embedding, as of `to_int8`.
    """

    def __init__(
        self,
        model: ModelProto,
        *,
        per_channel: bool,
        ranges: Ranges | None,
        table_steps: int | None = None,
    ) -> None:
        self._model = model
        self._per_channel = per_channel
        self._table_steps = table_steps
        self._ranges = ranges
        self._view = GraphView(model)
        self._before: dict[int, list[NodeProto]] = {}
        self._replaced: dict[int, list[NodeProto]] = {}
        self._activations: dict[str, tuple[str, str, str]] = {}
        self._weights: dict[tuple[str, bool], tuple[str, str]] = {}
        self._added: dict[str, None] = {}

    def apply(self, located: Sequence[Located]) -> None:
        """Write the nodes of some matmuls anew."""
        from onnx import helper

        for one in located:
            for node in one.nodes:
                write = self._look_up if node.op_type == "Gather" else self._multiply
                write(node)
            for node in one.stored:
                self._store(node)
        nodes: list[NodeProto] = []
        for node in self._view.nodes:
            nodes.extend(self._replaced.get(id(node), [node]))
        multiplied = any(node.op_type != "Gather" for one in located for node in one.nodes)
        if multiplied and all(entry.domain != MICROSOFT for entry in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        replace_nodes(self._model, nodes)

    def _multiply(self, node: NodeProto) -> None:
        """A MatMul or Gemm, with the sum of its bias."""
        from onnx import helper

        name = node.output[0]
        made: list[NodeProto] = []
        integers, scale, zero = self._activation(node.input[0], made)
        weight, weight_scale = self._weight(node)
        bias, end = self._bias(node)
        inputs = [integers, weight, scale, weight_scale, zero, "", bias]
        made.append(
            helper.make_node(
                "MatMulIntegerToFloat",
                inputs if bias else inputs[:5],
                [end.output[0]],
                name=f"{name}_int8",
                domain=MICROSOFT,
            )
        )
        self._replaced[id(node)] = made
        if end is not node:
            self._replaced[id(end)] = []

    def _activation(self, name: str, made: list[NodeProto]) -> tuple[str, str, str]:
        """Integers, scale and zero point of a tensor; the first that asks makes the node."""
        from onnx import helper

        if name not in self._activations:
            names = (f"{name}_uint8", f"{name}_scale", f"{name}_zero_point")
            self._activations[name] = names
            if self._ranges is None:
                node = helper.make_node("DynamicQuantizeLinear", [name], names, name=names[0])
            else:
                scale, zero = affine(*self._ranges[name])
                self._constant(names[1], scale)
                self._constant(names[2], zero)
                node = helper.make_node("QuantizeLinear", [name, *names[1:]], names[:1], names[0])
            made.append(node)
        return self._activations[name]

    def _weight(self, node: NodeProto) -> tuple[str, str]:
        """Integers and scale of a matmul's weight; layers that share one share these."""
        name, transposed = node.input[1], bool(attribute(node, "transB", 0))
        if (name, transposed) not in self._weights:
            value = self._view.constant(name)
            assert value is not None
            value = value.T if transposed else value
            integers, scale = to_int8(value, 0 if self._per_channel else None)
            names = (f"{name}_int8{'_t' * transposed}", f"{name}_int8_scale")
            self._constant(names[0], integers)
            self._constant(names[1], scale)
            self._weights[name, transposed] = names
        return self._weights[name, transposed]

    def _bias(self, node: NodeProto) -> tuple[str, NodeProto]:
        """The bias of a matmul, "" without one, and the last node that is replaced with it."""
        if node.op_type == "Gemm":
            return (node.input[2] if len(node.input) > 2 else ""), node
        after = self._view.only_consumer(node.output[0])
        if after is None or after.op_type != "Add":
            return "", node
        (other,) = [name for name in after.input if name != node.output[0]] or [""]
        columns = (self._view.dimensions(node.input[1]) or (0, 0))[1]
        if self._view.dimensions(other) != (columns,):
            return "", node
        value = self._view.constant(other)
        assert value is not None
        return self._constant(f"{node.output[0]}_bias", value), after

    def _look_up(self, node: NodeProto) -> None:
        """A table with a scale for each entry: few tokens have the largest numbers."""
        from onnx import TensorProto, helper

        table, entries, output = node.input[0], node.input[1], node.output[0]
        value = self._view.constant(table)
        assert value is not None
        integers, scale = to_int8(value, 1, self._table_steps)
        self._constant(f"{table}_int8", integers)
        self._constant(f"{table}_int8_scale", scale[:, None])
        self._replaced[id(node)] = [
            helper.make_node("Gather", [f"{table}_int8", entries], [f"{output}_int8"], axis=0),
            helper.make_node("Gather", [f"{table}_int8_scale", entries], [f"{output}_s"], axis=0),
            helper.make_node("Cast", [f"{output}_int8"], [f"{output}_f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{output}_f", f"{output}_s"], [output]),
        ]

    def _store(self, node: NodeProto) -> None:
        """A weight of one matrix a head, with a scale for each: read in integers, then floats.

        By column ONNX Runtime takes as long for it as for a layer's matmul, by head almost none.
        """
        from onnx import helper

        if opset_of(self._model) < PER_AXIS:
            return
        name = node.input[1]
        value = self._view.constant(name)
        assert value is not None
        integers, scale = to_int8(value.reshape(len(value), -1), 1, LARGEST)
        names = [self._constant(f"{name}_int8", integers.reshape(value.shape))]
        names.append(self._constant(f"{name}_int8_scale", scale))
        node.input[1] = f"{name}_float"
        read = helper.make_node("DequantizeLinear", names, node.input[1:], node.input[1], axis=0)
        self._replaced[id(node)] = [read, node]

    def _constant(self, name: str, value: Array) -> str:
        from onnx import numpy_helper

        if name not in self._added:
            self._added[name] = None
            self._model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def affine(low: float, high: float) -> tuple[Array, Array]:
    """Scale and zero point that map a range, widened to hold zero, to 0 … 255.

    As DynamicQuantizeLinear computes them (ONNX operator documentation).
    """
    import numpy as np

    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    return np.asarray(scale), np.asarray(np.clip(np.rint(-low / scale), 0, 255).astype(np.uint8))
