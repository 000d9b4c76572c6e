"""Where trainings begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glp_export.encoder import AuxiliaryRows, ModelSource, load_model
from glp_export.tasks import DataSpec, encode, load_auxiliary
from tests.tiny import make_data_of, pair_rows, tagged_rows

MAKERS = {"token-classification": tagged_rows, "regression": pair_rows}
"""Of auxiliary tasks."""


def fresh(encoder: Path, task: Any) -> Any:
    """The encoder with a new head, the same every time."""
    torch.manual_seed(0)
    return load_model(ModelSource(str(encoder)), task)


def auxiliary(kind: str, place: Any, directory: Path) -> AuxiliaryRows:
    """Rows of another kind of task, encoded as those of `place`."""
    tokenizer, task_data, _ = place
    source = make_data_of(directory / kind, MAKERS[kind], 64, 1)
    spec = DataSpec(dataset="of the run")
    found = load_auxiliary(str(source), spec, 100, task_data.test)
    assert found.task.kind == kind
    return AuxiliaryRows(found.task, encode(found.rows, found.task, tokenizer, 32))
