"""A float graph as a QDQ file: every product between DequantizeLinears, in standard operators.

ONNX Runtime's own quantiser writes it. What it does not know: which products are attention's, that
a table needs a scale for each entry, and that outputs stay in float. By its defaults it quantises
outputs, sums and softmax too, masks of -3e38 among their inputs, and the answers are lost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from glp_export.artifact.graph_passes.graph import GraphView, name_nodes, read_directly
from glp_export.core.quiet import quiet
from glp_export.precision.int8.matmuls import TABLE, Located
from glp_export.precision.int8.rewrite import Ranges, Rewriter
from glp_export.precision.int8.weights import LARGEST, steps_here

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

OPERATORS = ("MatMul", "Gemm")


def activations_of(view: GraphView, located: Sequence[Located]) -> list[str]:
    """The float tensors that some products read, in the order of the graph, whose ranges count."""
    read = [name for node in _products(located) for name in node.input[:2]]
    return [name for name in dict.fromkeys(read) if view.dimensions(name) is None]


def to_qdq(model: ModelProto, located: Sequence[Located], ranges: Ranges) -> ModelProto:
    """Make the inputs of some products, and tables, integers.

    Weights get a scale for each output channel, tables one for each entry, activations one in all,
    whose range holds zero: what is masked stays exactly zero, and padding too.

    Args:
        model: a float graph, weights in memory; it is used up.
        located: what becomes integers.
        ranges: of every tensor of `activations_of`.
    """
    # Looked up, integers cannot overflow on any CPU.
    tables = [one for one in located if one.matmul.role == TABLE]
    stored = [replace(one, nodes=()) for one in located if one.stored]
    outputs = {node.output[0] for node in _products(located)}
    Rewriter(model, per_channel=True, ranges=None, table_steps=LARGEST).apply(tables + stored)
    read_directly(model)
    name_nodes(model.graph)
    names = [node.name for node in model.graph.node if node.output[0] in outputs]
    return _quantised(model, names, _signed(model, outputs, ranges), ranges) if names else model


def _products(located: Sequence[Located]) -> list[NodeProto]:
    return [node for one in located for node in one.nodes if node.op_type != "Gather"]


def _signed(model: ModelProto, products: Collection[str], ranges: Ranges) -> list[str]:
    """What attention's products read and goes below zero: queries, keys, values.

    Signed bytes around zero have no zero point to take away, so that OpenVINO computes scores,
    softmax and context in integers, as one; with a zero point it falls back to floats. Where pairs
    of products overflow, ONNX Runtime needs two unsigned operands, which it multiplies another way.
    """
    if steps_here() < LARGEST:
        return []
    view = GraphView(model)
    both = [
        node.input[:2]
        for node in view.nodes
        if node.output[0] in products and view.dimensions(node.input[1]) is None
    ]
    return sorted({name for pair in both for name in pair if ranges[name][0] < 0})


def _quantised(
    model: ModelProto, names: list[str], signed: Sequence[str], ranges: Ranges
) -> ModelProto:
    import numpy as np
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

    found = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    with quiet():
        quantizer = QDQQuantizer(
            save_and_reload_model_with_shape_infer(model),
            True,  # a scale for each output channel
            steps_here() < LARGEST,  # weights of 7 bits
            QuantType.QInt8,
            QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, found),
            names,
            [],
            list(OPERATORS),
            {
                "OpTypesToExcludeOutputQuantization": list(OPERATORS),
                # Else the residual branch would read the rounded tensor as well.
                "DedicatedQDQPair": True,
                "TensorQuantOverrides": {
                    name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in signed
                },
            },
        )
        quantizer.quantize_model()
    quantised: ModelProto = quantizer.model.model
    return quantised
