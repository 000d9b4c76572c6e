from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glp_export.artifact import describe, open_session, predict_onnx
from glp_export.artifact.batches import by_length, pad_rows
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.core.errors import UsageError
from glp_export.precision.int8.mixed_precision import divergence
from glp_export.precision.int8.smoothquant import smooth_graph
from tests.exported import THREADS
from tests.precision.int8.outlier_channel import OUTLIER_MATMUL, dynamic_int8, outlier_graph


@pytest.fixture(scope="module")
def has_outliers(tmp_path_factory):
    """A graph that int8 spoils in one product."""
    return outlier_graph(tmp_path_factory.mktemp("outlier"))


@pytest.fixture
def batches(encoded, tokenizer):
    return [pad_rows(encoded, rows, tokenizer) for rows in by_length(encoded, 8)]


@pytest.fixture
def predictions(encoded, tokenizer, tmp_path):
    """Logits of a graph or a file on the forty sentences."""

    def run(graph):
        path = graph if isinstance(graph, Path) else write_graph(graph, tmp_path / "run.onnx")
        return predict_onnx(open_session(path, threads=THREADS), encoded, tokenizer)

    return run


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8, 1.0])
def test_a_smoothed_graph_computes_what_it_did(has_outliers, batches, predictions, alpha):
    # fp32 sums of numbers scaled by up to 200 and back.
    np.testing.assert_allclose(
        predictions(smooth_graph(has_outliers, batches, alpha=alpha)),
        predictions(has_outliers),
        atol=1e-4,
    )


def test_int8_suffers_less_from_a_loud_channel_when_smoothed(
    has_outliers, batches, predictions, tmp_path
):
    wanted = predictions(has_outliers)
    plain = dynamic_int8(has_outliers, tmp_path / "plain.onnx")
    smoothed = dynamic_int8(smooth_graph(has_outliers, batches), tmp_path / "smoothed.onnx")
    # Measured a hundred times nearer; half leaves room for other kernels.
    assert divergence(predictions(smoothed), wanted) < divergence(predictions(plain), wanted) / 2


def test_only_the_named_products_are_smoothed(has_outliers, batches):
    smoothed = smooth_graph(has_outliers, batches, names=[OUTLIER_MATMUL])
    added = len(smoothed.graph.node) - len(has_outliers.graph.node)
    reads = {node.name: list(node.input) for node in smoothed.graph.node}
    changed = [
        node.name for node in has_outliers.graph.node if reads[node.name] != list(node.input)
    ]
    assert added == 1
    assert changed == [OUTLIER_MATMUL]


def test_products_of_one_input_share_one_division(bert, batches):
    graph = read_graph(bert.file.path, weights=True)
    smoothed = smooth_graph(graph, batches)
    divisions = [node for node in smoothed.graph.node if node.name.endswith("/Smooth")]
    # A layer's query, key and value have one input; output, in and out have one each; so do the
    # pooler and the classifier.
    assert len(divisions) == 4 * 4 + 2
    assert describe(bert.file.path).nodes + len(divisions) == len(smoothed.graph.node)


def test_the_matrices_are_not_there_twice(bert, batches):
    graph = read_graph(bert.file.path, weights=True)
    assert smooth_graph(graph, batches).ByteSize() < 1.1 * graph.ByteSize()


def test_the_graph_that_was_given_stays_as_it_was(has_outliers, batches):
    before = has_outliers.SerializeToString(deterministic=True)
    smooth_graph(has_outliers, batches)
    assert has_outliers.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"alpha": 1.2}, "alpha"), ({"names": ["nothing"]}, "nothing")],
)
def test_what_cannot_be_smoothed_is_refused(has_outliers, batches, wrong, said):
    with pytest.raises(UsageError, match=said):
        smooth_graph(has_outliers, batches, **wrong)


def test_without_batches_nothing_is_guessed(has_outliers):
    with pytest.raises(UsageError, match="batches"):
        smooth_graph(has_outliers, [])
