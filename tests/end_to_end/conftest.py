"""One finished artifact, made by the command, that the tests here look at."""

from __future__ import annotations

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
