from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from glp_export.artifact import export_onnx, open_session
from glp_export.artifact.graph_passes.passes import PASSES
from glp_export.artifact.onnx_file import OnnxFile, read_graph, write_graph
from glp_export.artifact.session import run_batch
from tests.artifact.graph_passes.test_passes import ABSORBED, ROUNDING
from tests.exported import EXPORT_TASK, SPREAD
from tests.precision.int8.conftest import batch
from tests.tiny import make_config, make_tokenizer


def export_with_biases(directory: Path, family: str, **extra: Any) -> OnnxFile:
    """A family's model whose biases are not the zeros that it starts with."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = make_config(family, 2, num_labels=3, **SPREAD, **extra)
    model = AutoModelForSequenceClassification.from_config(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    return export_onnx(directory, directory / "model.onnx", export_task=EXPORT_TASK)


def formed(file: OnnxFile) -> ModelProto:
    model = read_graph(file.path)
    PASSES["first-token"](model)
    return model


def absorbed(model: ModelProto) -> set[str]:
    """Last parts of the names of what stands in place of keys and values."""
    return {node.output[0] for node in model.graph.node if "_absorbed_" in node.output[0]}


@pytest.mark.parametrize("family", ABSORBED)
def test_biases_and_masks_are_kept(family: str, tmp_path: Path) -> None:
    file = export_with_biases(tmp_path, family)
    model = formed(file)
    assert absorbed(model)
    before = open_session(file.path, threads=1)
    after = open_session(write_graph(model, tmp_path / "formed.onnx"), threads=1)
    for lengths in ([7], [1], [9, 4, 6]):
        feeds = batch(*lengths)
        np.testing.assert_allclose(
            run_batch(after, feeds), run_batch(before, feeds), atol=ROUNDING, rtol=0
        )


def test_last_layer_of_one_head_is_absorbed_too(tmp_path: Path) -> None:
    file = export_with_biases(tmp_path, "bert", num_attention_heads=1)
    model = formed(file)
    assert absorbed(model)
    after = open_session(write_graph(model, tmp_path / "formed.onnx"), threads=1)
    feeds = batch(9, 4, 6)
    expected = run_batch(open_session(file.path, threads=1), feeds)
    np.testing.assert_allclose(run_batch(after, feeds), expected, atol=ROUNDING, rtol=0)


def test_weights_that_layers_share_stay(tmp_path: Path) -> None:
    """In another order they would be stored a second time."""
    file = export_with_biases(tmp_path, "albert")
    model = formed(file)
    assert not absorbed(model)
