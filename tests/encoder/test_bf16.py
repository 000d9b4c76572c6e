"""Training steps in bf16: what is computed in it, what is not, and which models fail in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from glp_export.core import machine
from glp_export.core.errors import ModelError
from glp_export.encoder import (
    DistillSettings,
    TrainSettings,
    Watch,
    distill,
    finetune,
    predict,
)
from glp_export.encoder.batches import forward
from glp_export.encoder.bf16 import fails_in_bf16
from glp_export.encoder.schedule import Schedule
from glp_export.workflows import final_training
from tests.encoder.starts import fresh
from tests.families import TESTED, batch

SETTINGS = TrainSettings(epochs=2, learning_rate=1e-3, batch_size=16, bf16=True)
BRIEF = Schedule(updates=4, every=2, least=2, patience=1, rates=(1e-3, 2e-3), tried=2)


@pytest.fixture
def dtypes(monkeypatch):
    """The types of what a linear map makes, in training and out of it."""
    seen = SimpleNamespace(graded=set(), predicted=set())
    linear = torch.nn.Linear.forward

    def watched(self, values):
        made = linear(self, values)
        (seen.graded if torch.is_grad_enabled() else seen.predicted).add(made.dtype)
        return made

    monkeypatch.setattr(torch.nn.Linear, "forward", watched)
    return seen


def test_updates_and_looks_are_computed_in_bf16_and_no_weight_and_no_prediction_is(
    encoder, room, dtypes
):
    task, tokenizer, fit, select = room
    watch = Watch(BRIEF, select, lambda m: predict(m, select, tokenizer), lambda a: float(a.std()))
    model = finetune(fresh(encoder, task), fit, tokenizer, SETTINGS, watch=watch)
    assert dtypes.graded == {torch.bfloat16}
    assert dtypes.predicted == {torch.bfloat16, torch.float32}  # the latter is of answers
    dtypes.predicted.clear()
    assert predict(model, select, tokenizer).dtype == np.float32
    assert dtypes.predicted == {torch.float32}
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_a_training_without_it_is_in_float32_alone(encoder, room, dtypes):
    task, tokenizer, fit, _ = room
    finetune(fresh(encoder, task), fit, tokenizer, replace(SETTINGS, bf16=False))
    assert dtypes.graded == {torch.float32}


def test_it_ends_near_where_float32_ends(encoder, room):
    task, tokenizer, fit, _ = room
    teacher = predict(fresh(encoder, task), fit, tokenizer)
    for train in (
        lambda model, settings: finetune(model, fit, tokenizer, settings),
        lambda model, settings: distill(
            model, teacher + 1, fit, tokenizer, settings, DistillSettings()
        ),
    ):
        start = predict(fresh(encoder, task), fit, tokenizer)
        exact, near = (
            predict(train(fresh(encoder, task), replace(SETTINGS, bf16=bf16)), fit, tokenizer)
            for bf16 in (False, True)
        )
        assert not np.array_equal(exact, near)
        assert np.abs(near - exact).mean() < 0.1 * np.abs(exact - start).mean()


@pytest.mark.parametrize("row", TESTED)
def test_a_family_computes_losses_in_float32_or_says_that_it_cannot(row: str, tmp_path: Path):
    model = TESTED[row].load(TESTED[row].make(tmp_path))
    failure = fails_in_bf16(model)
    if row == "DeBERTa":
        assert failure is not None
        assert "BFloat16" in failure
        return
    assert failure is None
    inputs = {name: torch.from_numpy(values) for name, values in batch(9, 4).items()}
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(model.train(), inputs).logits
        logits.square().sum().backward()
    assert logits.dtype == torch.float32
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


@pytest.mark.parametrize(
    ("asked", "features", "expected"),
    [
        ("auto", ("avx512_bf16",), True),
        ("auto", ("avx2",), False),
        ("fp32", ("avx512_bf16",), False),
        ("bf16", ("avx2",), True),
    ],
)
def test_auto_is_bf16_where_the_cpu_multiplies_it(
    asked, features, expected, encoder, room, monkeypatch
):
    monkeypatch.setattr(machine, "cpu_features", lambda: features)
    model = fresh(encoder, room[0])
    assert final_training.in_bf16(asked, model, "cpu") is expected


def test_a_model_that_fails_in_it_is_trained_in_float32_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx512_bf16",))
    model = TESTED["DeBERTa"].load(TESTED["DeBERTa"].make(tmp_path))
    assert not final_training.in_bf16("auto", model, "cpu")
    with pytest.raises(ModelError, match="computes nothing in bf16") as found:
        final_training.in_bf16("bf16", model, "cpu")
    assert found.value.exit_code == 7


def test_code_that_fails_where_texts_are_padded_is_found(encoder, room, monkeypatch):
    model = fresh(encoder, room[0])
    plain = model.forward

    def forward(input_ids, attention_mask):
        if not attention_mask.all():
            scores = torch.zeros(attention_mask.shape, dtype=torch.bfloat16)
            scores.masked_fill(attention_mask == 0, torch.finfo(torch.float32).min)
        return plain(input_ids, attention_mask)

    assert fails_in_bf16(model) is None
    monkeypatch.setattr(model, "forward", forward)
    assert "BFloat16" in str(fails_in_bf16(model))
