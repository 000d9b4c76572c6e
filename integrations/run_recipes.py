"""Run the steps of the recipes in this directory as their services would, but for installing.

    python integrations/run_recipes.py out/trec

Each recipe's own file is read, so what is tried is what is shipped.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_INPUT = re.compile(r"inputs\.([\w-]+)")
_COMPARISON = re.compile(r"inputs\.([\w-]+)\s*(==|!=)\s*'(.*)'")


@dataclass(frozen=True)
class Step:
    """A command of a recipe, with what its service puts into the environment."""

    name: str
    command: str
    environment: Mapping[str, str]


def github_steps(path: Path, inputs: Mapping[str, str]) -> list[Step]:
    """The steps of a composite action that run with these inputs.

    Raises:
        ValueError: an input is unknown or missing, or an expression is not one of the few that are
            understood here.
    """
    action = yaml.safe_load(path.read_text())
    declared: dict[str, Any] = action["inputs"]
    if unknown := inputs.keys() - declared.keys():
        raise ValueError(f"{path} has no inputs {', '.join(sorted(unknown))}")
    values = {name: str(given.get("default", "")) for name, given in declared.items()} | dict(
        inputs
    )
    if missing := [n for n, given in declared.items() if given.get("required") and n not in inputs]:
        raise ValueError(f"{path} needs the inputs {', '.join(missing)}")
    values = {name: str(given.get("default", "")) for name, given in declared.items()}
    values.update(inputs)
    return [
        Step(
            step["name"],
            _filled(step["run"], values),
            {name: _filled(text, values) for name, text in step.get("env", {}).items()},
        )
        for step in action["runs"]["steps"]
        if _holds(step.get("if"), values)
    ]


def gitlab_steps(path: Path, job: str, variables: Mapping[str, str]) -> list[Step]:
    """The lines of a job's script."""
    described = yaml.safe_load(path.read_text())[job]
    environment = described["variables"] | dict(variables)
    return [Step(line, line, environment) for line in described["script"]]


def precommit_steps(path: Path, hook: str, arguments: list[str]) -> list[Step]:
    """The one command of a hook."""
    (described,) = (one for one in yaml.safe_load(path.read_text()) if one["id"] == hook)
    return [Step(described["name"], f"{described['entry']} {shlex.join(arguments)}", {})]


def recipes(artifact: Path, seconds: float) -> dict[str, list[Step]]:
    """Every recipe's steps, with an artifact in place of the user's."""
    inputs = {"artifact": str(artifact), "install": "", "max-seconds": f"{seconds:g}"}
    variables = {"GLP_ARTIFACT": str(artifact), "GLP_MAX_SECONDS": f"{seconds:g}"}
    return {
        "GitHub": github_steps(ROOT / "integrations/github/action.yml", inputs),
        "GitLab": gitlab_steps(
            ROOT / "integrations/gitlab/glp-gate.gitlab-ci.yml", ".glp-gate", variables
        ),
        "pre-commit": precommit_steps(
            ROOT / ".pre-commit-hooks.yaml", "glp-export-gate", [str(artifact)]
        ),
    }


def run(step: Step, directory: Path, programs: Path = Path(sys.executable).parent) -> int:
    """Run a step as GitHub's and GitLab's shells do, which stop at the first error.

    Args:
        step: to run.
        directory: to run it in.
        programs: where `glp-export` and `pytest` are looked for first.

    Returns:
        Its exit code.
    """
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
        "CI_PROJECT_DIR": str(directory),
        **{name: os.path.expandvars(text) for name, text in step.environment.items()},
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.command]
    return subprocess.run(command, cwd=directory, env=environment, check=False).returncode


def main() -> None:
    """Run all recipes; exits with the first code that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--max-seconds", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for service, steps in recipes(options.artifact.resolve(), options.max_seconds).items():
            for step in steps:
                print(f"== {service}: {step.name}", flush=True)
                if code := run(step, Path(directory)):
                    sys.exit(code)


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = _INPUT.fullmatch(match[1])
        if not name:
            raise ValueError(f"the expression {match[0]} is not understood here")
        return values[name[1]]

    return _EXPRESSION.sub(value, text)


def _holds(condition: str | None, values: Mapping[str, str]) -> bool:
    if condition is None:
        return True
    expression = _EXPRESSION.fullmatch(condition)
    match = _COMPARISON.fullmatch(expression[1] if expression else condition)
    if not match:
        raise ValueError(f"the condition {condition} is not understood here")
    return (values[match[1]] == match[3]) == (match[2] == "==")


if __name__ == "__main__":
    main()
