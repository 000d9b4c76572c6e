"""An encoder that int8 spoils in one product, and int8 files as ONNX Runtime makes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glp_export.artifact import export_onnx
from glp_export.artifact.onnx_file import read_graph
from glp_export.core.quiet import quiet
from glp_export.precision.int8.weights import LARGEST, steps_here
from tests.exported import EXPORT_TASK, SPREAD
from tests.tiny import make_checkpoint

OUTLIER_MATMUL = "/bert/encoder/layer.2/attention/output/dense/MatMul"
"""The matmul of `outlier_graph` whose input has an outlier channel."""


def outlier_graph(directory: Path) -> Any:
    """A classifier with one channel two hundred times as large as the others of its tensor.

    What `value` puts into the channel, `output` takes out again, so no answer changes in fp32.
    """
    from transformers import AutoModelForSequenceClassification

    make_checkpoint(directory, num_labels=2, **SPREAD)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    attention = model.bert.encoder.layer[2].attention
    attention.self.value.weight.data[5] *= 200
    attention.self.value.bias.data[5] *= 200
    attention.output.dense.weight.data[:, 5] /= 200
    model.save_pretrained(directory)
    exported = export_onnx(directory, directory / "model.onnx", export_task=EXPORT_TASK)
    return read_graph(exported.path, weights=True)


def product_names(model: Any) -> list[str]:
    """The MatMul nodes with a constant matrix."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in constants
    ]


def dynamic_int8(model: Any, path: Path, keep_float: Iterable[str] = ()) -> Path:
    """A dynamic int8 file of a graph, its weights in s8 by channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            model,
            str(path),
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=sorted(keep_float),
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=steps_here() < LARGEST,  # as our files, whose sums must not overflow
        )
    return path
