"""The unpruned model of a gate is made the way the artifact's own file was."""

from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.gate.reference import CONVERSIONS
from tests.exported import Exported


@pytest.mark.parametrize("name", ["full int8", "smooth full int8"])
def test_full_int8_without_texts(bert: Exported, tmp_path: Path, name: str) -> None:
    file = CONVERSIONS[name](bert.file, tmp_path / "model_quantized.onnx", bert.checkpoint)
    assert file.precision == "int8"
    assert file.optimisation.startswith("full int8")
