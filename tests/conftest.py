"""Fixtures that every room's tests share."""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("GLP_EXPORT_CONFIG", None)  # a site's defaults are not what is tested

from tests.support import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    record_support,
)
from tests.tiny import make_checkpoint, make_data
from tests.workers import made_once

pytest_plugins = ["tests.exported", "tests.contenders"]

__all__ = [
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "record_support",
]


@pytest.fixture(autouse=True)
def _log_levels_of_their_own():
    """The command sets the package's log level; other tests must not inherit it."""
    import logging

    logging.getLogger("glp_export").setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _libraries_are_no_garbage():
    """Every training collects garbage: a third of its time where it looks through libraries."""
    if len(sys.modules) > _frozen.get("modules", 0) + 50:
        _frozen["modules"] = len(sys.modules)
        gc.collect()
        gc.freeze()


_frozen: dict[str, int] = {}
"""How many modules there were when objects were last set aside."""


@pytest.fixture(scope="session", autouse=True)
def _a_cache_of_their_own(tmp_path_factory: pytest.TempPathFactory):
    """Tests neither fill the user's cache nor find anything in it."""
    os.environ["GLP_EXPORT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained-looking 4-layer BERT without a head."""
    return made_once(tmp_path_factory, "encoder", make_checkpoint)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 4-layer BERT with a two-label head."""
    return made_once(tmp_path_factory, "classifier", partial(make_checkpoint, num_labels=2))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with 120 training and 40 validation rows."""
    return made_once(tmp_path_factory, "data", make_data)
