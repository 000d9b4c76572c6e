from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from glp_export.artifact import OnnxFile, describe, export_onnx, open_session, optimise
from glp_export.artifact.graph_passes import PASSES
from glp_export.artifact.onnx_file import read_graph, sidecar, write_graph
from glp_export.artifact.session import run_batch
from glp_export.core.errors import DataError, ModelError, UsageError
from glp_export.precision.int8 import Int8Recipe, find_matmuls, quantise
from glp_export.precision.int8.weights import LARGEST, steps_here
from tests.exported import Exported
from tests.precision.int8.conftest import batch, rows
from tests.tiny import make_checkpoint

AGREEMENT = 0.9
"""Share of rows whose label stays. Random rows lie anywhere, some at the border: of 64 rows the
families here change at most three."""

CORRELATION = 0.99 if steps_here() == LARGEST else 0.98
"""Of the logits with those of fp32. 32 wide, rounding to 256 steps leaves 0.995 and more; a lost
mask, bias or scale leaves less than 0.9. A CPU without integer products gets weights of half as
many steps, whose rounding has four times the variance: 0.98 and more."""

FAMILIES = ["bert", "roberta", "electra", "distilbert", "mpnet", "deberta", "deberta-v2", "albert"]


def logits(file: OnnxFile, batches: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    session = open_session(file.path, threads=1)
    return np.concatenate([run_batch(session, one) for one in batches])


def assert_close(
    found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], correlation: float = CORRELATION
) -> None:
    assert np.isfinite(found).all()
    assert (found.argmax(1) == expected.argmax(1)).mean() >= AGREEMENT
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] >= correlation


def operators(file: OnnxFile) -> Counter[str]:
    return Counter(node.op_type for node in read_graph(file.path).graph.node)


@pytest.mark.parametrize("family", [*FAMILIES, "modernbert"])
def test_logits_stay_close_to_fp32(
    export: Callable[..., Exported], family: str, tmp_path: Path
) -> None:
    made = export(family)
    file = quantise(made.file, tmp_path / "model_quantized.onnx", made.checkpoint)
    assert file.precision == "int8"
    assert_close(logits(file, rows(64)), logits(made.file, rows(64)))


@pytest.mark.parametrize("form", PASSES)
@pytest.mark.parametrize("per_channel", [True, False])
def test_forms_and_scales(bert: Exported, form: str, per_channel: bool, tmp_path: Path) -> None:
    recipe = Int8Recipe(form=form, per_channel=per_channel)
    file = quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe)
    assert_close(logits(file, rows(64)), logits(bert.file, rows(64)))
    assert form in file.optimisation


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_static_ranges(bert: Exported, calibration: Any, tmp_path: Path) -> None:
    recipe = Int8Recipe(mode="static", calibration=calibration)
    output = tmp_path / "model.onnx"
    file = quantise(bert.file, output, bert.checkpoint, recipe, batches=rows(32, seed=9))
    assert "DynamicQuantizeLinear" not in operators(file)
    assert_close(logits(file, rows(64)), logits(bert.file, rows(64)))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_static_without_enough_rows(bert: Exported, tmp_path: Path) -> None:
    recipe = Int8Recipe(mode="static")
    told = "at least 16 different texts to calibrate on, and got 12"
    with pytest.raises(DataError, match=told) as caught:
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe, batches=rows(12))
    assert "dynamic" in str(caught.value.fix)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "mpnet"])
def test_padding_does_not_leak(
    export: Callable[..., Exported], family: str, tmp_path: Path
) -> None:
    made = export(family)
    recipe = Int8Recipe(mode="static")  # its ranges do not depend on who shares the batch
    file = quantise(made.file, tmp_path / "model.onnx", made.checkpoint, recipe, batches=rows(32))
    session = open_session(file.path, threads=1)
    padded = batch(5, 11, 8)
    together = run_batch(session, padded)
    for row, length in enumerate((5, 11, 8)):
        alone = {name: value[row : row + 1, :length] for name, value in padded.items()}
        # A last bit of a sum may tip one activation over a step of 1/255; a mask that leaks
        # changes every one.
        np.testing.assert_allclose(run_batch(session, alone)[0], together[row], atol=0.05)


def test_inputs_and_outputs_stay_as_they_were(bert: Exported, tmp_path: Path) -> None:
    file = quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint)
    before, after = (open_session(path, threads=1) for path in (bert.file.path, file.path))
    for ends in ("get_inputs", "get_outputs"):
        found, expected = getattr(after, ends)(), getattr(before, ends)()
        assert [(e.name, e.type, e.shape) for e in found] == [
            (e.name, e.type, e.shape) for e in expected
        ]
    assert run_batch(after, batch(1)).shape == (1, 2)


