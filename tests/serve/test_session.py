from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DeviceError, ModelError, UsageError
from glp_export.serve.session import open_session, provider_name


@pytest.fixture
def onnx(artifact: Callable[..., Path]) -> Path:
    """BERT's plain file."""
    return artifact("bert") / "onnx" / "model.onnx"


def test_session_runs_with_the_threads_and_provider_asked_for(onnx: Path) -> None:
    session = open_session(onnx, provider="cpu", threads=2)
    options = session.get_session_options()
    assert session.get_providers()[0] == "CPUExecutionProvider"
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


@pytest.mark.parametrize(
    ("provider", "package"),
    [
        ("tensorrt", "onnxruntime-gpu"),
        ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
        ("NoSuchExecutionProvider", "Name one of"),
    ],
)
def test_provider_that_is_not_built_in(onnx: Path, provider: str, package: str) -> None:
    with pytest.raises(DeviceError, match=package) as caught:
        open_session(onnx, provider=provider, threads=1)
    assert caught.value.exit_code == 6


def test_session_that_falls_back_to_the_cpu_is_refused(
    onnx: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Listed, yet it does not load: what a missing cuDNN looks like (onnxruntime #23372)."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is really there")
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(DeviceError, match="runs on CPUExecutionProvider") as caught,
    ):
        open_session(onnx, provider="cuda", threads=1)
    assert caught.value.exit_code == 6
    assert capfd.readouterr().out == ""


def test_broken_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such ONNX file"):
        open_session(tmp_path / "model.onnx", threads=1)
    (tmp_path / "model.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot load"):
        open_session(tmp_path / "model.onnx", threads=1)


def test_missing_sidecar(onnx: Path, tmp_path: Path) -> None:
    from glp_export.artifact.onnx_file import read_graph, sidecar, write_graph

    path = write_graph(read_graph(onnx), tmp_path / "model.onnx", threshold=10_000)
    sidecar(path).unlink()
    with pytest.raises(ModelError, match="onnx_data"):
        open_session(path, threads=1)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": 1, "graph_level": "most"}])
def test_settings_out_of_range(onnx: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        open_session(onnx, **wrong)


def test_short_and_full_provider_names_are_the_same() -> None:
    assert provider_name("CPU") == provider_name("CPUExecutionProvider") == "CPUExecutionProvider"


def test_session_settings_are_passed_on(onnx: Path) -> None:
    import onnxruntime

    session = open_session(
        onnx,
        threads=1,
        graph_level="none",
        session_options={"session.intra_op.allow_spinning": "0"},
        provider_options={"arena_extend_strategy": "kSameAsRequested"},
    )
    options = session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.graph_optimization_level == level
