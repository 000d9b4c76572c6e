"""The package as it is installed: a wheel with the extra `optimum`, in its own environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.consumers.environments import KEPT, make_environment

pytestmark = pytest.mark.consumers

CHECKOUT = Path(__file__).parents[2]
MOST_BYTES = 4_000_000
"""Of the wheel; docs/support.md and the changelog name its size."""


def _interpreters() -> list[str]:
    """Versions of Python that the package is for and that answer here."""
    found = []
    for version in ("3.11", "3.12", "3.13"):
        python = shutil.which(f"python{version}")
        if python and subprocess.run([python, "-V"], capture_output=True).returncode == 0:
            found.append(python)
    return found or [sys.executable]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(place), str(CHECKOUT)], check=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module", params=_interpreters(), ids=lambda python: Path(python).name)
def command(request: pytest.FixtureRequest, wheel: Path) -> Callable[..., str]:
    """Runs `glp-export` of an environment that has the wheel and nothing of the checkout."""
    name = f"wheel-{Path(request.param).name}"
    # What is installed does not change with the package's own code: only that is put in anew.
    needs = (CHECKOUT / "pyproject.toml").read_text()
    lines = ["torch>=2.6,<2.14", f"glp-export[optimum] @ {wheel.as_uri()}"]
    python = make_environment(name, lines, python=request.param, stamp=[needs])
    again = ["install", "--quiet", "--no-deps", "--force-reinstall", str(wheel)]
    subprocess.run([str(python), "-m", "pip", *again], check=True)

    def run(*arguments: str) -> str:
        return _output([str(python.with_name("glp-export")), *arguments])

    return run


def _output(arguments: Sequence[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=KEPT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES


def test_it_says_its_version_and_what_it_runs_on(command: Callable[..., str]) -> None:
    from glp_export import __version__

    assert __version__ in command("--version")
    assert "prune-and-export" in command("--help")
    assert "CPUExecutionProvider" in command("env", "--json")


def test_the_embedded_encoder_and_its_task_come_with_it(
    command: Callable[..., str], tmp_path: Path
) -> None:
    """The whole job, shortened: what is missing from a wheel is missed here."""
    quick = ("--epochs", "0.1", "--max-train-samples", "300", "--max-test-samples", "50")
    shape = ("--seq-lens", "32", "--batch-sizes", "1", "--bench-seconds", "0.5", "--skip-memory")
    where = ("--search", "top", "--depth", "6", "--max-length", "64", "--offline")
    output = str(tmp_path / "out")
    command(
        *("prune-and-export", "-m", "demo", "--task", "demo", "-q", "-o", output),
        *(*quick, *shape, *where),
    )
    assert (tmp_path / "out" / "glp" / "report.html").is_file()
    command("gate", output, "--quick")
