"""What is reckoned before a run is what its trainings amount to, where nothing ends them early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from glp_export.config.files import resolve
from glp_export.core.progress import Progress
from glp_export.encoder import schedule
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.search import choose_plans
from glp_export.workflows.stages.training import train_contenders
from glp_export.workflows.training_counts import Job

BATCH = 6  # of 120 train rows, and of the 102 that dev leaves


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Examples and layers of every update."""
    seen: list[tuple[int, int]] = []
    step = transformers.Trainer.training_step

    def counted(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append((len(inputs["input_ids"]), model.config.num_hidden_layers))
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(transformers.Trainer, "training_step", counted)
    monkeypatch.setattr(schedule, "LEAST_UPDATES", 10)
    monkeypatch.setattr(schedule, "UPDATES_A_CLASS", 2)
    monkeypatch.setattr(schedule, "PATIENCE", 99)
    return seen


@pytest.mark.parametrize(
    "settings",
    [
        {"search": "greedy"},
        {"search": "greedy", "search_epochs": 1},
        {"search": "greedy", "max_search_samples": 30},
        {"search": "greedy", "max_search_samples": 30, "epochs": 1},
        {"search": "top", "depths": [3, 2], "epochs": 1},
        {"search": "top", "recover": "finetune"},
        {"compress": "kronecker", "epochs": 1, "hidden_weight": 0},
    ],
)
def test_examples_and_layers_are_those_of_the_run(
    settings: dict[str, Any],
    encoder: Path,
    data: Path,
    tmp_path: Path,
    trained: list[tuple[int, int]],
) -> None:
    made = {"model": str(encoder), "dataset": str(data), "batch_size": BATCH, "cache": "none"}
    made |= {"threads": 1, "offline": True, "precision": ["fp32"]}
    made |= {} if {"depths", "compress"} & settings.keys() else {"depth": 3}
    context = make_context(resolve({**made, **settings}))
    reckoned = Job.of(context).counts
    found = choose_plans(context, tmp_path, Progress())
    train_contenders(context, found, tmp_path, Progress())
    assert reckoned.examples == sum(examples for examples, _ in trained)
    layers = sum(examples * layers for examples, layers in trained)
    assert reckoned.least <= layers <= reckoned.most
