from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glp_export.encoder import (
    DistillSettings,
    ModelSource,
    TrainSettings,
    autocast,
    distill,
    finetune,
    load_model,
    load_tokenizer,
    predict,
)
from glp_export.encoder.target_scale import last_layer
from glp_export.tasks import DataSpec, encode, load_task_data
from tests.tiny import make_checkpoint, make_config, rows, write_jsonl

SETTINGS = TrainSettings(epochs=4, learning_rate=1e-3, batch_size=16)

ROUNDING = 2e-3
"""Of numbers with deviation 1: Adam's epsilon and fp32 sums, through a few dozen updates."""

MEAN = np.mean([(row["label"] == "good") + 0.01 for row in rows(80)])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("encoder"))


def numbers_of(encoder: Path, directory: Path, scale: float, offset: float) -> Any:
    """A task whose labels are on some scale: its data, a tokenizer, encoded rows, a new model."""
    records = [
        {"text": row["text"], "label": offset + scale * ((row["label"] == "good") + 0.01)}
        for row in rows(80)
    ]
    for name in ("train", "validation"):
        write_jsonl(directory / f"{name}.jsonl", records)
    data = load_task_data(DataSpec(dataset=str(directory), kind="regression"))
    tokenizer = load_tokenizer(ModelSource(str(encoder)))
    torch.manual_seed(0)
    model = load_model(ModelSource(str(encoder)), data.task)
    return data, tokenizer, encode(data.train, data.task, tokenizer, 32), model


def learned(
    encoder: Path, directory: Path, scale: float, offset: float, settings: TrainSettings = SETTINGS
) -> NDArray[Any]:
    """Answers of a trained model, brought back to the scale 1 and the offset 0."""
    _, tokenizer, train, model = numbers_of(encoder, directory, scale, offset)
    answers = predict(finetune(model, train, tokenizer, settings), train, tokenizer)
    return (answers.astype(np.float64) - offset) / scale


@pytest.mark.parametrize(("scale", "offset"), [(20.0, 50.0), (0.001, 0.0), (1.0, -300.0)])
def test_what_is_learned_does_not_depend_on_the_scale_of_labels(
    encoder: Path, tmp_path: Path, scale: float, offset: float
) -> None:
    plain = learned(encoder, tmp_path / "plain", 1.0, 0.0)
    assert abs(plain.mean() - MEAN) < 0.1
    tolerance = ROUNDING + abs(offset / scale) * 1e-6
    np.testing.assert_allclose(
        learned(encoder, tmp_path / "own", scale, offset), plain, atol=tolerance
    )


def test_labels_far_from_0_are_learned_in_bf16(encoder: Path, tmp_path: Path) -> None:
    """Of numbers from 256 to 512 bf16 has every second."""
    settings = replace(SETTINGS, bf16=True)
    plain = learned(encoder, tmp_path / "plain", 1.0, 0.0, settings)
    far = learned(encoder, tmp_path / "far", 1.0, -300.0, settings)
    np.testing.assert_allclose(far, plain, atol=0.02)


class Naming(torch.nn.Module):
    """Calls its layer by the name of what it takes, as code of one's own may."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, states: Any) -> Any:
        return self.layer(input=states)


@pytest.mark.parametrize("named", [False, True])
def test_answers_are_in_float32_where_the_rest_is_in_bf16(
    encoder: Path, tmp_path: Path, named: bool
) -> None:
    _, tokenizer, train, model = numbers_of(encoder, tmp_path, 1.0, 2000.0)
    model.classifier.bias.data.fill_(2000.0)
    if named:
        model.classifier = Naming(model.classifier)
    exact = predict(model, train, tokenizer)
    with autocast(replace(SETTINGS, bf16=True)):
        near = predict(model, train, tokenizer)
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, atol=0.01)


def test_student_of_a_large_scale_learns_as_one_of_a_small(encoder: Path, tmp_path: Path) -> None:
    found = []
    for scale in (1.0, 100.0):
        _, tokenizer, train, model = numbers_of(encoder, tmp_path / f"{scale}", scale, 0.0)
        teacher = predict(finetune(model, train, tokenizer, SETTINGS), train, tokenizer)
        wanted = teacher + np.float32(scale / 2)  # something is left to learn
        distill(model, wanted, train, tokenizer, SETTINGS, DistillSettings(weight=1.0))
        found.append(predict(model, train, tokenizer) / scale)
    np.testing.assert_allclose(found[1], found[0], atol=ROUNDING)


def test_trained_head_stays_where_it_is(encoder: Path, tmp_path: Path) -> None:
    _, tokenizer, train, model = numbers_of(encoder, tmp_path, 1.0, 0.0)
    head = last_layer(model)
    assert head is not None
    with torch.no_grad():
        head.bias.fill_(7.0)
    never = TrainSettings(epochs=0.01, learning_rate=0.0)
    finetune(model, train, tokenizer, never)
    assert head.bias.item() == 7.0


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "modernbert"])
def test_last_layer_is_the_one_that_answers(family: str) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(make_config(family, 1, num_labels=1))
    head = last_layer(model)
    assert head is not None
    assert head.out_features == 1
