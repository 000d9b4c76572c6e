"""Where trainings begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glp_export.encoder import ModelSource, load_model


def fresh(encoder: Path, task: Any) -> Any:
    """The encoder with a new head, the same every time."""
    torch.manual_seed(0)
    return load_model(ModelSource(str(encoder)), task)
