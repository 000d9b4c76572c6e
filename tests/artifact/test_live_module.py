"""Modules that no configuration describes are exported, optimised, quantised and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import candidates, check_parity, export_onnx
from glp_export.artifact.exporters import EXPORTERS
from glp_export.artifact.modules import load_fp32
from glp_export.core.errors import ModelError
from glp_export.core.factors import Factors, Preset
from glp_export.encoder.kronecker import factorize
from glp_export.precision.int8 import quantise
from tests.encoder.test_checkpoint import load as load_checkpoint
from tests.exported import AUTO_CLASS, EXPORT_TASK, MAX_LENGTH, SPREAD
from tests.serve.conftest import edit
from tests.tiny import make_checkpoint

EXPORTERS_HERE = [name for name, exporter in EXPORTERS.items() if exporter.available()]


def narrowed(checkpoint: Path) -> Any:
    """BERT whose second layer has 24 neurons and whose third has 8."""
    import torch

    model = load_fp32(checkpoint, AUTO_CLASS)
    for layer, kept in ((1, 24), (2, 8)):
        block = model.bert.encoder.layer[layer]
        wide, narrow = block.intermediate.dense, block.output.dense
        first, second = torch.nn.Linear(32, kept), torch.nn.Linear(kept, 32)
        with torch.no_grad():
            first.weight.copy_(wide.weight[:kept])
            first.bias.copy_(wide.bias[:kept])
            second.weight.copy_(narrow.weight[:, :kept])
            second.bias.copy_(narrow.bias)
        block.intermediate.dense, block.output.dense = first, second
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return narrowed(make_checkpoint(tmp_path_factory.mktemp("wide"), num_labels=2, **SPREAD))


@pytest.fixture
def parity(model: Any, encoded: Any, tokenizer: Any) -> Callable[..., Any]:
    def check(*files: Any) -> Any:
        return check_parity(
            files,
            model,
            encoded,
            tokenizer,
            auto_class=AUTO_CLASS,
            max_length=MAX_LENGTH,
            threads=1,
        )

    return check


@pytest.mark.parametrize("made", ["structure", "kronecker"])
def test_a_small_module_that_was_saved_as_it_is_is_told_how_to_be_saved(
    model: Any, tmp_path: Path, made: str
) -> None:
    """Neither an export nor a new job can load it."""
    small = model
    if made == "kronecker":
        whole = load_fp32(make_checkpoint(tmp_path / "whole", num_labels=2), AUTO_CLASS)
        small = factorize(whole, Preset(Factors((2, 2)), Factors((2, 2)), 8))
    small.save_pretrained(tmp_path)
    for load in (
        lambda: load_fp32(tmp_path, AUTO_CLASS),
        lambda: load_checkpoint(tmp_path),
    ):
        with pytest.raises(ModelError) as caught:
            load()
        assert "plan.expand(model).save_pretrained" in str(caught.value.fix)


def test_a_size_that_is_no_number_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, num_labels=2)
    edit(checkpoint / "config.json", hidden_size="x")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_fp32(checkpoint, AUTO_CLASS)


@pytest.mark.parametrize("exporter", EXPORTERS_HERE)
def test_layers_of_different_width_are_exported(
    model: Any, parity: Callable[..., Any], exporter: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    file = export_onnx(model, path, export_task=EXPORT_TASK, exporter=exporter)
    (found,) = parity(file).files
    assert found.passed
    assert found.max_abs < 1e-4


def test_every_optimised_file_is_right(
    model: Any, parity: Callable[..., Any], tmp_path: Path
) -> None:
    plain = export_onnx(model, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    built = candidates(plain, ["first-token", "O1", "O2"], tmp_path / "built", model)
    assert [file.optimisation for file in built] == ["first-token", "O1", "O2"]
    parity(*built).require()


def test_it_is_quantised(model: Any, parity: Callable[..., Any], tmp_path: Path) -> None:
    plain = export_onnx(model, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    (found,) = parity(quantise(plain, tmp_path / "int8.onnx", model)).files
    assert found.precision == "int8"
    assert found.passed  # nothing but finite numbers: how close they are depends on the CPU


@pytest.mark.parametrize("exporter", EXPORTERS_HERE)
def test_the_module_is_left_as_it_was(model: Any, exporter: str, tmp_path: Path) -> None:
    model.train()
    model.config.return_dict = False
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attention = model.config._attn_implementation
    try:
        export_onnx(model, tmp_path / "m.onnx", export_task=EXPORT_TASK, exporter=exporter)
        assert all(module.training for module in model.modules())
        assert (model.config.return_dict, model.config._attn_implementation) == (False, attention)
        assert "forward" not in vars(model)
        assert all((tensor == before[name]).all() for name, tensor in model.state_dict().items())
    finally:
        model.eval()
        model.config.return_dict = True


def test_a_module_in_half_precision_is_exported_in_fp32(
    tmp_path: Path, encoded: Any, tokenizer: Any
) -> None:
    import torch

    model = narrowed(make_checkpoint(tmp_path / "wide", num_labels=2, **SPREAD)).to(torch.bfloat16)
    file = export_onnx(model, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    report = check_parity(
        [file], model, encoded, tokenizer, auto_class=AUTO_CLASS, max_length=64, threads=1
    )
    report.require()
    assert model.dtype == torch.bfloat16
