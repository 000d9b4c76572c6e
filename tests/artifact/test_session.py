from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import open_session, predict_onnx
from glp_export.artifact.session import feeds_for, provider_name
from glp_export.errors import DataError, DeviceError, ModelError, UsageError
from tests.artifact.conftest import THREADS, Exported


def test_session_runs_with_the_threads_and_provider_asked_for(bert: Exported) -> None:
    session = open_session(bert.file.path, provider="cpu", threads=2)
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
def test_provider_that_is_not_built_in(bert: Exported, provider: str, package: str) -> None:
    with pytest.raises(DeviceError, match=package) as caught:
        open_session(bert.file.path, provider=provider, threads=1)
    assert caught.value.exit_code == 6


def test_session_that_falls_back_to_the_cpu_is_refused(
    bert: Exported, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
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
        open_session(bert.file.path, provider="cuda", threads=1)
    assert caught.value.exit_code == 6
    assert capfd.readouterr().out == ""


def test_broken_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such ONNX file"):
        open_session(tmp_path / "model.onnx", threads=1)
    (tmp_path / "model.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot load"):
        open_session(tmp_path / "model.onnx", threads=1)


def test_missing_sidecar(bert: Exported, tmp_path: Path) -> None:
    from glp_export.artifact.onnx_file import read_graph, sidecar, write_graph

    path = write_graph(read_graph(bert.file.path), tmp_path / "model.onnx", threshold=10_000)
    sidecar(path).unlink()
    with pytest.raises(ModelError, match="onnx_data"):
        open_session(path, threads=1)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": 1, "graph_level": "most"}])
def test_settings_out_of_range(bert: Exported, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        open_session(bert.file.path, **wrong)


def test_short_and_full_provider_names_are_the_same() -> None:
    assert provider_name("CPU") == provider_name("CPUExecutionProvider") == "CPUExecutionProvider"


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_logits_come_back_in_the_order_of_the_rows(
    export: Callable[..., Exported], family: str, encoded: Any, tokenizer: Any
) -> None:
    session = open_session(export(family).file.path, threads=THREADS)
    batched = predict_onnx(session, encoded, tokenizer, batch_size=7)
    single = [
        predict_onnx(session, encoded.select([row]), tokenizer) for row in range(len(encoded))
    ]
    assert batched.shape == (40, 2)
    assert batched.dtype == np.float32
    assert batched.std(axis=0).min() > 0.1  # else any order would do
    # The same sums, blocked another way: a few roundings of 1e-7 each.
    np.testing.assert_allclose(batched, np.concatenate(single), atol=2e-5)


def test_no_rows(bert: Exported, encoded: Any, tokenizer: Any) -> None:
    session = open_session(bert.file.path, threads=1)
    with pytest.raises(DataError, match="no rows"):
        predict_onnx(session, encoded.select([]), tokenizer)


def test_missing_segments_are_zeros_and_other_inputs_are_named(bert: Exported) -> None:
    session = open_session(bert.file.path, threads=1)
    ids = np.array([[2, 5, 3]])
    feeds = feeds_for(session, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert feeds["token_type_ids"].tolist() == [[0, 0, 0]]
    with pytest.raises(ModelError, match="attention_mask"):
        feeds_for(session, {"input_ids": ids})
