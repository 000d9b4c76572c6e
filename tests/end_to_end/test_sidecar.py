"""A model whose weights lie beside the graph, as those past 2 GB do, through every command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout, onnx_file
from glp_export.artifact.onnx_file import read_graph, sidecar
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from tests.end_to_end.conftest import EASY, MEASURING, TRAINING, command

TEXTS = ["the cat is not good", "", "the dog and the fish and the bird is lovely"]
SHAPE = ("--seq-lens", "16", "--batch-sizes", "1")
CLOSE = {"atol": 1e-4, "rtol": 0}  # fp32 sums in another order; logits are of the order of 1


@pytest.fixture(scope="module")
def artifact(encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, optimised and quantised, with 10 kB in place of 2 GB."""
    output = tmp_path_factory.mktemp("sidecar") / "artifact"
    flags = (*TRAINING, *SHAPE, *MEASURING[:-1], "int8", "--int8-drop", "1")
    search = ("--search", "top", "--distilled", "none", "-q")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_file, "SIDECAR_THRESHOLD", 10_000)
        assert run([*command(encoder, data, *flags), *search, "-o", str(output)]) == 0
    return output


@pytest.fixture(autouse=True)
def _low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "SIDECAR_THRESHOLD", 10_000)


def test_every_file_has_its_own_sidecar_and_nothing_else_lies_there(artifact: Path) -> None:
    layout = ArtifactLayout(artifact)
    files = list(layout.shipped().values())
    assert len(files) >= 2
    names = {path.name for file in files for path in (file, sidecar(file))}
    assert {path.name for path in layout.onnx_dir.iterdir()} == names
    for file in files:
        places = {
            entry.value
            for tensor in read_graph(file).graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        assert places == {f"{file.name}_data"}


def test_sizes_checksums_and_settings_know_of_it(artifact: Path) -> None:
    layout = ArtifactLayout(artifact)
    sizes = {
        row.variant: row.bytes
        for row in BenchmarkFile.load(layout.benchmark).rows
        if (row.contender, row.runtime) == ("pruned", "onnxruntime")
    }
    for file in layout.shipped().values():
        assert sizes[file.name] == file.stat().st_size + sidecar(file).stat().st_size
        assert f"onnx/{file.name}_data" in layout.checksums.read_text()
    assert json.loads(layout.serving.read_text())["use_external_data_format"] is True


def test_a_copy_at_another_place_answers_as_pytorch_does(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    optimum_models = pytest.importorskip("optimum.onnxruntime")

    copy = shutil.copytree(artifact, tmp_path / "elsewhere" / "copy")
    monkeypatch.chdir(tmp_path)
    batch = AutoTokenizer.from_pretrained(copy)(TEXTS, padding=True, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(copy).eval()
    with torch.inference_mode():
        expected = model(**batch).logits.numpy()
    for name in set(ArtifactLayout(copy).shipped()) - {"int8"}:
        served = glp_export.load(copy, variant=name)
        np.testing.assert_allclose(served.logits(TEXTS), expected, err_msg=name, **CLOSE)
    assert glp_export.load(copy, precision="int8").logits(TEXTS).shape == (3, 2)
    optimum = optimum_models.ORTModelForSequenceClassification.from_pretrained(
        copy, subfolder="onnx", file_name="model.onnx"
    )
    np.testing.assert_allclose(optimum(**batch).logits.numpy(), expected, **CLOSE)


def test_a_sidecar_that_is_missing_or_changed_is_told(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(artifact, tmp_path / "copy")
    weights = sidecar(ArtifactLayout(copy).onnx_model)
    with weights.open("ab") as file:
        file.write(b"\0")
    assert run(["verify", str(copy), "-q"]) != 0
    assert weights.name in capsys.readouterr().err
    weights.unlink()
    assert run(["verify", str(copy), "-q"]) != 0
    assert weights.name in capsys.readouterr().err


def test_verify_benchmark_and_gate_take_it(artifact: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(artifact, tmp_path / "copy")
    assert run(["verify", str(copy), "-q"]) == 0
    assert run(["benchmark", str(copy), "-q"]) == 0
    ArtifactLayout(copy).budget.write_text(EASY + EASY.replace("fp32", "int8"))
    assert run(["gate", str(copy), "-q", "--max-seconds", "5", "--threads", "1"]) == 0


def test_a_checkpoint_is_exported_with_one_in_every_precision(
    artifact: Path, tmp_path: Path
) -> None:
    arguments = ["export", str(artifact), "-q", "--device", "cpu", "--threads", "1"]
    output = tmp_path / "out"
    assert run([*arguments, "--precision", "int8", "-o", str(output)]) == 0
    for file in ArtifactLayout(output).shipped().values():
        assert sidecar(file).is_file()


def test_fp16_has_one_too(artifact: Path, tmp_path: Path) -> None:
    from glp_export.artifact import describe, open_session
    from glp_export.precision.fp16 import to_fp16

    source = describe(ArtifactLayout(artifact).onnx_model)
    half = to_fp16(source, tmp_path / "model_fp16.onnx", "fp16", artifact)
    assert sidecar(half.path).is_file()
    # Half, and a tensor or two that is too small now to leave the graph.
    assert sidecar(half.path).stat().st_size <= 0.5 * sidecar(source.path).stat().st_size
    assert open_session(half.path, provider="CPUExecutionProvider", threads=1)