def test_query_key_and_value_share_their_input(bert: Exported, tmp_path: Path) -> None:
    recipe = Int8Recipe(form="lean")
    found = operators(quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe))
    layers, pooler = 4, 1  # the classifier's two columns stay in float
    assert found["MatMulIntegerToFloat"] == 6 * layers + pooler
    assert found["DynamicQuantizeLinear"] == 4 * layers + pooler
    assert found["MatMul"] == 2 * layers  # attention's own, of two activations


def test_products_kept_in_float(bert: Exported, tmp_path: Path) -> None:
    kept = frozenset({"embeddings", "layer.1.attention.qkv", "layer.2.feed_forward.out"})
    recipe = Int8Recipe(form="lean", keep_float=kept)
    file = quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe)
    assert operators(file)["MatMulIntegerToFloat"] == 6 * 4 + 1 - 3 - 1
    assert operators(file)["MatMul"] == 2 * 4 + 3 + 1  # attention's own, and those kept
    assert_close(logits(file, rows(64)), logits(bert.file, rows(64)))


def test_unknown_product_to_keep(bert: Exported, tmp_path: Path) -> None:
    recipe = Int8Recipe(keep_float=frozenset({"layer.9.attention.qkv"}))
    with pytest.raises(UsageError, match=r"no matmul layer\.9\.attention\.qkv") as caught:
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe)
    assert "layer.3.attention.qkv" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("recipe", "named"),
    [(Int8Recipe(form="round"), "form 'round'"), (Int8Recipe(mode="fast"), "mode 'fast'")],  # type: ignore[arg-type]
)
def test_unknown_recipe(bert: Exported, tmp_path: Path, recipe: Int8Recipe, named: str) -> None:
    with pytest.raises(UsageError, match=f"no {named}"):
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe)


def test_nothing_left_to_quantise(bert: Exported, tmp_path: Path) -> None:
    everything = frozenset(matmul.name for matmul in find_matmuls(bert.file))
    recipe = Int8Recipe(keep_float=everything)
    with pytest.raises(ModelError, match=r"nothing to quantise: .*besides classifier, e"):
        quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe)


def test_graph_without_products(bert: Exported, tmp_path: Path) -> None:
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "no product",
        [tensor("x", TensorProto.FLOAT, [1])],
        [tensor("y", TensorProto.FLOAT, [1])],
    )
    path = write_graph(helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="nothing to quantise") as caught:
        quantise(describe(path), tmp_path / "int8.onnx", bert.checkpoint)
    assert caught.value.where == str(path)


def test_optimised_file_is_refused(bert: Exported, tmp_path: Path) -> None:
    fused = optimise(bert.file, "O2", tmp_path / "fused.onnx", bert.checkpoint)
    with pytest.raises(UsageError, match="Only a plain fp32 export"):
        quantise(fused, tmp_path / "model.onnx", bert.checkpoint)


def test_sidecar_in_and_out(bert: Exported, tmp_path: Path) -> None:
    model = read_graph(bert.file.path)
    big = describe(write_graph(model, tmp_path / "in" / "model.onnx", threshold=10_000))
    output = tmp_path / "out" / "model_quantized.onnx"
    recipe = Int8Recipe(mode="static")
    file = quantise(
        big, output, bert.checkpoint, recipe, batches=rows(16), sidecar_threshold=10_000
    )
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == [output.name, sidecar(output).name]
    assert_close(logits(file, rows(64)), logits(bert.file, rows(64)))


def test_file_is_about_a_quarter(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "wide", num_labels=2, layers=1, vocab_size=8000)
    source = export_onnx(checkpoint, tmp_path / "model.onnx", export_task="text-classification")
    file = quantise(source, tmp_path / "model_quantized.onnx", checkpoint)
    assert file.bytes < 0.35 * source.bytes  # 32 columns: a scale an entry is one eighth on top


def test_depth_that_is_not_the_configurations_is_said(
    bert: Exported, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_checkpoint(tmp_path / "deep", layers=7, num_labels=2)
    quantise(bert.file, tmp_path / "model.onnx", other)
    assert "the graph shows 4 layers with attention and the model has 7" in caplog.text


def test_quantising_prints_nothing(
    bert: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = Int8Recipe(mode="static", calibration="percentile")
    quantise(bert.file, tmp_path / "model.onnx", bert.checkpoint, recipe, batches=rows(16))
    assert capfd.readouterr() == ("", "")
