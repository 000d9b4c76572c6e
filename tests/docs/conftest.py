"""What the pages name, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.place import ARTIFACT, stock, stock_artifact


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encoders and data sets."""
    return stock(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="session")
def full_shelf(shelf: Path) -> Path:
    """The same, and an artifact."""
    stock_artifact(shelf)
    return shelf


@pytest.fixture(scope="session")
def artifact(full_shelf: Path) -> Path:
    """What the command leaves."""
    return full_shelf / ARTIFACT
