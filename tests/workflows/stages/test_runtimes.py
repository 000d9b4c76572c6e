"""Files in other runtimes than ONNX Runtime: which are measured there, and which end the run."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from glp_export.artifact import OnnxFile, ParityReport
from glp_export.core.errors import ParityError
from glp_export.precision.job import LowerPrecision
from glp_export.precision.record import PrecisionEntry
from glp_export.workflows.stages import runtimes
from glp_export.workflows.stages.export import Exported
from tests import exported
from tests.heard import Heard


@pytest.mark.parametrize(
    ("far", "named"), [("bf16", True), ("int8", True), ("fp32", True), ("fp32", False)]
)
def test_what_is_left_out_of_a_runtime_that_was_named(
    bert: exported.Exported, far: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(bert.file, precision="fp32")

    def check(_: Any, __: Any, files: list[OnnxFile], *___: Any, **____: Any) -> Any:
        def require() -> None:
            if files[0].precision == far:
                raise ParityError(f"{far} is far away")

        return SimpleNamespace(require=require, files=())

    monkeypatch.setattr(runtimes, "check", check)
    monkeypatch.setattr(runtimes, "computes_bf16", lambda: True)
    execution: Any = SimpleNamespace(runtimes=("openvino",), runtimes_named=named)
    trained: Any = SimpleNamespace(label="pruned")
    made, heard = Exported(trained, plain, plain, ParityReport(())), Heard()
    if far == "int8":
        file = replace(plain, precision="int8", path=plain.path.with_name("model_quantized.onnx"))
        entry = PrecisionEntry(precision="int8", file=file.path.name, recipe="full")
        made = replace(made, lower=(LowerPrecision(file, entry),))
    if far == "fp32" and named:
        with pytest.raises(ParityError, match="fp32 is far away"):
            runtimes.add_runtimes(execution, made, heard)
        return
    found = runtimes.add_runtimes(execution, made, heard)
    left, what = {
        "bf16": ([plain], "model.onnx in bf16"),
        "int8": ([plain, replace(plain, precision="bf16")], "model_quantized.onnx"),
        "fp32": ([], "model.onnx"),
    }[far]
    assert found.elsewhere == {"openvino": tuple(left)}
    assert heard.said == [f"{what} is left out in OpenVINO: {far} is far away"]
