from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError, ModelError
from glp_export.encoder import (
    ModelSource,
    TrainSettings,
    find_file,
    finetune,
    infer_kind,
    load_model,
    load_tokenizer,
    predict,
)
from glp_export.tasks import (
    KINDS,
    DataSpec,
    TaskData,
    count_examples,
    encode,
    load_task_data,
    read_unlabeled,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.kinds.sentence_embeddings import Pairs
from tests.tasks.helpers import two_files
from tests.tiny import make_data_of, make_tokenizer, pair_rows

KIND = KINDS["sentence-embeddings"]
FIRST = KINDS["sentence-embeddings-cls"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data_of(tmp_path_factory.mktemp("pairs"), pair_rows, 60, 30)


@pytest.fixture(scope="module")
def loaded(directory: Path) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), kind="sentence-embeddings"))


def test_pairs_with_a_number_are_a_regression_unless_embeddings_are_asked_for(
    directory: Path, loaded: TaskData
) -> None:
    assert load_task_data(DataSpec(dataset=str(directory))).task.kind == "regression"
    assert (loaded.task.kind, loaded.task.metric) == ("sentence-embeddings", "spearman")


def test_each_text_of_a_pair_is_encoded_alone(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 16)
    assert len(encoded) == 2 * len(loaded.test)
    texts = [text for row in loaded.test for text in (row["text"], row["text_pair"])]
    alone = tokenizer(texts, truncation=True, max_length=16)["input_ids"]
    assert encoded["input_ids"][:] == alone
    assert encoded["row"][:] == [row for row in range(len(loaded.test)) for _ in range(2)]


def test_a_score_is_the_rank_correlation_of_cosines_over_pairs(loaded: TaskData) -> None:
    from scipy.stats import spearmanr
    from sklearn.metrics.pairwise import cosine_similarity

    encoded = encode(loaded.test, loaded.task, make_tokenizer(), 16)
    answers = np.random.default_rng(0).standard_normal((len(encoded), 5)).astype(np.float32)
    answers /= np.linalg.norm(answers, axis=1, keepdims=True)
    truth = truth_of(loaded.task, encoded)
    cosines = np.diag(cosine_similarity(answers[::2], answers[1::2]))
    expected = spearmanr(cosines, loaded.test["label"][:])[0]
    assert score(loaded.task, answers, truth) == pytest.approx(expected)
    low, high = score_interval(loaded.task, answers, truth)
    assert low <= expected <= high
    assert count_examples(loaded.task, truth) == len(loaded.test)


def test_rounding_puts_equal_pairs_in_no_order() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 0]]
    noisy = vectors + np.float32(1e-7) * np.random.default_rng(0).standard_normal((6, 3))
    truth = Pairs(6, np.array([0, 2, 4]), np.array([1, 3, 5]), np.array([5.0, 4.0, 0.0]))
    assert KIND.judge(noisy, truth)[0].tolist() == [1.0, 1.0, 0.0]


def test_rows_in_any_order_are_the_same_pairs(loaded: TaskData) -> None:
    encoded = encode(loaded.test, loaded.task, make_tokenizer(), 16)
    answers = np.random.default_rng(0).standard_normal((len(encoded), 5)).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(encoded))
    mixed = truth_of(loaded.task, encoded.select(order))
    wanted = score(loaded.task, answers, truth_of(loaded.task, encoded))
    assert score(loaded.task, answers[order], mixed) == pytest.approx(wanted)


@pytest.mark.parametrize(("kind", "place"), [(KIND, None), (FIRST, 0)])
def test_an_answer_is_the_pooled_vector_of_length_one(kind: Any, place: int | None) -> None:
    states = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    for row, answer in enumerate(
        kind.read({"last_hidden_state": states}, {"attention_mask": mask})
    ):
        there = states[row][mask[row] == 1]
        expected = there.mean(axis=0) if place is None else there[place]
        assert answer == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_padding_on_the_left_is_not_taken_for_the_first_token() -> None:
    states = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    (answer,) = FIRST.read({"last_hidden_state": states}, {"attention_mask": np.array([[0, 1, 1]])})
    assert answer == pytest.approx(states[0, 1] / np.linalg.norm(states[0, 1]))


