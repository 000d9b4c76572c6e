"""A graph of nothing but an encoder's integer matrix products: no int8 file can be faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper, save


def floor_graph(path: Path, config: Any, *, attention: bool = False) -> Path:
    """Write MatMulInteger nodes of a model's shapes, four a layer, fed with constants.

    Args:
        path: where the file goes.
        config: the model's configuration, by the names that BERT gives to its widths.
        attention: attention's own two products as well, in fp32.
    """
    builder = _Builder(config, attention)
    for layer in range(config.num_hidden_layers):
        builder.add_layer(f"layer{layer}")
    save(builder.model(), str(path))
    return path


class _Builder:
    def __init__(self, config: Any, attention: bool) -> None:
        self.width, self.inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        self.attention = attention
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.corners: list[str] = []
        self.random = np.random.default_rng(0)
        self._inputs()

    def add_layer(self, name: str) -> None:
        """Query, key and value in one, output, and the two of the feed-forward block."""
        for role, source, rows, columns in (
            ("qkv", "hidden", self.width, 3 * self.width),
            ("output", "hidden", self.width, self.width),
            ("in", "hidden", self.width, self.inner),
            ("out", "inner", self.inner, self.width),
        ):
            weight = self.random.integers(-127, 128, (rows, columns)).astype(np.int8)
            self._constant(f"{name}_{role}", weight)
            self._product("MatMulInteger", source, f"{name}_{role}")
        if self.attention:
            # Another number in each layer, or ONNX Runtime would compute one layer for all.
            query, number = f"{name}_query", float(len(self.corners))
            self._filled(query, ["batch", "heads", "length", "head"], np.float32, number)
            self._product("MatMul", query, "key", f"{name}_scores")
            self._product("MatMul", "shares", query, f"{name}_context")

    def model(self) -> Any:
        """The graph, whose output depends on every product and is cheap."""
        self._node("Concat", self.corners, "logits", axis=0)
        graph = helper.make_graph(
            self.nodes,
            "floor",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "s"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n"])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    def _inputs(self) -> None:
        """Activations of the batch's size: one fill at the start, shared by all layers."""
        head = self.width // self.heads
        for name, numbers in (("one", [1]), ("zero", [0]), ("heads", [self.heads])):
            self._constant(name, np.array(numbers, dtype=np.int64))
        self._constant("head", np.array([head], dtype=np.int64))
        self._constant("flat", np.array([-1], dtype=np.int64))
        self._node("Shape", ["input_ids"], "batch", end=1)
        self._node("Shape", ["input_ids"], "length", start=1)
        self._node("Mul", ["batch", "length"], "rows")
        for name, width in (("hidden", self.width), ("inner", self.inner)):
            self._constant(f"{name}_width", np.array([width], dtype=np.int64))
            self._filled(name, ["rows", f"{name}_width"], np.uint8)
        if self.attention:
            self._filled("key", ["batch", "heads", "head", "length"], np.float32)
            self._filled("shares", ["batch", "heads", "length", "length"], np.float32)

    def _filled(self, name: str, dimensions: list[str], kind: type, number: float = 3) -> None:
        self._node("Concat", dimensions, f"{name}_shape", axis=0)
        value = numpy_helper.from_array(np.array([number], dtype=kind))
        self._node("ConstantOfShape", [f"{name}_shape"], name, value=value)

    def _product(self, operator: str, left: str, right: str, output: str = "") -> None:
        output = output or f"{right}_product"
        self._node(operator, [left, right], output)
        self._node("Slice", [output, "zero", "one"], f"{output}_first")
        self._node("Reshape", [f"{output}_first", "flat"], f"{output}_flat")
        self._node("Slice", [f"{output}_flat", "zero", "one"], f"{output}_one")
        self._node("Cast", [f"{output}_one"], f"{output}_corner", to=TensorProto.FLOAT)
        self.corners.append(f"{output}_corner")

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))

    def _constant(self, name: str, value: Any) -> None:
        self.weights.append(numpy_helper.from_array(value, name))
