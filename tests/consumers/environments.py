"""An environment for each consumer, made on first use below `.consumers/` and kept.

Their pins clash, with each other and with ours. What cannot be installed is skipped with the
reason; what is installed and then fails is a failure.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
TRANSFORMERS_JS = HERE / "transformers_js"
KEPT = HERE.parents[1] / ".consumers"

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
# Both fetch libraries for CUDA while they are installed, from elsewhere than the registry.
_NO_CUDA = {"ONNXRUNTIME_NODE_INSTALL": "skip", "ONNXRUNTIME_NODE_INSTALL_CUDA": "skip"}


def run_python(consumer: str, program: str, *arguments: object) -> dict[str, Any]:
    """Run a program in a consumer's environment; what it answered."""
    python = _python_environment(consumer)
    return _answer([str(python), str(PROGRAMS / program), *map(str, arguments)])


def run_node(*arguments: object) -> dict[str, Any]:
    """Run the script of transformers.js; what it answered."""
    place = _node_environment()
    script = shutil.copy(TRANSFORMERS_JS / "classify.mjs", place)
    return _answer(["node", str(script), *map(str, arguments)])


def _answer(command: Sequence[str]) -> dict[str, Any]:
    """Run offline and without this environment's packages; the last line of the output."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**kept, **_OFFLINE}, cwd=KEPT, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _python_environment(consumer: str) -> Path:
    lines = (HERE / "requirements" / f"{consumer}.txt").read_text().split()
    return make_environment(consumer, lines, stamp=lines)


def make_environment(
    consumer: str, lines: Sequence[str], *, stamp: Sequence[str], python: str = sys.executable
) -> Path:
    """An environment with some requirements; one that is there is taken where the stamp is alike.

    Returns:
        Its interpreter.
    """
    place = KEPT / consumer
    own = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    with FileLock(_lock(consumer)):
        if _is_made(place, [sys.version, *stamp]):
            return own
        _install(consumer, [python, "-m", "venv", "--clear", str(place)])
        # torch alone and first, so that pip takes a CPU build where one is at hand.
        first = [line for line in lines if line.startswith("torch")]
        for wanted in (first, lines):
            if wanted:
                _install(consumer, [str(own), "-m", "pip", "install", "--quiet", *wanted])
        _say_made(place, [sys.version, *stamp])
    return own


def _node_environment() -> Path:
    consumer = "transformers-js"
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("transformers.js needs node and npm")
    place = KEPT / consumer
    package = (TRANSFORMERS_JS / "package.json").read_text()
    with FileLock(_lock(consumer)):
        if not _is_made(place, [package]):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            (place / "package.json").write_text(package)
            command = ["npm", "install", "--prefix", str(place), "--no-package-lock"]
            _install(consumer, [*command, "--no-audit", "--no-fund", "--loglevel=error"])
            _say_made(place, [package])
    return place


def _install(consumer: str, command: Sequence[str]) -> None:
    """Run a step of an installation; skip the test where it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **_NO_CUDA}, check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        pytest.skip(f"{consumer} cannot be installed: {lines[-1]}")


def _lock(consumer: str) -> Path:
    KEPT.mkdir(exist_ok=True)
    return KEPT / f"{consumer}.lock"


def _is_made(place: Path, wanted: Sequence[str]) -> bool:
    stamp = place / ".made"
    return stamp.is_file() and stamp.read_text() == _digest(wanted)


def _say_made(place: Path, wanted: Sequence[str]) -> None:
    (place / ".made").write_text(_digest(wanted))


def _digest(wanted: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()
