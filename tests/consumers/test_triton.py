from __future__ import annotations

import json
import shutil

import pytest

from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def test_config(classifier, tmp_path, ran):
    """`--triton` writes a `config.pbtxt` that parses into the published `ModelConfig`, keeps the \
    server's rules and fits the graph, wherever the repository is copied."""
    import onnxruntime

    (made,) = (classifier.root / "triton").iterdir()
    model = shutil.copytree(made, tmp_path / made.name)
    found = run_python("triton", "triton_config.py", model / "config.pbtxt")
    config = found["config"]
    # Rules: core/src/model_config_utils.cc of triton-inference-server.
    assert config["name"] == model.name
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] >= 1
    assert "dynamic_batching" in config
    assert config["instance_group"] == [{"kind": "KIND_CPU", "count": 1}]
    session = onnxruntime.InferenceSession(model / "1" / config["default_model_filename"])
    for nodes, tensors in (
        (session.get_inputs(), config["input"]),
        (session.get_outputs(), config["output"]),
    ):
        assert [node.name for node in nodes] == [tensor["name"] for tensor in tensors]
        for node, tensor in zip(nodes, tensors, strict=True):
            assert node.shape[0] == "batch_size"
            sizes = [size if isinstance(size, int) else -1 for size in node.shape[1:]]
            assert [int(size) for size in tensor["dims"]] == sizes
            assert tensor["data_type"] == {"tensor(int64)": "TYPE_INT64"}.get(
                node.type, "TYPE_FP32"
            )
    (output,) = config["output"]
    labels = (model / output["label_filename"]).read_text().splitlines()
    assert labels == [classifier.labels[key] for key in sorted(classifier.labels)]
    serving = json.loads((classifier.root / "ort_config.json").read_text())["serving"]
    (fastest, *_) = serving["providers"]["CPUExecutionProvider"]["files"]
    served = (model / "1" / config["default_model_filename"]).read_bytes()
    assert served == (classifier.root / "onnx" / fastest["name"]).read_bytes()
    threads = config["parameters"]["intra_op_thread_count"]["string_value"]
    assert int(threads) == serving["threads"]
    ran("Triton", {"rules": "core/src/model_config_utils.cc at 05295b7", **found["versions"]})
