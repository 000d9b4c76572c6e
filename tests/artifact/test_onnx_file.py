from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glp_export.artifact import VARIANTS, describe, open_session, relocate
from glp_export.artifact.onnx_file import read_graph, remove, sidecar, write_graph
from glp_export.artifact.session import run_batch
from glp_export.core.errors import ModelError
from tests.exported import Exported

BATCH = {"input_ids": np.array([[2, 5, 6, 3]]), "attention_mask": np.ones((1, 4), np.int64)}


def test_relocated_file_takes_its_sidecar_along(bert: Exported, tmp_path: Path) -> None:
    model = read_graph(bert.file.path)
    big = describe(write_graph(model, tmp_path / "a" / "model.onnx", threshold=10_000))
    moved = relocate(big, tmp_path / "b" / "model_optimized.onnx")
    remove(big.path)  # the copy must not lean on the original
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "model_optimized.onnx",
        "model_optimized.onnx_data",
    ]
    logits = run_batch(open_session(moved.path, threads=1), BATCH)
    expected = run_batch(open_session(bert.file.path, threads=1), BATCH)
    assert np.array_equal(logits, expected)  # the same graph on the same machine


def test_relocating_over_a_larger_file_leaves_no_stale_sidecar(
    bert: Exported, tmp_path: Path
) -> None:
    path = write_graph(read_graph(bert.file.path), tmp_path / "model.onnx", threshold=10_000)
    relocate(bert.file, path)
    assert not sidecar(path).exists()


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08"])
def test_file_that_is_no_graph(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        describe(path)
    assert caught.value.where == str(path)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such ONNX file"):
        describe(tmp_path / "model.onnx")


def test_variant_names_are_those_that_consumers_look_for() -> None:
    assert VARIANTS["fp32"].file_name == "model.onnx"
    assert VARIANTS["fp32-optimized"].file_name == "model_optimized.onnx"
