from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper

from glp_export.artifact.graph_passes import PASSES
from glp_export.artifact.onnx_file import read_graph
from glp_export.precision.int8 import MatMul, find_matmuls
from tests.exported import Exported

LAYERS, WIDTH, INNER, VOCABULARY, LABELS = 4, 32, 64, 23, 2

LAYER = (
    ("attention.qkv", WIDTH, 3 * WIDTH),
    ("attention.output", WIDTH, WIDTH),
    ("feed_forward.in", WIDTH, INNER),
    ("feed_forward.out", INNER, WIDTH),
)

EXPECTED = [
    MatMul("embeddings", None, "embeddings", VOCABULARY, WIDTH),
    *(
        MatMul(f"layer.{layer}.{role}", layer, role, rows, columns)
        for layer in range(LAYERS)
        for role, rows, columns in LAYER
    ),
    MatMul("pooler", None, "pooler", WIDTH, WIDTH),
    MatMul("classifier", None, "classifier", WIDTH, LABELS),
]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "mpnet"])
def test_products_of_a_classifier(export: Callable[..., Exported], family: str) -> None:
    assert list(find_matmuls(export(family).file)) == EXPECTED


def test_narrow_embeddings_have_a_projection(export: Callable[..., Exported]) -> None:
    found = find_matmuls(export("albert").file)
    projection = MatMul("embeddings.projection", None, "embeddings.projection", WIDTH, WIDTH)
    assert list(found) == [EXPECTED[0], projection, *EXPECTED[1:]]


def test_one_product_for_query_key_and_value_and_gated_feed_forward(
    export: Callable[..., Exported],
) -> None:
    found = {matmul.name: matmul for matmul in find_matmuls(export("modernbert").file)}
    assert found["layer.3.attention.qkv"].columns == 3 * WIDTH
    assert found["layer.3.feed_forward.in"].columns == 2 * INNER  # the gate beside it


@pytest.mark.parametrize("form", PASSES)
def test_rewritten_graph_has_the_same_products(bert: Exported, form: str) -> None:
    model = read_graph(bert.file.path)
    PASSES[form](model)
    assert list(find_matmuls(model)) == EXPECTED


def test_graph_that_is_no_encoder_has_numbered_products() -> None:
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "b"], ["y"], transB=1),
        ],
        "two products",
        [tensor("x", TensorProto.FLOAT, ["batch_size", 3])],
        [tensor("y", TensorProto.FLOAT, ["batch_size", 5])],
        [
            helper.make_tensor("a", TensorProto.FLOAT, (3, 4), [0.5] * 12),
            helper.make_tensor("b", TensorProto.FLOAT, (5, 4), [0.5] * 20),
        ],
    )
    model: onnx.ModelProto = helper.make_model(graph)
    assert find_matmuls(model) == (
        MatMul("product.0", None, "product.0", 3, 4),
        MatMul("product.1", None, "product.1", 4, 5),
    )
