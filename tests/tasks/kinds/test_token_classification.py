from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import (
    DataSpec,
    TaskData,
    encode,
    load_task_data,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.kinds.tag_metrics import TAG_METRICS
from glp_export.tasks.kinds.units import balanced
from tests.tasks.helpers import two_files
from tests.tiny import make_data_of, make_tokenizer, tagged_rows

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    directory = make_data_of(tmp_path_factory.mktemp("tagged"), tagged_rows, 60, 30)
    return load_task_data(DataSpec(dataset=str(directory)))


def right_answers(data: TaskData, encoded: Any) -> Any:
    """Logits that name the right tag of every labelled token."""
    longest = max(encoded["length"][:])
    answers = np.zeros((len(encoded), longest, data.task.num_labels), dtype=np.float32)
    for row, labels in enumerate(encoded["labels"][:]):
        for token, label in enumerate(labels):
            answers[row, token, max(label, 0)] = 5.0
    return answers


def test_lists_of_words_beside_lists_of_tags_are_recognised(loaded: TaskData) -> None:
    task = loaded.task
    assert (task.kind, task.metric) == ("token-classification", "seqeval_f1")
    assert (task.text_columns, task.label_column) == (("tokens",), "ner_tags")
    assert task.labels == ("B-animal", "B-feeling", "I-animal", "O")


def test_ids_keep_the_names_that_are_declared_for_them() -> None:
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    from glp_export.tasks.raw import RawSplit
    from glp_export.tasks.reading import label_column

    features = Features(
        {"tokens": Sequence(Value("string")), "tags": Sequence(ClassLabel(names=["O", "B-x"]))}
    )
    rows = Dataset.from_dict({"tokens": [["a", "b"]], "tags": [[0, 1]]}, features=features)
    assert label_column(RawSplit(rows, "hub"), "tags").names == ("O", "B-x")


def test_the_first_piece_of_a_word_is_labelled_and_no_other(tmp_path: Path) -> None:
    from transformers import BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s", "##y", "is"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"), model_max_length=64)
    rows = [
        {"tokens": ["is", "catsy", "is"], "tags": ["O", "B-x", "O"]},
        {"tokens": ["catsy", "\ufeff", "is"], "tags": ["B-x", "O", "O"]},
    ] * 10
    data = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    encoded = encode(data.test, data.task, tokenizer, 64)
    assert encoded[0]["labels"] == [-100, 1, 0, -100, -100, 1, -100]
    assert encoded[0]["places"] == [1, 2, 5]
    assert encoded[1]["labels"] == [-100, 0, -100, -100, 1, -100]
    assert encoded[1]["places"] == [1, -1, 4]  # nothing is left of the second word
    cut = encode(data.test, data.task, tokenizer, 4)
    assert cut[0]["labels"] == [-100, 1, 0, -100]
    assert cut[0]["places"] == [1, 2, -1]


def test_a_roberta_tokenizer_begins_every_word_with_a_space(tmp_path: Path) -> None:
    from tests.serve.conftest import roberta_tokenizer

    tokenizer = roberta_tokenizer(tmp_path)
    rows = tagged_rows(40)
    data = load_task_data(DataSpec(dataset=str(two_files(tmp_path / "data", rows, rows))))
    encoded = encode(data.test, data.task, tokenizer, 64)
    words = " ".join(data.test[0]["text"])
    assert tokenizer.decode(encoded[0]["input_ids"], skip_special_tokens=True) == f" {words}"
    tokenizer.save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "tokenizer.json").read_text())
    assert saved["pre_tokenizer"]["add_prefix_space"] is True


def test_right_answers_score_1_and_what_is_cut_off_is_missed(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    whole, short = (encode(loaded.test, loaded.task, tokenizer, length) for length in (64, 6))
    value, less = (
        score(loaded.task, right_answers(loaded, encoded), truth_of(loaded.task, encoded))
        for encoded in (whole, short)
    )
    assert value == pytest.approx(1.0)
    assert 0.2 < less < 0.8


def random_tags(rows: int, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Tags and guesses at them, of sentences that may lack entities, and be empty."""
    generator = np.random.default_rng(seed)
    wanted = [generator.choice(TAGS, generator.integers(0, 9)).tolist() for _ in range(rows)]
    found = [
        [tag if generator.random() < 0.7 else str(generator.choice(TAGS)) for tag in row]
        for row in wanted
    ]
    return found, wanted


@pytest.mark.parametrize("metric", TAG_METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("rows", [3, 40])
def test_a_resample_is_scored_as_the_library_scores_its_rows(metric: Any, rows: int) -> None:
    generator = np.random.default_rng(0)
    for seed in range(5):
        found, wanted = random_tags(rows, seed)
        counts = generator.multinomial(rows, np.full(rows, 1 / rows), size=20).astype(float)
        values = metric.resampled(found, wanted, counts)
        for value, own in zip(values, counts, strict=True):
            drawn = np.repeat(np.arange(rows), own.astype(int))
            if any(wanted[row] for row in drawn):  # the libraries do not score nothing at all
                expected = metric.compute(
                    [found[row] for row in drawn], [wanted[row] for row in drawn]
                )
                assert value == pytest.approx(expected, abs=1e-9)  # two ways to sum in float64


def test_the_interval_holds_the_score(loaded: TaskData) -> None:
    encoded = encode(loaded.test, loaded.task, make_tokenizer(), 64)
    truth = truth_of(loaded.task, encoded)
    answers = right_answers(loaded, encoded)
    answers += np.random.default_rng(0).normal(scale=3.0, size=answers.shape).astype(np.float32)
    low, high = score_interval(loaded.task, answers, truth)
    assert low < score(loaded.task, answers, truth) < high


def test_tags_that_mark_no_entities_are_scored_by_their_share(tmp_path: Path) -> None:
    rows = [{"words": ["the", "cat"], "pos_tags": ["DET", "NOUN"]}] * 30
    data = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    assert data.task.metric == "tag_accuracy"


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "2 words and 1 tags"),
        ({"tokens": ["a", "b"], "ner_tags": ["O", "B-new"]}, "'B-new' does not occur"),
        ({"tokens": ["a"], "ner_tags": [None]}, "no tag"),
        ({"tokens": ["a"], "ner_tags": ["-100"]}, "without one"),
        ({"tokens": ["a", None], "ner_tags": ["O", "O"]}, "missing"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, broken: dict[str, Any], fault: str) -> None:
    rows = tagged_rows(40)
    directory = two_files(tmp_path, rows, [*rows[:4], broken])
    with pytest.raises(DataError, match=fault) as caught:
        load_task_data(DataSpec(dataset=str(directory)))
    assert "validation.jsonl, row 5" in str(caught.value.where)


def test_of_the_words_that_are_judged_half_are_something() -> None:
    labels = np.array([0] * 90 + [1] * 6 + [2] * 4)
    assert np.bincount(labels[balanced(labels, 100)]).tolist() == [10, 6, 4]
    assert len(balanced(labels, 8)) == 8
