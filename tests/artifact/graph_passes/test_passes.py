from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from glp_export.artifact import export_onnx, open_session
from glp_export.artifact.export import require_standard
from glp_export.artifact.graph_passes.graph import GraphView
from glp_export.artifact.graph_passes.passes import PASSES
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.artifact.session import run_batch
from glp_export.precision.int8.matmuls import locate
from tests.exported import SPREAD, Exported
from tests.precision.int8.conftest import batch
from tests.tiny import make_config, make_tokenizer

ROUNDING = 2e-5
"""fp32 sums in another order differ by 3e-6 of logits near 1 here; a wrong row by 1e-1."""

ABSORBED = ["bert", "roberta", "electra", "distilbert", "mpnet"]
FAMILIES = [*ABSORBED, "deberta-v2", "modernbert"]


def formed(exported: Exported, graph_pass: str, path: Path) -> Path:
    model = read_graph(exported.file.path)
    PASSES[graph_pass](model)
    require_standard(model, path)
    return write_graph(model, path)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("graph_pass", ["lean", "first-token"])
def test_form_computes_the_same_numbers(
    export: Callable[..., Exported], family: str, graph_pass: str, tmp_path: Path
) -> None:
    made = export(family)
    before = open_session(made.file.path, threads=1)
    after = open_session(formed(made, graph_pass, tmp_path / "model.onnx"), threads=1)
    for lengths in ([7], [1], [9, 4, 6], [16, 16]):
        feeds = batch(*lengths)
        expected = run_batch(before, feeds)
        np.testing.assert_allclose(run_batch(after, feeds), expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_last_layer_is_computed_for_one_token(
    export: Callable[..., Exported], family: str, tmp_path: Path
) -> None:
    made = export(family)
    widths = _tokens_read(formed(made, "first-token", tmp_path / "model.onnx"), length=9)
    assert widths["layer.3.feed_forward.in"] == {1}
    assert widths["layer.3.attention.output"] == {1}
    # Queries alone are left, but where keys are turned by position or met by relative ones.
    assert (9 in widths["layer.3.attention.qkv"]) == (family not in ABSORBED)
    assert widths["layer.2.feed_forward.out"] == {9}


def test_head_that_reads_all_tokens_keeps_all_layers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModelForTokenClassification

    config = make_config("bert", 2, num_labels=3, **SPREAD)
    AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    file = export_onnx(tmp_path, tmp_path / "model.onnx", export_task="token-classification")
    caplog.set_level(logging.INFO)
    path = formed(Exported(tmp_path, file), "first-token", tmp_path / "formed.onnx")
    assert "every layer is computed whole" in caplog.text
    expected = run_batch(open_session(file.path, threads=1), batch(7, 5))
    found = run_batch(open_session(path, threads=1), batch(7, 5))
    np.testing.assert_allclose(found, expected, atol=ROUNDING, rtol=0)


def test_layers_ask_for_no_shapes(bert: Exported, tmp_path: Path) -> None:
    model = read_graph(formed(bert, "lean", tmp_path / "model.onnx"))
    asked = [node.input[0] for node in model.graph.node if node.op_type == "Shape"]
    assert asked  # positions and mask depend on the batch's size
    assert not [name for name in asked if "layer." in name]


def _tokens_read(path: Path, length: int) -> dict[str, set[int]]:
    """How many tokens the nodes of each product read, in a batch of one row."""
    model = read_graph(path)
    read = {
        one.matmul.name: [node.input[0] for node in one.nodes]
        for one in locate(GraphView(model))
        if one.matmul.layer is not None
    }
    names = sorted({name for tensors in read.values() for name in tensors})
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = open_session(write_graph(model, path.with_name("exposed.onnx")), threads=1)
    wanted: Any = {node.name for node in session.get_inputs()}
    feeds = {name: value for name, value in batch(length).items() if name in wanted}
    tokens = dict(zip(names, (v.shape[1] for v in session.run(names, feeds)), strict=True))
    return {product: {tokens[name] for name in tensors} for product, tensors in read.items()}
