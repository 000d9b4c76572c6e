"""ONNX Runtime leaves no device id and no queued event below the home directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVE = "import sys, glp_export; glp_export.load(sys.argv[1])(['the cat'])"
CHILD = (
    "import glp_export, subprocess, sys; "
    "subprocess.run([sys.executable, '-c', "
    "'import onnxruntime as o, sys; o.InferenceSession(sys.argv[1])', "
    "sys.argv[1] + '/onnx/model.onnx'], check=True)"
)


def run(program: str, artifact: Path, home: Path, **environment: str) -> list[Path]:
    """Files below the home directory after the program has run."""
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    away = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR")}
    subprocess.run(
        [sys.executable, "-c", program, str(artifact)],
        env={**kept, **away, **environment},
        check=True,
    )
    return [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("program", [SERVE, CHILD], ids=["served model", "child process"])
def test_nothing_is_written_below_the_home_directory(artifact, tmp_path, program):
    assert run(program, artifact("bert"), tmp_path / "home") == []


def test_who_has_set_it_keeps_what_they_chose():
    program = "import os, glp_export; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "0"


def test_workers_of_ray_are_told():
    from glp_export.compress.search.workers import ray_cluster

    assert (
        ray_cluster._environment(1)["ORT_DISABLE_TELEMETRY"] == os.environ["ORT_DISABLE_TELEMETRY"]
    )
