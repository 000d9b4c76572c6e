from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError, ModelError
from glp_export.encoder import (
    ModelSource,
    load_model,
    load_tokenizer,
    predict,
    save_checkpoint,
)
from glp_export.tasks import (
    KINDS,
    DataSpec,
    TaskData,
    encode,
    load_task_data,
    score,
    truth_of,
)
from glp_export.tasks.kinds import NO_LABEL
from glp_export.tasks.kinds.masked_language_model import KEPT
from tests.tasks.helpers import two_files
from tests.tiny import make_data_of, make_tokenizer, text_rows

KIND = KINDS["masked-language-model"]
VOCABULARY = 30


def load(directory: Path, **settings: Any) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), kind=KIND.name, **settings))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    return load(make_data_of(tmp_path_factory.mktemp("texts"), text_rows, 60, 30))


@pytest.fixture(scope="module")
def logits() -> Any:
    return np.random.default_rng(0).standard_normal((3, 5, VOCABULARY)).astype(np.float32)


def whole(logits: Any) -> Any:
    """A batch without padding for these logits."""
    return {"attention_mask": np.ones(logits.shape[:2], dtype=np.int64)}


def test_it_takes_texts_and_no_label(loaded: TaskData) -> None:
    task = loaded.task
    assert (task.kind, task.metric) == ("masked-language-model", "accuracy")
    assert (task.text_columns, task.label_column) == (("text",), "")


def test_some_tokens_are_hidden_and_the_rest_is_as_it_was(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 32)
    plain = tokenizer(loaded.test["text"][:], truncation=True, max_length=32)["input_ids"]
    for ids, labels, own in zip(encoded["input_ids"], encoded["labels"], plain, strict=True):
        hidden = [place for place, label in enumerate(labels) if label != NO_LABEL]
        assert len(hidden) == max(1, round(0.15 * (len(own) - 2)))
        assert not {0, len(own) - 1} & set(hidden)
        for place, token in enumerate(own):
            assert ids[place] == (tokenizer.mask_token_id if place in hidden else token)
            assert labels[place] == (token if place in hidden else NO_LABEL)


def test_the_same_text_always_hides_the_same(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    once = encode(loaded.test, loaded.task, tokenizer, 32)
    order = np.random.default_rng(0).permutation(len(loaded.test))
    again = encode(loaded.test.select(order), loaded.task, tokenizer, 32)
    assert [once["input_ids"][row] for row in order] == again["input_ids"][:]


def test_a_text_without_tokens_is_left_out(tmp_path: Path) -> None:
    rows = [*text_rows(20), {"text": ""}]
    data = load(two_files(tmp_path, rows, rows))
    assert len(encode(data.test, data.task, make_tokenizer(), 32)) == 20


def test_an_answer_is_the_likeliest_tokens_with_their_log_probabilities(logits: Any) -> None:
    import torch

    values, ids = torch.log_softmax(torch.from_numpy(logits), dim=-1).topk(KEPT)
    answers = KIND.read({"logits": logits}, whole(logits))
    assert answers[..., :KEPT] == pytest.approx(values.numpy(), abs=1e-5)
    assert answers[..., KEPT:].tolist() == ids.tolist()


def test_padding_answers_nothing(logits: Any) -> None:
    batch = whole(logits)
    batch["attention_mask"][1, 3:] = 0
    answers = KIND.read({"logits": logits}, batch)
    assert not answers[1, 3:].any()
    assert KIND.choices(answers, batch["attention_mask"]).decided.shape == (13,)


def test_accuracies_are_scikit_learns(loaded: TaskData) -> None:
    from dataclasses import replace

    from sklearn.metrics import accuracy_score, top_k_accuracy_score

    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 32)
    longest = max(encoded["length"][:])
    logits = np.random.default_rng(0).standard_normal((len(encoded), longest, 23))
    answers = KIND.read({"logits": logits.astype(np.float32)}, whole(logits))
    labels = [np.array(own) for own in encoded["labels"][:]]
    golds = np.concatenate([own[own != NO_LABEL] for own in labels])
    scores = np.concatenate(
        [row[: len(own)][own != NO_LABEL] for row, own in zip(logits, labels, strict=True)]
    )
    truth = truth_of(loaded.task, encoded)
    expected = accuracy_score(golds, scores.argmax(axis=1))
    assert score(loaded.task, answers, truth) == pytest.approx(expected)
    at_5 = replace(loaded.task, metric="accuracy_at_5")
    expected = top_k_accuracy_score(golds, scores, k=5, labels=np.arange(23))
    assert score(at_5, answers, truth) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accuracy", "accuracy_at_5"])
