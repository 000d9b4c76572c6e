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


@pytest.fixture(scope="module")
def place(encoder: Path, data: Path) -> Any:
    """Tokenizer, task data and encoded training rows, beside which others are learned."""
    tokenizer = load_tokenizer(ModelSource(str(encoder)))
    task_data = load_task_data(DataSpec(dataset=str(data)))
    return tokenizer, task_data, encode(task_data.fit, task_data.task, tokenizer, 32)
