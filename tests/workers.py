"""What all worker processes of one test run share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A directory of this test run that the first worker to ask makes and the others find.

    Its path is the same in every worker, so what holds the path (a plan names its model) is equal
    whoever made it.
    """
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # of all workers
    directory = place / "shared" / name
    directory.parent.mkdir(exist_ok=True)
    with FileLock(directory.with_name(f"{name}.lock")):
        if not directory.with_name(f"{name}.made").exists():
            make(directory)
            directory.with_name(f"{name}.made").touch()
    return directory
