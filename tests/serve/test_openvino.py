"""An artifact in OpenVINO: opened so where that was fastest, and what happens where it is not."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.artifact.serving import Measured, ServingSettings
from glp_export.core.errors import DeviceError, UsageError
from glp_export.serve import openvino_session
from glp_export.serve.settings import CPU
from tests.serve.conftest import TEXTS, pytorch_logits, settle
from tests.serve.test_alone import ALLOWED, PROGRAM

needs_openvino = pytest.mark.skipif(
    not openvino_session.installed(), reason="openvino is not installed"
)
MEASURED = (
    Measured(CPU, "model.onnx", "1x8", 1, 8, 2.0, "onnxruntime"),
    Measured(CPU, "model_optimized.onnx", "1x8", 1, 8, 1.5, "onnxruntime"),
    Measured(CPU, "model_optimized.onnx", "1x8", 1, 8, 1.2, "openvino"),
    Measured(CPU, "model.onnx", "1x8", 1, 8, 1.0, "openvino"),
)


@pytest.fixture
def fastest_there(artifact: Callable[..., Path], tmp_path: Path) -> Path:
    """Two files, the optimised one fastest in ONNX Runtime, the plain one in OpenVINO by more."""
    root = tmp_path / "artifact"
    shutil.copytree(artifact("bert"), root)
    shutil.copy(root / "onnx" / "model.onnx", root / "onnx" / "model_optimized.onnx")
    settle(ArtifactLayout(root), measured=MEASURED, runtime="openvino")
    return root


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "openvino" else find(name, package),
    )


@needs_openvino
def test_what_was_fastest_in_openvino_runs_there(fastest_there: Path) -> None:
    model = glp_export.load(fastest_there)
    assert (model.runtime, model.path.name, model.provider) == ("openvino", "model.onnx", CPU)
    assert f"openvino, {CPU}" in repr(model)
    # fp32 sums in another order.
    np.testing.assert_allclose(model.logits(TEXTS), pytorch_logits(fastest_there, TEXTS), atol=1e-4)


@needs_openvino
def test_one_that_names_a_provider_or_a_runtime_gets_it(fastest_there: Path) -> None:
    for asked in ({"provider": "cpu"}, {"runtime": "onnxruntime"}):
        model = glp_export.load(fastest_there, **asked)
        assert (model.runtime, model.path.name) == ("onnxruntime", "model_optimized.onnx")
    assert glp_export.load(fastest_there, runtime="openvino", provider="cpu").runtime == "openvino"
    with pytest.raises(UsageError, match="CPU"):
        glp_export.load(fastest_there, runtime="openvino", provider="cuda")
    with pytest.raises(UsageError, match="openvino"):
        glp_export.load(fastest_there, runtime="openvin")


@needs_openvino
def test_a_copy_runs_where_the_model_ran(fastest_there: Path) -> None:
    model = glp_export.load(fastest_there, variant="fp32-optimized")
    again = pickle.loads(pickle.dumps(model))
    assert (again.runtime, again.path.name) == ("openvino", "model_optimized.onnx")
    np.testing.assert_array_equal(again.logits(TEXTS), model.logits(TEXTS))


@needs_openvino
def test_bf16_is_asked_for_by_name(fastest_there: Path) -> None:
    if openvino_session.computes_bf16():
        model = glp_export.load(fastest_there, precision="bf16")
        assert (model.precision, model.path.name) == ("bf16", "model.onnx")
        assert pickle.loads(pickle.dumps(model)).precision == "bf16"
        return
    with pytest.raises(DeviceError, match="bf16"):
        glp_export.load(fastest_there, precision="bf16")


@needs_openvino
def test_bf16_is_of_the_file_that_is_checked_and_measured_so(
    fastest_there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "glp_export.serve.opening.open_in", lambda _, path, **told: asked.append((path, told))
    )
    faster = Measured(CPU, "model_optimized.onnx", "1x8", 1, 8, 0.5, "openvino")
    settle(ArtifactLayout(fastest_there), measured=(*MEASURED[:2], faster), runtime="openvino")
    with pytest.raises(AttributeError):  # there is no session behind it
        glp_export.load(fastest_there, precision="bf16").logits(TEXTS)
    [(path, told)] = asked
    assert (path.name, told["precision"]) == ("model.onnx", "bf16")


@pytest.mark.parametrize("there", [True, False])
def test_floats_of_an_int8_file_are_bf16_where_the_cpu_has_it(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_session, "computes_bf16", lambda: there)
    hinted = {one: openvino_session.hints(one, 1) for one in ("fp32", "bf16", "int8")}
    found = {one: told[openvino_session.PRECISION_HINT] for one, told in hinted.items()}
    assert found == {"fp32": "f32", "bf16": "bf16", "int8": "bf16" if there else "f32"}


@needs_openvino
def test_torch_and_onnx_runtime_are_not_imported(fastest_there: Path) -> None:
    allowed = (ALLOWED | {"openvino", "openvino_telemetry"}) - {"onnxruntime"}
    arguments = [str(fastest_there), json.dumps(sorted(allowed)), json.dumps([TEXTS, TEXTS])]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()[1:]
    assert "openvino" in names
    assert not {"torch", "transformers", "pydantic", "onnxruntime"} & set(names)


@pytest.mark.usefixtures("without_openvino")
def test_where_it_is_not_installed_onnx_runtime_runs_its_best_file(
    fastest_there: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = glp_export.load(fastest_there)
    assert (model.runtime, model.path.name) == ("onnxruntime", "model_optimized.onnx")
    assert "pip install" in caplog.text
    with pytest.raises(DeviceError) as caught:
        glp_export.load(fastest_there, runtime="openvino")
    assert caught.value.exit_code == 6
    assert "pip install" in str(caught.value.fix)


def test_a_runtime_that_nobody_knows_is_passed_over(
    fastest_there: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = ArtifactLayout(fastest_there)
    content = json.loads(layout.serving.read_text())
    content["serving"]["runtime"] = "another"
    layout.serving.write_text(json.dumps(content))
    layout.write_checksums()
    with caplog.at_level(logging.WARNING):
        assert glp_export.load(fastest_there).runtime == "onnxruntime"
    assert "another" in caplog.text


def test_the_settings_say_where_each_file_stands(fastest_there: Path) -> None:
    settings = ServingSettings.load(ArtifactLayout(fastest_there))
    assert settings.runtime == "openvino"
    order = [file.name for file in settings.runtimes["openvino"].files]
    assert order == ["model.onnx", "model_optimized.onnx"]
    assert settings.providers[CPU].files[0].name == "model_optimized.onnx"
    assert settings.providers[CPU].files[0].p50_ms == {"1x8": 1.5}
