"""A tiny run that every fault happens to, its undisturbed outcome, and small disks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from tests.faults.processes import Ended, carry_out, command

pytestmark = pytest.mark.faults

FLAGS = (
    *("--epochs", "1", "--learning-rate", "1e-3", "--batch-size", "16", "--max-length", "16"),
    *("--bench-seconds", "0.1", "--bench-rounds", "3", "--device", "cpu", "--threads", "1"),
    *("--offline", "--skip-memory", "--precision", "fp32", "--distilled", "none"),
    *("--seq-lens", "8", "--batch-sizes", "1", "--optimize", "none", "--depth", "2", "-q"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is a fault's."""
    for item in items:
        if "tests/faults" in str(item.path):
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session", autouse=True)
def _libraries() -> None:
    """Load once what every fork needs."""
    import datasets  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import optimum.exporters.onnx  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch
    import transformers
    import transformers.models.bert.modeling_bert  # noqa: F401

    import glp_export.workflows.artifact_jobs
    import glp_export.workflows.export
    import glp_export.workflows.prune_and_export  # noqa: F401

    torch.set_num_threads(1)


@dataclass(frozen=True)
class TinyRun:
    """The run of these tests.

    Attributes:
        arguments: all but the output and the cache.
        plan: id of the plan and its digest when nothing happens.
    """

    arguments: tuple[str, ...]
    plan: tuple[str, str]

    def to(self, output: Path, cache: Path | str = "none", *more: str) -> Callable[[], int]:
        """The run into an output."""
        return command(*self.arguments, "-o", output, "--cache", cache, *more)

    def resumed(self, output: Path, log: Path) -> Ended:
        """What `--resume` makes of what is left; where all is there, that."""
        return carry_out(command("prune-and-export", "-o", output, "--resume", "-q"), log)


@pytest.fixture(scope="session")
def tiny_run(encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """The tiny run, carried out once undisturbed."""
    place = tmp_path_factory.mktemp("undisturbed")
    small = place / "data"
    small.mkdir()
    for name, rows in (("train.jsonl", 60), ("validation.jsonl", 20)):
        lines = (data / name).read_text().splitlines()[:rows]
        (small / name).write_text("\n".join(lines) + "\n")
    given = ("prune-and-export", "-m", str(encoder), "--dataset", str(small), *FLAGS)
    run = TinyRun(given, ("", ""))
    ended = carry_out(run.to(place / "out"), place / "log")
    assert ended.code == 0, ended.said[-3000:]
    return TinyRun(given, plan_of(place / "out"))


def plan_of(output: Path) -> tuple[str, str]:
    """Id and digest of an artifact's plan, its times left out."""
    from glp_export.compress.plan import Plan

    plan = Plan.load(ArtifactLayout(output).plan)
    return plan.id, plan.digest


def is_absent_or_whole(output: Path) -> str:
    """Which of both; anything else fails."""
    if not output.exists():
        return "absent"
    ArtifactLayout(output).verify_checksums()
    assert not (output / "work").exists()
    assert ArtifactLayout(output).onnx_model.is_file()
    return "whole"


def left_beside(output: Path) -> set[str]:
    """Names beside an output that a finished run must not leave."""
    return {path.name for path in output.parent.iterdir() if output.name in path.name} - {
        output.name
    }


@contextmanager
def mounted(place: Path, size: int, *, read_only: bool = False) -> Iterator[Path]:
    """A file system of so many bytes; skips where none may be mounted."""
    place.mkdir(exist_ok=True)
    options = f"size={size}" + (",ro" if read_only else "")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def enlarge(place: Path, size: int) -> None:
    """Give a mounted file system more room."""
    subprocess.run(["mount", "-o", f"remount,rw,size={size}", str(place)], check=True)


@pytest.fixture(scope="session")
def whole(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished artifact of the run; not to be changed."""
    output = tmp_path_factory.mktemp("whole") / "out"
    log = output.with_name("log")
    ended = carry_out(tiny_run.to(output), log)
    assert ended.code == 0, ended.said[-3000:]
    return output


@pytest.fixture
def own_copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of the artifact, to be harmed."""
    return shutil.copytree(whole, tmp_path / "copy")


class Tally:
    """Counts outcomes and prints them at the end."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}

    def add(self, fault: str, outcome: str) -> None:
        """One more."""
        found = self.counts.setdefault(fault, {})
        found[outcome] = found.get(outcome, 0) + 1
        print(f"{fault}: {outcome}", flush=True)  # seen with -s, also of a suite that is cut short


TALLY = Tally()


@pytest.fixture(scope="session")
def tally() -> Tally:
    """Where tests say what came of each fault."""
    return TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    if TALLY.counts:
        terminalreporter.section("faults")
        for fault, outcomes in TALLY.counts.items():
            said = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
            terminalreporter.write_line(f"{fault}: {sum(outcomes.values())} trials: {said}")
