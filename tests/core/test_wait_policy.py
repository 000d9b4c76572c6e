"""Idle OpenMP threads sleep: set before torch is imported, unless the user has chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIBRARY = "import glp_export, os, sys; assert 'torch' not in sys.modules"
COMMAND = "import glp_export.cli.app, os, sys; assert 'torch' not in sys.modules"
PLUGIN = "import glp_export.gate.pytest_plugin, os, sys; assert 'torch' not in sys.modules"


@pytest.mark.parametrize("start", [LIBRARY, COMMAND, PLUGIN])
@pytest.mark.parametrize(("chosen", "expected"), [(None, "passive"), ("active", "active")])
def test_it_is_set_before_torch_unless_the_user_has(
    start: str, chosen: str | None, expected: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    own = {} if chosen is None else {"OMP_WAIT_POLICY": chosen}
    program = f"{start}; print(os.environ['OMP_WAIT_POLICY'])"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == expected


def test_workers_of_ray_are_told() -> None:
    from glp_export.compress.search.workers import ray_cluster

    assert ray_cluster._environment(1)["OMP_WAIT_POLICY"] == os.environ["OMP_WAIT_POLICY"]
