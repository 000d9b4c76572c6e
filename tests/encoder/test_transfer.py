"""Auxiliary tasks on a shared encoder: learned before a task, and beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glp_export.encoder import (
    DistillSettings,
    JointTasks,
    TrainSettings,
    distill,
    finetune,
    learn_first,
    predict,
    row_losses,
    with_head_for,
)
from tests.encoder.starts import MAKERS, auxiliary, fresh

SHORT = TrainSettings(epochs=1, learning_rate=1e-3, batch_size=16)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_encoder_learns_and_the_head_does_not_change(
    kind: str, encoder: Path, place: Any, tmp_path: Path
) -> None:
    model = fresh(encoder, place[1].task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learn_first(model, auxiliary(kind, place, tmp_path), place[0], SHORT)
    after = model.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert any(".layer.0." in name for name in changed)
    assert all(name.startswith(f"{model.base_model_prefix}.") for name in changed)
    assert model.config.num_labels == 2


def test_a_task_beside_another_trains_both_heads_and_the_same_seed_gives_the_same(
    encoder: Path, place: Any, tmp_path: Path
) -> None:
    rows = [auxiliary(kind, place, tmp_path) for kind in MAKERS]
    states, tasks = [], None
    for _ in range(2):
        model = fresh(encoder, place[1].task)
        tasks = JointTasks(model, rows, place[0], SHORT, 0.5)
        heads = [one.detach().clone() for one in tasks.parameters]
        finetune(model, place[2], place[0], SHORT, regulariser=tasks)
        assert all(one.grad is None for one in tasks.parameters)
        moved = [not torch.equal(a, b) for a, b in zip(heads, tasks.parameters, strict=True)]
        assert sum(moved) >= 2 * len(rows)
        states.append(model.state_dict())
    alone = finetune(fresh(encoder, place[1].task), place[2], place[0], SHORT).state_dict()
    assert states[0].keys() == alone.keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in alone)
    assert not all(torch.equal(states[0][name], alone[name]) for name in alone)
    tasks.before_step(0, 1)
    assert all(torch.equal(a, b) for a, b in zip(heads, tasks.parameters, strict=True))


def test_a_task_beside_the_imitation_of_a_teacher(
    encoder: Path, place: Any, tmp_path: Path
) -> None:
    teacher, student = (fresh(encoder, place[1].task) for _ in range(2))
    answers = predict(teacher, place[2], place[0])
    tasks = JointTasks(student, [auxiliary("regression", place, tmp_path)], place[0], SHORT, 0.5)
    distill(student, answers, place[2], place[0], SHORT, DistillSettings(), regulariser=tasks)
    found = predict(student, place[2], place[0])
    assert np.isfinite(found).all()
    assert not np.array_equal(found, answers)


def test_rows_have_the_loss_that_a_batch_of_them_has(encoder: Path, place: Any) -> None:
    model = fresh(encoder, place[1].task)
    losses = row_losses(model, place[2], place[0])
    logits = torch.from_numpy(predict(model, place[2], place[0]))
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor(place[2]["labels"][:]))
    assert losses.shape == (len(place[2]),)
    assert losses.mean() == pytest.approx(float(wanted), abs=1e-5)


def test_a_model_without_layers_shares_those_that_it_has(
    encoder: Path, place: Any, tmp_path: Path
) -> None:
    from glp_export.encoder import remove_layers

    model = remove_layers(fresh(encoder, place[1].task), (1, 2))
    other = with_head_for(model, auxiliary("token-classification", place, tmp_path).task, 0)
    assert len(other.base_model.encoder.layer) == 2
    assert other.base_model.encoder is model.base_model.encoder


def test_a_regression_beside_a_training_weighs_the_same_on_any_scale(
    encoder: Path, place: Any, tmp_path: Path
) -> None:
    plain = auxiliary("regression", place, tmp_path)
    large = plain.examples.map(lambda row: {"labels": 100 * row["labels"] + 40})
    losses = []
    for examples in (plain.examples, large):
        model = fresh(encoder, place[1].task).eval()
        tasks = JointTasks(model, [replace(plain, examples=examples)], place[0], SHORT, 0.5)
        losses.append(float(tasks.penalty().detach()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[0] < 2  # half the variance of its targets, which is 1, and what a new head adds
