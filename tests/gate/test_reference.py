"""The unpruned model of a gate is made the way the artifact's own file was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import export_onnx
from glp_export.artifact.modules import load_fp32
from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder import random_init_reference
from glp_export.gate.budget import BudgetTable
from glp_export.gate.reference import CONVERSIONS, unpruned_reference
from tests.exported import AUTO_CLASS, EXPORT_TASK, Exported


@pytest.mark.parametrize("name", ["full int8", "smooth full int8"])
def test_full_int8_without_texts(bert: Exported, tmp_path: Path, name: str) -> None:
    file = CONVERSIONS[name](bert.file, tmp_path / "model_quantized.onnx", bert.checkpoint)
    assert file.precision == "int8"
    assert file.optimisation.startswith("full int8")


def test_an_optimised_int8_reference_is_refused_by_its_table() -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match="plain graph, not of one at O2") as caught:
        unpruned_reference(nothing, nothing, BudgetTable("cpu", "int8", (), "O2"), nothing)
    assert caught.value.where == "[cpu.int8]"


@pytest.mark.parametrize(
    "change",
    [{"hidden_dropout_prob": -1}, {"initializer_range": ["x"]}, {"type_vocab_size": 10**30}],
)
def test_a_configuration_that_makes_no_model_is_named(
    bert: Exported, tmp_path: Path, change: dict[str, Any]
) -> None:
    artifact = shutil.copytree(bert.checkpoint, tmp_path / "artifact")
    config = artifact / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match="configuration") as caught:
        random_init_reference(artifact, 2, AUTO_CLASS, tmp_path / "reference")
    assert str(artifact) in str(caught.value)


@pytest.mark.parametrize("exporter", ["optimum", "torch"])
def test_a_model_that_cannot_be_run_is_not_exported(
    bert: Exported, tmp_path: Path, exporter: str
) -> None:
    if exporter == "optimum":
        pytest.importorskip("optimum.onnxruntime", reason="needs the optimum extra")
    model = load_fp32(bert.checkpoint, AUTO_CLASS)
    model.bert.encoder.layer[0].intermediate.intermediate_act_fn = None
    with pytest.raises(ModelError, match="cannot"):
        export_onnx(model, tmp_path / "m.onnx", export_task=EXPORT_TASK, exporter=exporter)
