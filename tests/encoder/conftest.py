"""What trainings of an encoder are tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.encoder import ModelSource, load_tokenizer
from glp_export.tasks import DataSpec, encode, load_task_data


@pytest.fixture(scope="module")
def room(encoder: Path, data: Path) -> tuple[Any, ...]:
    """A task, its tokenizer, and its encoded rows to train on and of dev."""
    tokenizer = load_tokenizer(ModelSource(str(encoder)))
    loaded = load_task_data(DataSpec(dataset=str(data)))
    rows = [encode(part, loaded.task, tokenizer, 32) for part in (loaded.fit, loaded.select)]
    return loaded.task, tokenizer, *rows
