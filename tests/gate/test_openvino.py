"""Lines of a budget about OpenVINO."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glp_export.bench import BenchmarkFile, Timing, benchmark, shape_grid
from glp_export.bench.winners import fastest_runtime
from glp_export.core.errors import DeviceError
from glp_export.core.machine import CPU
from glp_export.core.progress import Progress
from glp_export.gate.budget import Budget
from glp_export.gate.budget_writer import budget_text
from glp_export.gate.jobs import _places, runtime_notes
from glp_export.gate.session import GateSession, GateSettings
from glp_export.serve import openvino_session
from tests.contenders import Clock, Latency, fake_contender
from tests.serve.conftest import artifact, settle  # noqa: F401 (a fixture)
from tests.serve.test_openvino import MEASURED

needs_openvino = pytest.mark.skipif(
    not openvino_session.installed(), reason="openvino is not installed"
)
LINES = '[{}.fp32]\nkeep = ["speedup_vs_unpruned >= 0.01 at 1x8", "size_mb <= 90"]\n'


@pytest.fixture
def measured(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> Callable[[float], BenchmarkFile]:
    """A pruned model's file in both runtimes, so many milliseconds in OpenVINO and 10 in the other.

    The unpruned one takes 40.
    """

    def make(milliseconds: float) -> BenchmarkFile:
        def latency(contender, number):
            if contender.contender == "unpruned":
                return 40.0
            # A little noise: no interval is a point.
            taken = milliseconds if contender.runtime == "openvino" else 10.0
            return taken * (1 + 0.001 * (number % 3))

        fake_runtime(latency)
        contenders = [
            fake_contender("model.onnx", contender="unpruned", layers=4),
            fake_contender("model.onnx"),
            fake_contender("model.onnx", runtime="openvino"),
        ]
        quick = Timing(min_rounds=10, max_rounds=10, pause_s=0.0)
        workloads = shape_grid(contenders, [1], [8])
        return benchmark(
            contenders, workloads, [], task="t", metric="m", timing=quick, memory=False
        ).file

    return make


def test_lines_are_written_where_it_is_served(
    measured: Callable[[float], BenchmarkFile], tmp_path: Path
) -> None:
    found = measured(5.0)
    served = fastest_runtime(found, CPU)
    assert served == "openvino"
    path = tmp_path / "budget.toml"
    path.write_text(budget_text(found, runtimes=("onnxruntime", served)))
    tables = {table.name: table for table in Budget.load(path).tables}
    assert list(tables) == ["cpu.fp32", "openvino.fp32"]
    bounds = {line.key: line.bound for line in tables["openvino.fp32"].lines}
    assert 7.0 < bounds["speedup_vs_unpruned"] < 8.0  # 40 over 5, less the margin
    path.write_text(budget_text(found))
    assert [table.name for table in Budget.load(path).tables] == ["cpu.fp32"]


def test_as_fast_is_not_surely_faster(measured: Callable[[float], BenchmarkFile]) -> None:
    assert fastest_runtime(measured(9.999), CPU) == "onnxruntime"
    assert fastest_runtime(measured(20.0), CPU) == "onnxruntime"


@pytest.fixture
def gated(artifact: Callable[..., Path], tmp_path: Path) -> Path:  # noqa: F811
    from glp_export.artifact import ArtifactLayout

    root = tmp_path / "artifact"
    shutil.copytree(artifact("bert"), root)
    layout = ArtifactLayout(root)
    shutil.copy(root / "onnx" / "model.onnx", root / "onnx" / "model_optimized.onnx")
    settle(layout, measured=MEASURED, runtime="openvino")
    layout.budget.write_text(LINES.format("cpu") + LINES.format("openvino"))
    return root


@needs_openvino
def test_each_table_runs_the_file_that_is_served_there(gated: Path) -> None:
    with GateSession(gated, GateSettings(), Progress()) as session:
        names = {table.name: session.file(table).path.name for table in session.tables}
        assert names == {"cpu.fp32": "model_optimized.onnx", "openvino.fp32": "model.onnx"}
        assert [session.left_out(table, line) for table, line in session.lines("latency")] == [
            "",
            "",
        ]
        places = [(file.path.name, place.runtime) for file, place in _places(session)]
    assert places == [
        ("model.onnx", "onnxruntime"),
        ("model.onnx", "openvino"),
        ("model_optimized.onnx", "onnxruntime"),
    ]


def test_where_it_is_not_installed_its_lines_are_left_out_unless_it_is_named(
    gated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with GateSession(gated, GateSettings(), Progress()) as session:
        reasons = {
            table.name: session.left_out(table, line) for table, line in session.lines("latency")
        }
        assert not reasons["cpu.fp32"]
        assert "not installed" in reasons["openvino.fp32"]
        assert [note for note in runtime_notes(session) if "pip install" in note]
        assert {place.runtime for _, place in _places(session)} == {"onnxruntime"}
    named = GateSession(gated, GateSettings(devices=("openvino",)), Progress())
    with pytest.raises(DeviceError) as caught:
        _ = named.tables
    assert caught.value.exit_code == 6
