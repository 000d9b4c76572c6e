from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from glp_export.artifact import ArtifactLayout, triton_name, write_triton
from glp_export.artifact.onnx_file import read_graph, sidecar, write_graph
from glp_export.artifact.serving import serving_settings
from tests.exported import Exported

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
FEEDS = {
    name: np.array([[2, 7, 9, 3], [2, 8, 3, 0]], dtype=np.int64)
    for name in ("input_ids", "attention_mask", "token_type_ids")
} | {
    "attention_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=np.int64),
    "token_type_ids": np.zeros((2, 4), dtype=np.int64),
}


@pytest.fixture
def artifact(bert: Exported, tmp_path: Path) -> Callable[..., ArtifactLayout]:
    """An artifact of two labels, with the settings that a test gives."""

    def make(**changes: object) -> ArtifactLayout:
        layout = ArtifactLayout(shutil.copytree(bert.checkpoint, tmp_path / "out"))
        layout.onnx_dir.mkdir()
        shutil.copyfile(bert.file.path, layout.onnx_model)
        given = {
            "kind": "text-classification",
            "labels": ("bad", "good"),
            "provider": CPU,
            "threads": 2,
            "max_length": 32,
        }
        serving_settings(layout, **{**given, **changes}).save(layout)
        return layout

    return make


def logits(path: Path) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(["logits"], FEEDS)[0]


def test_a_model_is_a_directory_that_can_be_copied_anywhere(artifact, tmp_path):
    layout = artifact()
    made = write_triton(layout, layout.triton, name="mine")
    assert made == layout.root / "triton" / "mine"
    copy = shutil.copytree(layout.triton, tmp_path / "models") / "mine"
    shutil.rmtree(layout.root)
    assert {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} == {
        "config.pbtxt",
        "labels.txt",
        "1/served.onnx",
    }
    assert (copy / "labels.txt").read_text() == "bad\ngood\n"
    assert logits(copy / "1" / "served.onnx").shape == (2, 2)


def test_the_configuration_says_what_the_graph_takes_and_how_it_was_measured(artifact):
    rows = [(CPU, "model.onnx", "16x32", 16, 32, 3.5)]
    layout = artifact(measured=rows)
    text = (write_triton(layout, layout.triton, name="mine") / "config.pbtxt").read_text()
    for part in (
        'name: "mine"',
        'backend: "onnxruntime"',
        "max_batch_size: 16",
        '  name: "input_ids"\n  data_type: TYPE_INT64\n  dims: [ -1 ]\n',
        '  name: "logits"\n  data_type: TYPE_FP32\n  dims: [ 2 ]\n',
        "dynamic_batching { }",
        "kind: KIND_CPU count: 1",
        'key: "intra_op_thread_count" value { string_value: "2" }',
    ):
        assert part in text
    assert text.count("input [") == 3


def test_the_file_that_was_fastest_is_served(artifact):
    layout = artifact()
    shutil.copyfile(layout.onnx_model, layout.variant("fp32-optimized"))
    graph = read_graph(layout.variant("fp32-optimized"), weights=True)
    graph.producer_name = "the other one"
    write_graph(graph, layout.variant("fp32-optimized"))
    rows = [
        (CPU, "model.onnx", "1x32", 1, 32, 3.5),
        (CPU, "model_optimized.onnx", "1x32", 1, 32, 3.0),
    ]
    serving_settings(
        layout,
        kind="text-classification",
        labels=("bad", "good"),
        provider=CPU,
        threads=1,
        max_length=32,
        measured=rows,
    ).save(layout)
    made = write_triton(layout, layout.triton, name="mine")
    assert read_graph(made / "1" / "served.onnx").producer_name == "the other one"
    assert "model_optimized.onnx" in (made / "config.pbtxt").read_text()


def test_on_a_gpu_there_is_one_instance_on_each_and_no_count_of_threads(artifact):
    layout = artifact(provider=CUDA)
    text = (write_triton(layout, layout.triton, name="mine") / "config.pbtxt").read_text()
    assert "kind: KIND_GPU count: 1" in text
    assert "intra_op_thread_count" not in text


@pytest.mark.parametrize("pads", [True, False])
def test_clients_are_told_whether_to_pad(artifact, pads):
    layout = artifact(pads=pads)
    text = (write_triton(layout, layout.triton, name="mine") / "config.pbtxt").read_text()
    assert ("let clients pad" in text) is pads
    assert ("must not pad" in text) is not pads


def test_a_model_without_labels_names_no_file_of_them(artifact):
    layout = artifact(kind="regression", labels=())
    made = write_triton(layout, layout.triton, name="mine")
    assert not (made / "labels.txt").exists()
    assert "label_filename" not in (made / "config.pbtxt").read_text()


def test_large_weights_come_along_under_the_new_name(artifact):
    layout = artifact()
    expected = logits(layout.onnx_model)
    write_graph(read_graph(layout.onnx_model, weights=True), layout.onnx_model, threshold=0)
    assert sidecar(layout.onnx_model).is_file()
    made = write_triton(layout, layout.triton, name="mine") / "1"
    shutil.rmtree(layout.onnx_dir)
    assert (made / "served.onnx_data").stat().st_nlink == 1  # onnx refuses weights with two
    np.testing.assert_array_equal(logits(made / "served.onnx"), expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("trec", "trec"), ("6-layers", "6-layers"), ("my model", "my_model"), ("…", "model")],
)
def test_names_are_safe_in_paths_and_addresses(given, expected):
    assert triton_name(given) == expected
