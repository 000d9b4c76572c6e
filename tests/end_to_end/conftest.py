"""One finished artifact, made by the command, that the tests here look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glp_export.cli import run

SMALL = (
    "--epochs", "1", "--learning-rate", "1e-3", "--batch-size", "16", "--max-length", "32",
    "--seq-lens", "8", "16", "--batch-sizes", "1", "4", "--bench-seconds", "0.2", "--device", "cpu",
    "--offline", "--skip-memory", "--threads", "1", "--bench-rounds", "3", "--precision", "fp32",
)  # fmt: skip
"""Flags that make a run of a tiny encoder take seconds."""


@pytest.fixture(scope="session")
def small_run(encoder: Path, data: Path) -> tuple[str, ...]:
    """The arguments of a small run, all but `--output`."""
    return ("prune-and-export", "-m", str(encoder), "--dataset", str(data), "--depth", "2", *SMALL)


@pytest.fixture(scope="session")
def artifact(small_run: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small run leaves."""
    output = tmp_path_factory.mktemp("run") / "artifact"
    assert run([*small_run, "-o", str(output), "-q"]) == 0
    return output


EASY = """\
[cpu.fp32]
keep = [
  "speedup_vs_unpruned >= 0.1 at 1x16",
  "speedup_vs_reference >= 0.1 at 1x16",
  "size_mb <= 5",
  "metric_drop <= 0.9",
]
"""
"""A budget that nothing on a busy machine can break: the truth is far from every bound."""


@pytest.fixture(scope="session")
def gated_artifact(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact with a budget that it keeps by far."""
    copy = shutil.copytree(artifact, tmp_path_factory.mktemp("gated") / "artifact")
    (copy / "glp" / "budget.toml").write_text(EASY)
    return copy
