"""Models of factors are trained on general texts first, then on the task alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glp_export.compress.edits import KroneckerFactors
from glp_export.compress.plan import Plan
from glp_export.core.factors import PRESETS
from glp_export.core.shape import LayerShape, ModelShape
from glp_export.encoder import RECOVERIES, DistillSettings, TrainingInputs, TrainSettings
from glp_export.workflows.stages.factor_training import train_factors

BASE = ModelShape(
    layers=(LayerShape(heads=2, head_size=16, neurons=64),) * 2, vocabulary=100, hidden_size=32
)


def stages(rows: int, labelled: int, recovery: str = "distill", **settings: Any) -> list[Any]:
    """The inputs of each training of so many rows."""
    from datasets import Dataset

    seen: list[Any] = []

    def train(model: Any, inputs: TrainingInputs, report: Any) -> Any:
        seen.append(inputs)
        return model

    facts = {"base_model": "tiny", "task": "rows", "metric": "accuracy", "strategy": "kronecker"}
    edits = (KroneckerFactors.of(PRESETS["x8"]),)
    plan = Plan(num_layers=2, base_shape=BASE, edits=edits, settings=settings, **facts)
    inputs = TrainingInputs(
        examples=Dataset.from_dict({"row": list(range(rows))}),
        tokenizer=None,  # type: ignore[arg-type]
        teacher_logits=np.arange(rows, dtype=np.float32)[:, None],
        settings=TrainSettings(epochs=5),
        distillation=DistillSettings(weight=0.5),
    )
    recording = replace(RECOVERIES[recovery], train=train)
    train_factors(None, plan, recording, inputs, labelled, lambda *_: None)  # type: ignore[arg-type]
    return seen


def test_general_texts_come_first_and_the_task_last() -> None:
    general, task = stages(5, 3, general_epochs=2.0)
    assert list(general.examples["row"]) == general.teacher_logits[:, 0].tolist() == [3, 4]
    assert (general.settings.epochs, general.distillation.weight) == (2.0, 1.0)
    assert list(task.examples["row"]) == task.teacher_logits[:, 0].tolist() == [0, 1, 2]
    assert (task.settings.epochs, task.distillation.weight) == (5, 0.5)


@pytest.mark.parametrize(("labelled", "epochs"), [(5, 2.0), (3, 0.0)])
def test_without_general_texts_there_is_one_stage(labelled: int, epochs: float) -> None:
    (task,) = stages(5, labelled, general_epochs=epochs)
    assert len(task.examples) == labelled


def test_labels_are_learned_in_one_stage() -> None:
    assert len(stages(5, 5, recovery="finetune")) == 1