@pytest.mark.parametrize("kind", [KIND, FIRST])
def test_imitation_is_twice_one_less_the_cosine(kind: Any) -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 3, 4, generator=generator)
    batch = {"attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    outputs = SimpleNamespace(last_hidden_state=states)
    arrays = {"last_hidden_state": states.numpy()}
    own = kind.read(arrays, {"attention_mask": batch["attention_mask"].numpy()})
    assert float(kind.imitation(outputs, torch.from_numpy(own), batch, 2.0)) < 1e-12
    other = own[::-1].copy()
    expected = (2 - 2 * (own * other).sum(axis=1)).mean()
    found = float(kind.imitation(outputs, torch.from_numpy(other), batch, 2.0))
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_student_of_another_width_is_refused() -> None:
    import torch

    outputs = SimpleNamespace(last_hidden_state=torch.ones(1, 2, 4))
    batch = {"attention_mask": torch.ones(1, 2)}
    with pytest.raises(ModelError, match="4 wide, the teacher's 8"):
        KIND.imitation(outputs, torch.ones(1, 8), batch, 1.0)


def test_evidence_is_the_distance_to_the_teacher_after_a_linear_map() -> None:
    generator = np.random.default_rng(0)
    seen, new = (generator.standard_normal((200, 6)) for _ in range(2))
    turn = np.linalg.qr(generator.standard_normal((6, 6)))[0]
    knows = KIND.refit(seen, (None, seen @ turn), new, (None, new @ turn))
    lost = KIND.refit(seen[:, :3], (None, seen @ turn), new[:, :3], (None, new @ turn))
    assert knows.shape == (200,)
    assert knows.mean() < 0.1 < lost.mean()


def test_the_given_model_is_the_teacher_as_it_is(encoder: Path, loaded: TaskData) -> None:
    source = ModelSource(str(encoder))
    tokenizer, model = load_tokenizer(source), load_model(source, loaded.task)
    encoded = encode(loaded.fit, loaded.task, tokenizer, 16)
    before = predict(model, encoded, tokenizer)
    after = predict(finetune(model, encoded, tokenizer, TrainSettings()), encoded, tokenizer)
    assert after.shape == (len(encoded), 32)
    assert after.tobytes() == before.tobytes()


def test_texts_without_a_partner_can_be_imitated_on(loaded: TaskData, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the cat\nthe dog\n")
    texts = read_unlabeled(tmp_path / "texts.txt", loaded.task)
    assert texts[:] == {"text": ["the cat", "the dog"], "text_pair": [None, None]}
    rows = texts.add_column("label", [0.0, 0.0])
    assert len(encode(rows, loaded.task, make_tokenizer(), 16)) == 2


def modules(directory: Path, **pooling: Any) -> Path:
    """The files of a sentence-transformers model."""
    listed = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (directory / "1_Pooling").mkdir(parents=True)
    (directory / "modules.json").write_text(json.dumps(listed))
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return directory


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, FIRST),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, KIND),
        ({"pooling_mode": "cls", "include_prompt": True}, FIRST),
    ],
)
def test_the_models_own_files_say_the_pooling(
    loaded: TaskData, tmp_path: Path, pooling: Any, kind: Any
) -> None:
    source = ModelSource(str(modules(tmp_path / "model", **pooling)), offline=True)
    assert infer_kind(loaded.task, source).kind == kind.name


def test_without_such_files_it_is_the_mean(loaded: TaskData, encoder: Path) -> None:
    task = infer_kind(loaded.task, ModelSource(str(encoder), offline=True))
    assert task.kind == "sentence-embeddings"


def test_another_pooling_is_refused(loaded: TaskData, tmp_path: Path) -> None:
    source = ModelSource(str(modules(tmp_path / "model", pooling_mode="max")), offline=True)
    with pytest.raises(ModelError, match="by max"):
        infer_kind(loaded.task, source)


@pytest.mark.parametrize("kind", [KIND, FIRST])
def test_the_files_that_are_written_say_the_same(
    loaded: TaskData, encoder: Path, tmp_path: Path, kind: Any
) -> None:
    (tmp_path / "config.json").write_text((encoder / "config.json").read_text())
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"prompts": {"query": "query: "}}))
    kind.extra_files(tmp_path, 24, lambda name: given if name.startswith("config_") else None)
    source = ModelSource(str(tmp_path), offline=True)
    assert infer_kind(loaded.task, source).kind == kind.name
    assert json.loads((tmp_path / "sentence_bert_config.json").read_text())["max_seq_length"] == 24
    settings = json.loads((tmp_path / "config_sentence_transformers.json").read_text())
    assert settings["prompts"] == {"query": "query: "}


@pytest.mark.parametrize("pooled", [True, False])
def test_a_default_prompt_is_told_of_and_pooled_as_before(
    encoder: Path, tmp_path: Path, caplog: Any, pooled: bool
) -> None:
    given = modules(tmp_path / "given", pooling_mode_mean_tokens=True, include_prompt=pooled)
    said = {"prompts": {"q": "query: "}, "default_prompt_name": "q"}
    (given / "config_sentence_transformers.json").write_text(json.dumps(said))
    made = tmp_path / "made"
    made.mkdir()
    (made / "config.json").write_text((encoder / "config.json").read_text())
    source = ModelSource(str(given), offline=True)
    KIND.extra_files(made, 24, lambda name: find_file(source, name))
    assert "'query: '" in caplog.text
    pooling = json.loads((made / "1_Pooling" / "config.json").read_text())
    assert pooling["include_prompt"] is pooled


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"text": "alone", "label": 0.5}, "reads two columns of text"),
        ({"one": "a", "two": "b", "label": 1.0}, "nothing to learn"),
        ({"one": "a", "two": "b", "label": "high"}, "finite number"),
        ({"one": "a", "two": "b"}, "No column can be told to be the label"),
    ],
)
def test_data_of_another_form_is_refused(tmp_path: Path, row: Any, fault: str) -> None:
    rows = [
        {k: v if k == "label" else f"{v} {number}" for k, v in row.items()} for number in range(20)
    ]
    directory = two_files(tmp_path, rows, rows[:5])
    with pytest.raises(DataError, match=fault):
        load_task_data(DataSpec(dataset=str(directory), kind="sentence-embeddings"))
