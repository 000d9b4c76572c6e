"""The unpruned model of a gate is made the way the artifact's own file was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import UsageError
from glp_export.gate.budget import BudgetTable
from glp_export.gate.reference import CONVERSIONS, unpruned_reference
from tests.exported import Exported


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
