"""The recipes that people copy run as they stand."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "integrations/github/action.yml"


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    """The script that runs them."""
    spec = importlib.util.spec_from_file_location(
        "run_recipes", ROOT / "integrations/run_recipes.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_recipes"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def programs(tmp_path_factory, monkeypatch) -> Path:
    """`glp-export` and `pytest`, as an installation of this very source would have them."""
    directory = tmp_path_factory.mktemp("bin")
    for name, call in (
        ("glp-export", "-m glp_export.cli.app"),
        ("pytest", "-m pytest -p no:cacheprovider -p glp_export.gate.pytest_plugin"),
    ):
        program = directory / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return directory


def test_every_recipe_passes_a_good_artifact(recipes, programs, gated_artifact, tmp_path):
    for service, steps in recipes.recipes(gated_artifact, 10).items():
        assert steps, service
        for step in steps:
            assert recipes.run(step, tmp_path, programs) == 0, (service, step.name)
    assert "speedup_vs_unpruned" in (tmp_path / "summary.md").read_text()
    assert json.loads((tmp_path / "glp-gate.json").read_text())


def test_every_recipe_fails_a_changed_artifact(recipes, programs, gated_artifact, tmp_path):
    changed = shutil.copytree(gated_artifact, tmp_path / "changed")
    with (changed / "onnx" / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    for service, steps in recipes.recipes(changed, 10).items():
        assert recipes.run(steps[0], tmp_path, programs) == 3, service


def test_an_input_that_is_no_plain_word_is_no_command(recipes, programs, tmp_path):
    inputs = {"artifact": "'; touch stolen; '", "install": ""}
    (step,) = recipes.github_steps(ACTION, inputs)
    assert recipes.run(step, tmp_path, programs) != 0
    assert not (tmp_path / "stolen").exists()


def test_the_action_installs_unless_told_not_to(recipes):
    steps = recipes.github_steps(ACTION, {"artifact": "out/mine"})
    assert [step.name for step in steps] == ["Install", "Gate"]
    assert steps[0].environment["PACKAGE"] == "glp-export[optimum]"


def test_unknown_inputs_and_expressions_are_refused(recipes, tmp_path):
    with pytest.raises(ValueError, match="artefact"):
        recipes.github_steps(ACTION, {"artefact": "out/mine"})
    with pytest.raises(ValueError, match="needs the inputs artifact"):
        recipes.github_steps(ACTION, {})
    other = tmp_path / "action.yml"
    other.write_text(ACTION.read_text().replace("inputs.against }}", "github.sha }}"))
    with pytest.raises(ValueError, match=r"github\.sha"):
        recipes.github_steps(other, {"artifact": "out/mine", "install": ""})
