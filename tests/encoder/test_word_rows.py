"""A training updates the word embeddings' rows that occur, and gives what all rows give."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from glp_export.encoder import (
    JointTasks,
    TrainSettings,
    Watch,
    finetune,
    predict,
)
from glp_export.encoder import training as module
from glp_export.encoder.schedule import Schedule
from glp_export.encoder.word_rows import only_occurring
from tests.encoder.starts import auxiliary, fresh
from tests.families import TESTED
from tests.tiny import make_checkpoint

ONCE = TrainSettings(epochs=1, learning_rate=1e-3, batch_size=8)
FEW = 12
"""Rows to train on, which leave some words out."""


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all(
        torch.allclose(found[name].float(), wanted[name].float(), atol=1e-5) for name in wanted
    )


def with_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "only_occurring", lambda *given: nullcontext())


# Code of one's own need not tell which its word embeddings are.
OF_TEXTS = [
    name
    for name, one in TESTED.items()
    if one.export_task == "text-classification" and one.family != "own-bert"
]


@pytest.mark.parametrize("family", OF_TEXTS)
def test_the_model_is_that_of_a_training_of_all_rows(
    family: str, room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tokenizer, fit, dev = room
    checkpoint = TESTED[family].make(tmp_path)
    rows, shown = fit.select(range(FEW)), []
    if TESTED[family].family in ("distilbert", "mpnet"):
        rows = rows.remove_columns("token_type_ids")
    kept = module.only_occurring

    def noted(model: Any, *given: Any) -> Any:
        shown.append(model.get_input_embeddings())
        return kept(model, *given)

    monkeypatch.setattr(module, "only_occurring", noted)
    model = TESTED[family].load(checkpoint)
    before = model.get_input_embeddings().weight.detach().clone()
    found = finetune(model, rows, tokenizer, ONCE)
    words = found.get_input_embeddings()
    assert words is shown[0]
    assert type(words) is nn.Embedding
    occurring = {token for row in rows["input_ids"] for token in row}
    absent = [row for row in range(len(before)) if row not in occurring]
    assert absent
    assert torch.equal(words.weight[absent], before[absent])
    assert not torch.equal(words.weight, before)
    with_all_rows(monkeypatch)
    wanted = finetune(TESTED[family].load(checkpoint), rows, tokenizer, ONCE)
    assert same(found.state_dict(), wanted.state_dict())
    assert np.allclose(predict(found, dev, tokenizer), predict(wanted, dev, tokenizer), atol=1e-4)


def test_tokens_that_do_not_occur_have_their_rows_where_nothing_is_learned(
    encoder: Path, room: Any
) -> None:
    task, tokenizer, fit, dev = room
    model = fresh(encoder, task).eval()
    wanted = predict(model, dev, tokenizer)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    with only_occurring(model, [fit.select(range(FEW))], tokenizer):
        assert len(model.get_input_embeddings().weight) < model.config.vocab_size
        assert same(model.state_dict(), weights)
        model.load_state_dict({name: value + 1 for name, value in weights.items()})
        assert not np.array_equal(predict(model, dev, tokenizer), wanted)
        model.load_state_dict(weights)
        assert np.array_equal(predict(model, dev, tokenizer), wanted)
        with pytest.raises(RuntimeError, match="names them as its examples"):
            model(input_ids=torch.arange(model.config.vocab_size)[None])
    assert np.array_equal(predict(model, dev, tokenizer), wanted)


def test_what_dev_watches_is_the_same(
    encoder: Path, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, tokenizer, fit, dev = room

    def trained() -> Any:
        scores: list[float] = []

        def scored(model: Any) -> float:
            scores.append(float(predict(model, dev, tokenizer)[:, 0].mean()))
            return scores[-1]

        watch = Watch(Schedule(12, 2, 6, 2, (1e-3, 2e-3), tried=4), dev, scored, float)
        model = finetune(fresh(encoder, task), fit.select(range(FEW)), tokenizer, ONCE, watch=watch)
        return model.state_dict(), scores

    found, scores = trained()
    with_all_rows(monkeypatch)
    wanted, theirs = trained()
    assert same(found, wanted)
    assert np.allclose(scores, theirs, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_words_of_an_auxiliary_task_are_learned_too(
    family: str, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, task_data, train = place
    checkpoint = make_checkpoint(tmp_path / family, family)
    more = [auxiliary("regression", place, tmp_path)]

    def trained() -> Any:
        model = fresh(checkpoint, task_data.task)
        beside = JointTasks(model, more, tokenizer, ONCE, weight=1.0)
        rows = train.select(range(FEW))
        settings = replace(ONCE, epochs=2)
        finetune(model, rows, tokenizer, settings, regulariser=beside)
        assert model.get_input_embeddings().weight.grad is None
        return model.state_dict()

    found = trained()
    with_all_rows(monkeypatch)
    assert same(found, trained())


def test_padding_of_the_model_itself_occurs(encoder: Path, room: Any) -> None:
    task, tokenizer, fit, _ = room
    model = fresh(encoder, task)
    model.config.pad_token_id = model.config.vocab_size - 1
    with only_occurring(model, [fit.select(range(1))], tokenizer):
        model(input_ids=torch.tensor([[model.config.pad_token_id]]))


@pytest.mark.parametrize("change", ["tied", "frozen", "scaled", "parametrised"])
def test_embeddings_that_are_more_than_a_table_stay_whole(
    change: str, encoder: Path, room: Any
) -> None:
    task, tokenizer, fit, _ = room
    model = fresh(encoder, task)
    words = model.get_input_embeddings()
    if change == "tied":
        model.other = nn.Linear(words.embedding_dim, words.num_embeddings, bias=False)
        model.other.weight = words.weight
    elif change == "frozen":
        words.weight.requires_grad_(False)
    elif change == "scaled":
        words.register_forward_hook(lambda module, given, found: 2 * found)
    else:
        nn.utils.parametrize.register_parametrization(words, "weight", nn.Identity())
    with only_occurring(model, [fit.select(range(FEW))], tokenizer):
        assert model.get_input_embeddings() is words