def test_a_resample_is_the_metric_of_what_was_drawn(name: str) -> None:
    metric, generator = KIND.metric(name), np.random.default_rng(0)
    found = [generator.integers(0, 6, (size, KEPT)) for size in (1, 2, 3)]
    golds = [generator.integers(0, 6, size) for size in (1, 2, 3)]
    counts = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])
    drawn = [0, 0, 2]
    expected = [
        metric.compute(found, golds),
        metric.compute([found[i] for i in drawn], [golds[i] for i in drawn]),
    ]
    assert metric.resampled(found, golds, counts) == pytest.approx(np.array(expected))


def test_tokens_that_change_places_move_no_number_further_than_the_logits(logits: Any) -> None:
    moved = logits + np.random.default_rng(1).uniform(-0.1, 0.1, logits.shape).astype(np.float32)
    before, after = (KIND.read({"logits": one}, whole(one)) for one in (logits, moved))
    assert (before[..., KEPT:] != after[..., KEPT:]).any()
    # log_softmax itself moves by no more than the largest move, once for the logit and its sum.
    assert abs(KIND.numbers(before) - KIND.numbers(after)).max() <= 0.2 + 1e-5


def test_imitation_is_nothing_for_the_teacher_itself(logits: Any) -> None:
    import torch

    teacher = torch.from_numpy(KIND.read({"logits": logits}, whole(logits)))
    labels = torch.full((3, 5), NO_LABEL)
    labels[:, 1] = 7
    batch = {"attention_mask": torch.ones(3, 5), "labels": labels}
    own = SimpleNamespace(logits=torch.from_numpy(logits))
    assert float(KIND.imitation(own, teacher, batch, 2.0)) == pytest.approx(0.0, abs=1e-5)
    other = SimpleNamespace(logits=torch.from_numpy(logits).flip(-1).requires_grad_())
    loss = KIND.imitation(other, teacher, batch, 2.0)
    loss.backward()
    assert float(loss.detach()) > 0.1
    assert other.logits.grad.abs().sum() > 0


def test_evidence_is_what_a_linear_map_can_tell_of_the_teachers_tokens(loaded: TaskData) -> None:
    encoded = encode(loaded.fit, loaded.task, make_tokenizer(), 32)
    truth = truth_of(loaded.task, encoded)
    generator = np.random.default_rng(0)
    logits = 5 * generator.standard_normal((len(encoded), max(encoded["length"][:]), 23))
    answers = KIND.read({"logits": logits.astype(np.float32)}, whole(logits))
    knows = truth.of(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    ignorant = [generator.standard_normal(own.shape) for own in knows]
    good, bad = (KIND.refit(f, (truth, answers), f, (truth, answers)) for f in (knows, ignorant))
    assert good.shape == (len(encoded),)
    assert good.mean() < 0.7 * bad.mean()


def test_what_comes_out_can_be_given_a_task(
    encoder: Path, data: Path, loaded: TaskData, tmp_path: Path
) -> None:
    source = ModelSource(str(encoder))
    tokenizer, model = load_tokenizer(source), load_model(source, loaded.task)
    encoded = encode(loaded.test, loaded.task, tokenizer, 32)
    assert predict(model, encoded, tokenizer).shape[-1] == 2 * KEPT
    saved = save_checkpoint(model, tokenizer, tmp_path / "saved")
    task = load_task_data(DataSpec(dataset=str(data))).task
    classifier = load_model(ModelSource(str(saved)), task)
    weights = dict(classifier.bert.encoder.named_parameters())
    for name, weight in model.bert.encoder.named_parameters():
        assert weight.equal(weights[name])


@pytest.mark.parametrize(
    ("row", "settings", "fault"),
    [
        ({"number": 1}, {}, "needs one column of text"),
        ({"one": "a", "two": "b"}, {}, "needs one column of text"),
        ({"one": "a", "two": "b"}, {"text_columns": ("one", "two")}, "reads one column of text"),
        ({"one": "a", "two": "b"}, {"text_columns": ("three",)}, "no column 'three'"),
    ],
)
def test_data_of_another_form_is_refused(
    tmp_path: Path, row: Any, settings: Any, fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        load(two_files(tmp_path, [row] * 20, [row] * 5), **settings)


def test_a_row_without_text_is_named(tmp_path: Path) -> None:
    rows = [*text_rows(20), {"text": None}]
    with pytest.raises(DataError, match="no text") as caught:
        load(two_files(tmp_path, rows, rows))
    assert "row 21" in str(caught.value.where)


def test_a_tokenizer_that_hides_nothing_is_refused(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="no token that hides others"):
        encode(loaded.test, loaded.task, tokenizer, 32)
