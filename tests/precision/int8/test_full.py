"""Full int8: QDQ files whose every product has integers to multiply, and who computes them so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from glp_export.artifact import OnnxFile, export_onnx, open_session
from glp_export.artifact.onnx_file import read_graph
from glp_export.artifact.session import run_batch
from glp_export.core.errors import DataError, UsageError
from glp_export.precision.int8 import Int8Recipe, any_ranges, find_matmuls, quantise, ranges_of
from glp_export.precision.int8.weights import LARGEST, SEVEN_BITS
from glp_export.precision.kernels import count_kernels
from glp_export.serve import openvino_session
from glp_export.serve.runtimes import ONNX_RUNTIME, OPENVINO
from tests.exported import Exported
from tests.precision.int8.conftest import batch, rows
from tests.precision.int8.test_matmuls import WIDTH
from tests.precision.int8.test_quantise import assert_close, logits

FULL = Int8Recipe(scope="full", mode="static")
LAYERS = 4
# Of each layer query, key, value, output, two of the feed-forward block, scores and context; of the
# last, for one token, the first, output and feed-forward; the pooler.
INTEGER = 8 * (LAYERS - 1) + 4 + 1
# What stands for keys and values there, which are two products each, and the classifier.
IN_FLOAT = 2 * 2 + 1


@pytest.fixture(scope="module")
def full(bert: Exported, tmp_path_factory: pytest.TempPathFactory) -> OnnxFile:
    output = tmp_path_factory.mktemp("full") / "model_quantized.onnx"
    return quantise(bert.file, output, bert.checkpoint, FULL, batches=rows(32, seed=9))


def producers(file: OnnxFile) -> tuple[list[Any], dict[str, Any]]:
    """Nodes, and which makes a tensor."""
    nodes = list(read_graph(file.path, weights=True).graph.node)
    return nodes, {name: node for node in nodes for name in node.output}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("deberta-v2", "modernbert")]


@pytest.mark.parametrize("family", ["bert", "mpnet", *SLOW])
def test_logits_stay_close_to_fp32(
    export: Callable[..., Exported], family: str, tmp_path: Path
) -> None:
    made = export(family)
    output = tmp_path / "model_quantized.onnx"
    file = quantise(made.file, output, made.checkpoint, FULL, batches=rows(32, seed=9))
    assert file.precision == "int8"
    # Attention's products round twice more, on what random weights spread widely.
    assert_close(logits(file, rows(64)), logits(made.file, rows(64)), 0.97)


def test_the_only_layer_reads_embeddings(export: Callable[..., Exported], tmp_path: Path) -> None:
    made = export("bert", layers=1)
    output = tmp_path / "model_quantized.onnx"
    file = quantise(made.file, output, made.checkpoint, FULL, batches=rows(32, seed=9))
    assert_close(logits(file, rows(64)), logits(made.file, rows(64)))
    (own, *_) = count_kernels(file.path, batch(5, 11))
    assert sum(own.in_float.values()) == IN_FLOAT


def test_every_product_reads_integers_in_operators_of_the_standard(full: OnnxFile) -> None:
    nodes, made_by = producers(full)
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    products = [node for node in nodes if node.op_type in ("MatMul", "Gemm")]
    inputs = [[made_by.get(name) for name in node.input[:2]] for node in products]
    integer = [
        all(node is not None and node.op_type == "DequantizeLinear" for node in pair)
        for pair in inputs
    ]
    assert (sum(integer), len(integer)) == (INTEGER, INTEGER + IN_FLOAT)


def test_its_bytes_are_known_without_texts(bert: Exported, full: OnnxFile, tmp_path: Path) -> None:
    ranges = any_ranges(bert.file, FULL)
    made = quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, FULL, ranges=ranges)
    assert made.bytes == pytest.approx(full.bytes, rel=0.001)  # a zero point has a byte or two


def test_tables_are_integers_and_softmax_is_rounded_with_an_exact_zero(full: OnnxFile) -> None:
    graph = read_graph(full.path, weights=True).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes, made_by = producers(full)
    tables = [values[n.input[0]] for n in nodes if n.op_type == "Gather" and n.input[0] in values]
    assert {table.dtype for table in tables if table.ndim == 2 and table.shape[1] > 1} == {
        np.dtype(np.int8)
    }
    rounded = [
        [values[name] for name in node.input[1:3]]
        for node in nodes
        if node.op_type == "QuantizeLinear" and made_by[node.input[0]].op_type == "Softmax"
    ]
    assert [(zero.dtype, int(zero)) for _, zero in rounded] == [(np.uint8, 0)] * (LAYERS - 1)
    # A text shorter than all that were seen has larger probabilities, up to 1.
    assert [float(scale) for scale, _ in rounded] == pytest.approx([1 / 255] * (LAYERS - 1))


def test_probabilities_range_to_1_where_another_shape_of_them_is_rounded(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    made = export("deberta-v2")
    output = tmp_path / "model_quantized.onnx"
    file = quantise(made.file, output, made.checkpoint, FULL, batches=rows(32, seed=9))
    nodes, made_by = producers(file)
    graph = read_graph(file.path, weights=True).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    reshaped = {
        node.input[1]: made_by[node.input[0]]
        for node in nodes
        if node.op_type == "QuantizeLinear" and made_by[node.input[0]].op_type == "Reshape"
    }
    scales = [
        float(values[scale])
        for scale, node in reshaped.items()
        if node.input[0] in made_by and made_by[node.input[0]].op_type == "Softmax"
    ]
    assert scales == pytest.approx([1 / 255] * len(scales))
    assert len(scales) >= LAYERS - 1


@pytest.mark.parametrize("steps", [LARGEST, SEVEN_BITS])
def test_attention_reads_signed_bytes_where_no_sum_of_them_overflows(
    bert: Exported, steps: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("glp_export.precision.int8.qdq.steps_here", lambda: steps)
    file = quantise(
        bert.file, tmp_path / "model.onnx", bert.checkpoint, FULL, batches=rows(32, seed=9)
    )
    nodes, made_by = producers(file)
    graph = read_graph(file.path, weights=True).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zeros = [
        values[reader.input[2]]
        for node in nodes
        if node.op_type == "MatMul"
        if len(both := [made_by[name] for name in node.input if name in made_by]) == 2
        for reader in both
        if reader.op_type == "DequantizeLinear" and reader.input[0] in made_by
        if made_by[reader.input[0]].op_type == "QuantizeLinear"
    ]
    signed = [zero for zero in zeros if zero.dtype == np.int8]
    # Queries, keys and values; probabilities are never below zero.
    assert len(signed) == (3 * (LAYERS - 1) if steps == LARGEST else 0)
    assert not any(signed)


def test_weights_that_are_multiplied_in_float_are_stored_in_integers(full: OnnxFile) -> None:
    graph = read_graph(full.path, weights=True).graph
    values = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    stacked = [value.dtype for value in values if value.ndim == 3 and value.size >= WIDTH * WIDTH]
    assert stacked == [np.int8, np.int8]


def test_padding_does_not_leak(full: OnnxFile) -> None:
    session = open_session(full.path, threads=1)
    padded = batch(5, 11, 8)
    together = run_batch(session, padded)
    for row, length in enumerate((5, 11, 8)):
        alone = {name: value[row : row + 1, :length] for name, value in padded.items()}
        # As in test_quantise.py: a step of one activation, not of all.
        np.testing.assert_allclose(run_batch(session, alone)[0], together[row], atol=0.05)


def test_onnx_runtime_computes_in_integers_what_the_file_says(full: OnnxFile) -> None:
    found = {count.runtime: count for count in count_kernels(full.path, batch(5, 11))}
    own = found[ONNX_RUNTIME]
    assert sum(own.integer.values()) == INTEGER
    assert sum(own.in_float.values()) == IN_FLOAT
    assert own.beside["Softmax"] == LAYERS
    assert f"{INTEGER} of {INTEGER + IN_FLOAT} products in integers" in own.words


@pytest.mark.skipif(not openvino_session.installed(), reason="openvino is not installed")
@pytest.mark.parametrize("family", ["bert", "electra"])
def test_openvino_is_counted_by_its_own_graph(
    export: Callable[..., Exported], family: str, tmp_path: Path
) -> None:
    made = export(family)
    file = quantise(
        made.file, tmp_path / "model.onnx", made.checkpoint, FULL, batches=rows(32, seed=9)
    )
    found = {count.runtime: count for count in count_kernels(file.path, batch(5, 11))}
    own = found[OPENVINO]
    # Whether attention's products are integers depends on the CPU; those with a weight are.
    assert own.integer["FullyConnected"] == 6 * (LAYERS - 1) + 4 + 1
    assert sum(own.integer.values()) + sum(own.in_float.values()) == INTEGER + IN_FLOAT


def test_products_and_tables_kept_in_float(bert: Exported, tmp_path: Path) -> None:
    kept = frozenset({"embeddings", "layer.1.attention.scores", "layer.2.attention.qkv"})
    recipe = Int8Recipe(scope="full", mode="static", keep_float=kept)
    ranges = ranges_of(bert.file, recipe, rows(32), tmp_path / "ranges.onnx")
    file = quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe, ranges=ranges)
    (own, *_) = count_kernels(file.path, batch(5, 11))
    assert sum(own.in_float.values()) == IN_FLOAT + 1 + 3
    assert_close(logits(file, rows(64)), logits(bert.file, rows(64)))


def test_names_of_attentions_products(bert: Exported) -> None:
    more = {one.name for one in find_matmuls(bert.file, "full")} - {
        one.name for one in find_matmuls(bert.file)
    }
    roles = ("scores", "context")
    assert more == {f"layer.{n}.attention.{role}" for n in range(LAYERS) for role in roles}


def test_operators_of_an_opset_without_scales_by_channel_are_refused(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    checkpoint = export("mpnet").checkpoint
    target = tmp_path / "onnx" / "model.onnx"
    old = export_onnx(checkpoint, target, export_task="text-classification", opset=12)
    with pytest.raises(UsageError, match="opset 13"):
        quantise(old, tmp_path / "model.onnx", checkpoint, FULL, batches=rows(32))
    made = quantise(old, tmp_path / "model.onnx", checkpoint)
    assert_close(logits(made, rows(64)), logits(old, rows(64)))


def test_dynamic_ranges_are_refused(bert: Exported, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs static ranges"):
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, Int8Recipe(scope="full"))


def test_texts_that_are_all_alike(bert: Exported, tmp_path: Path) -> None:
    alike = [{name: np.repeat(value, 4, axis=0) for name, value in batch(6).items()}] * 8
    with pytest.raises(DataError, match="1 of the 32 given differ") as caught:
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, FULL, batches=alike)
    assert caught.value.exit_code == 7
