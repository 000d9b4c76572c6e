"""The plug-in in a pytest of its own, as a team would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN_TESTS = """\
def test_ratio(latency_ratio):
    found = latency_ratio({artifact!r}, batch_size=1, sequence_length=16, max_seconds=1)
    assert 0.05 < found.value < 50
    assert found.rounds > 0

def test_other():
    pass
"""


@pytest.fixture
def run_pytest(gated_artifact, tmp_path):
    """Run pytest in an empty project; gives its exit code and what it printed."""

    def call(*arguments: object, artifact: Path = gated_artifact) -> tuple[int, str]:
        command = [
            *(sys.executable, "-m", "pytest", "-p", "glp_export.gate.pytest_plugin"),
            *("-p", "no:cacheprovider", "-rs", "-v", "--strict-markers", "--rootdir", tmp_path),
            *("--glp-artifact", artifact, "--glp-max-seconds", "8", *arguments),
        ]
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return call


def test_every_line_is_a_test(run_pytest, tmp_path):
    code, said = run_pytest("--junitxml", tmp_path / "found.xml")
    assert code == 0, said
    cases = {
        case.get("name"): case
        for case in ElementTree.parse(tmp_path / "found.xml").iter("testcase")
    }
    assert list(cases) == [
        "integrity",
        "speedup_vs_unpruned >= 0.1 at 1x16",
        "speedup_vs_reference >= 0.1 at 1x16",
        "size_mb <= 5",
        "metric_drop <= 0.9",
    ]
    assert cases["speedup_vs_unpruned >= 0.1 at 1x16"].find("skipped") is None
    assert cases["metric_drop <= 0.9"].find("skipped") is not None
    assert "not asked: no --against" in said
    assert "glp-export gate: " in said
    assert "kept: artifact: cpu.fp32: size_mb <= 5, measured 0." in said


def test_a_broken_line_fails_with_a_sentence(run_pytest, tmp_path):
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["size_mb <= 0.001", "size_mb <= 5"]\n')
    code, said = run_pytest("--glp-budget", budget)
    assert code == 1
    assert "cpu.fp32: size_mb <= 0.001: broken, measured 0." in said
    assert "Traceback" not in said
    assert "1 failed, 2 passed" in said
    assert "broken: artifact: cpu.fp32: size_mb <= 0.001" in said


@pytest.mark.parametrize(
    "wrong",
    ["--glp-max-seconds=0", "--glp-max-seconds=-1", "--glp-max-seconds=nan", "--glp-threads=0"],
)
def test_no_time_and_no_threads_are_refused(wrong, run_pytest):
    code, said = run_pytest(wrong)
    assert code == 4  # pytest's own of a wrong call
    assert f"argument {wrong.partition('=')[0]}" in said


def test_markers_and_names_choose(run_pytest):
    assert "1 passed" in run_pytest("-m", "glp_gate", "-k", "size_mb")[1]
    code, said = run_pytest("-m", "not glp_gate")
    assert (code, "5 deselected" in said) == (5, True)


def test_a_provider_that_is_not_there_skips(run_pytest, tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is a GPU here")
    budget = tmp_path / "budget.toml"
    budget.write_text('[cuda.fp32]\nkeep = ["speedup_vs_unpruned >= 1 at 1x16"]\n')
    code, said = run_pytest("--glp-budget", budget)
    assert code == 0, said
    assert "2 skipped" in said
    assert "has no CUDAExecutionProvider" in said


def test_a_budget_that_cannot_be_read_is_an_error_of_collection(run_pytest, tmp_path):
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["sise_mb <= 5"]\n')
    code, said = run_pytest("--glp-budget", budget)
    assert code == 2
    assert "did you mean size_mb?" in said


def test_beside_other_tests_in_several_workers(run_pytest, gated_artifact, tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "test_mine.py").write_text(OWN_TESTS.format(artifact=str(gated_artifact)))
    code, said = run_pytest("-n", "2", "-k", "test_ or size_mb", tmp_path)
    assert code == 0, said
    assert "3 passed" in said


@pytest.mark.parametrize("name", ["glp_export.gate.pytest_plugin", "glp_export.pytest_plugin"])
@pytest.mark.parametrize("installed", [True, False])
def test_it_is_loaded_once_by_whatever_name(name, installed, tmp_path):
    """Beside the entry point of the installed package, and without it; also by its path of 0.1."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", name, "--glp-threads", "1", "--fixtures"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(ROOT)}
        | ({} if installed else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "already registered" not in done.stderr
    assert done.stdout.count("latency_ratio") == 1, done.stdout + done.stderr


def test_pytest_starts_without_anything_of_ours():
    program = (
        "import sys, glp_export.gate.pytest_plugin; "
        "ours = {m for m in sys.modules if m.startswith('glp_export.')} "
        "- {'glp_export.gate', 'glp_export.gate.pytest_plugin'}; "  # the package has no code
        "heavy = {'numpy', 'pydantic', 'onnxruntime', 'torch'} & set(sys.modules); "
        "sys.exit(f'imported {ours | heavy}' if ours | heavy else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
