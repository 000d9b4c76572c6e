from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.serve.spans import best_span, windows_for
from glp_export.tasks import (
    DataSpec,
    TaskData,
    count_examples,
    encode,
    load_task_data,
    score,
    truth_of,
)
from glp_export.tasks.kinds.squad_metrics import (
    SQUAD_METRICS,
    exact_match,
    normalised,
    word_f1,
)
from tests.tasks.helpers import two_files
from tests.tiny import make_data_of, make_tokenizer, question_rows


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    directory = make_data_of(tmp_path_factory.mktemp("questions"), question_rows, 60, 30)
    return load_task_data(DataSpec(dataset=str(directory)))


def right_answers(encoded: Any) -> Any:
    """Logits that point at the answer in every window that has it, and nowhere in others."""
    answers = np.zeros((len(encoded), max(encoded["length"][:]), 2), dtype=np.float32)
    for side, name in enumerate(("start_positions", "end_positions")):
        for row, token in enumerate(encoded[name][:]):
            if token:
                answers[row, token, side] = 5.0
    return answers


def test_columns_as_squad_has_them_are_recognised(loaded: TaskData) -> None:
    task = loaded.task
    assert (task.kind, task.metric) == ("question-answering", "squad_f1")
    assert (task.text_columns, task.label_column) == (("question", "context"), "answers")


def test_a_document_that_fits_is_one_window_with_its_answer_marked(loaded: TaskData) -> None:
    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 64)
    assert len(encoded) == len(loaded.test)
    for row in encoded:
        tokens = row["input_ids"][row["start_positions"] : row["end_positions"] + 1]
        assert tokenizer.decode(tokens) == row["golds"][0]


def test_a_long_document_becomes_windows_that_overlap(loaded: TaskData) -> None:
    encoded = encode(loaded.test, loaded.task, make_tokenizer(), 16)
    assert set(encoded["row"][:]) == set(range(len(loaded.test)))
    assert max(encoded["length"][:]) <= 16
    by_example: dict[int, list[list[int]]] = {}
    for row in encoded:
        begins = [place for place in row["begins"] if place >= 0]
        by_example.setdefault(row["row"], []).append(begins)
    several = [windows for windows in by_example.values() if len(windows) > 1]
    assert several
    for windows in several:
        for one, other in itertools.pairwise(windows):
            assert set(one) & set(other)
            assert max(other) > max(one)


@pytest.mark.parametrize("length", [64, 16])
def test_right_answers_score_1_over_examples_not_windows(loaded: TaskData, length: int) -> None:
    encoded = encode(loaded.test, loaded.task, make_tokenizer(), length)
    truth = truth_of(loaded.task, encoded)
    assert count_examples(loaded.task, truth) == len(loaded.test)
    assert score(loaded.task, right_answers(encoded), truth) == pytest.approx(1.0)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_long_question_leaves_room_for_its_document(tmp_path: Path, side: str) -> None:
    rows = question_rows(40)
    rows[0]["question"] = "is the cat " * 50
    data = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    tokenizer = make_tokenizer()
    tokenizer.truncation_side = side
    encoded = encode(data.test, data.task, tokenizer, 16)
    assert any(row["start_positions"] for row in encoded if row["row"] == 0)
    assert tokenizer.truncation_side == side


@pytest.mark.parametrize("limit", [8, 16, 128, 384])
def test_windows_always_move_on(limit: int) -> None:
    cut = windows_for(limit)
    assert limit - 4 - cut.question > cut.stride  # RoBERTa has four special tokens in a pair


@pytest.mark.parametrize(
    ("found", "wanted", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0, 1.0),
        ("the tower of Paris", "Eiffel tower", 0.0, 2 / 5),
        ("a an the", "", 1.0, 0.0),
        ("1,000", "1000", 1.0, 1.0),
        ("cat cat", "cat", 0.0, 2 / 3),
    ],
)
def test_texts_are_compared_as_squad_does(found: str, wanted: str, exact: float, f1: float) -> None:
    assert exact_match(found, wanted) == exact
    assert word_f1(found, wanted) == pytest.approx(f1)


def test_articles_and_punctuation_do_not_count() -> None:
    assert normalised("  The cat's  (a) theatre, an Ape. ") == "cats theatre ape"


def test_the_best_of_several_right_answers_counts() -> None:
    f1, exact = SQUAD_METRICS
    found, golds = ["the cat", "dog"], [["fish", "Cat!"], ["a bird", "big dog"]]
    assert exact.compute(found, golds) == 0.5
    assert f1.compute(found, golds) == pytest.approx((1 + 2 / 3) / 2)
    counts = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert exact.resampled(found, golds, counts).tolist() == [0.5, 1.0]


def test_a_span_ends_after_it_begins_and_lies_in_the_document() -> None:
    starts, ends = np.zeros(8, dtype=np.float32), np.zeros(8, dtype=np.float32)
    document = np.array([False, False, True, True, True, True, True, False])
    starts[[0, 5]], ends[[3, 6]] = (9.0, 4.0), (5.0, 3.0)
    span = best_span(starts, ends, document)
    assert span is not None
    assert (span.first, span.last, span.score) == (5, 6, 7.0)
    assert best_span(starts, ends, np.zeros(8, dtype=bool)) is None


@pytest.mark.parametrize("alone", [True, False])
def test_answers_may_stand_as_a_list_of_mappings_or_alone(tmp_path: Path, alone: bool) -> None:
    def other(row: dict[str, Any]) -> dict[str, Any]:
        answer = {name: values[0] for name, values in row["answers"].items()}
        return {**row, "answers": answer if alone else [answer]}

    rows = question_rows(40)
    directory = two_files(tmp_path, [other(row) for row in rows], rows[:9])
    data = load_task_data(DataSpec(dataset=str(directory)))
    assert data.task.kind == "question-answering"
    wanted = {(row["question"], row["context"]): row["answers"] for row in rows}
    for row in data.train:
        assert row["label"] == wanted[row["text"], row["text_pair"]]


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({"text": ["cat"], "answer_start": [0]}, "does not stand at 0"),
        ({"text": [], "answer_start": []}, "no answer"),
        ({"text": [""], "answer_start": [0]}, "no answer"),
        ({"text": ["cat", "dog"], "answer_start": [0]}, "no text, or no place"),
        ({"text": [None], "answer_start": [0]}, "no text, or no place"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, answers: Any, fault: str) -> None:
    rows = question_rows(40)
    directory = two_files(tmp_path, rows, [*rows[:3], {**rows[0], "answers": answers}])
    with pytest.raises(DataError, match=fault) as caught:
        load_task_data(DataSpec(dataset=str(directory)))
    assert "row 4" in str(caught.value.where)
