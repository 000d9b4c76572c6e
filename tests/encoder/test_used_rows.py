"""The same weights come out where the rows of tokens that do not occur are left out of training."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from glp_export.encoder import (
    ModelSource,
    TrainSettings,
    finetune,
    load_model,
    load_tokenizer,
    training,
)
from glp_export.encoder.used_rows import ids_of, used_rows_alone
from glp_export.tasks import DataSpec, encode, load_task_data

SETTINGS = TrainSettings(epochs=1, learning_rate=1e-3, batch_size=16)


@pytest.fixture(scope="module")
def room(encoder, data):
    """Task data, tokenizer and a few encoded rows, so that most tokens do not occur."""
    tokenizer = load_tokenizer(ModelSource(str(encoder)))
    task_data = load_task_data(DataSpec(dataset=str(data)))
    return (
        task_data,
        tokenizer,
        encode(task_data.train.select(range(4)), task_data.task, tokenizer, 32),
    )


def fresh(encoder, task):
    torch.manual_seed(0)
    model = load_model(ModelSource(str(encoder)), task)
    model.resize_token_embeddings(64)  # the words of the test data are few
    return model


def test_weights_are_those_of_training_the_whole_table(encoder, room, monkeypatch):
    data, tokenizer, rows = room
    narrow = finetune(fresh(encoder, data.task), rows, tokenizer, SETTINGS).state_dict()
    monkeypatch.setattr(training, "_without_idle_rows", lambda *given: nullcontext())
    whole = finetune(fresh(encoder, data.task), rows, tokenizer, SETTINGS).state_dict()
    before = fresh(encoder, data.task).state_dict()
    assert narrow.keys() == whole.keys()
    assert any(not torch.equal(narrow[name], before[name]) for name in narrow)
    for name in narrow:
        torch.testing.assert_close(narrow[name], whole[name], rtol=0, atol=1e-7)


def test_the_narrow_table_answers_for_what_occurs_and_refuses_the_rest(encoder, room):
    data, tokenizer, rows = room
    model = fresh(encoder, data.task)
    ids = ids_of([rows], tokenizer.all_special_ids)
    assert 2 * len(ids) <= model.config.vocab_size, "the test wants idle rows"
    whole, some = model.get_input_embeddings(), torch.tensor(ids)
    other = next(token for token in range(model.config.vocab_size) if token not in ids)
    with used_rows_alone(model, ids):
        assert model.get_input_embeddings().weight.shape[0] == len(ids)
        assert torch.equal(model.get_input_embeddings()(some), whole(some))
        with pytest.raises(IndexError):
            model.get_input_embeddings()(torch.tensor([other]))
    assert model.get_input_embeddings() is whole


def test_an_error_brings_the_table_back(encoder, room):
    model = fresh(encoder, room[0].task)
    whole = model.get_input_embeddings()
    with pytest.raises(KeyError), used_rows_alone(model, np.array([0, 1])):
        raise KeyError
    assert model.get_input_embeddings() is whole


def test_weight_decay_trains_the_whole_table(encoder, room):
    data, tokenizer, rows = room
    model = fresh(encoder, data.task)
    settings = replace(SETTINGS, weight_decay=0.1)
    with training._without_idle_rows(model, tokenizer, settings, rows, None):
        assert type(model.get_input_embeddings()) is torch.nn.Embedding
