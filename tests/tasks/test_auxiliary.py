"""Auxiliary data: its kind is told by its columns, and no row of the test set is among it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import DataSpec, load_auxiliary, load_task_data
from tests.tiny import (
    label_list_rows,
    make_data_of,
    pair_rows,
    question_rows,
    rows,
    tagged_rows,
    text_rows,
    write_jsonl,
)

KINDS = {
    "text-classification": rows,
    "regression": pair_rows,
    "token-classification": tagged_rows,
    "multi-label-classification": label_list_rows,
    "question-answering": question_rows,
}
SPEC = DataSpec(dataset="of the run", seed=3)


@pytest.fixture(scope="module")
def test_rows(data: Path) -> Any:
    return load_task_data(DataSpec(dataset=str(data))).test


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_told_by_the_columns(kind: str, test_rows: Any, tmp_path: Path) -> None:
    directory = make_data_of(tmp_path / "other", KINDS[kind], 60, 1)
    (directory / "validation.jsonl").unlink()  # nobody tests on it
    found = load_auxiliary(str(directory), SPEC, 40, test_rows)
    again = load_auxiliary(str(directory / "train.jsonl"), SPEC, 40, test_rows)
    assert found.task.kind == kind
    assert 2 <= len(found.rows) <= 41
    assert found.checksum == again.checksum
    assert found.checksum != load_auxiliary(str(directory), SPEC, 30, test_rows).checksum


def test_texts_of_the_test_set_are_left_out(data: Path, test_rows: Any) -> None:
    other = load_auxiliary(str(data / "train.jsonl"), SPEC, 200, test_rows)
    tested = set(test_rows["text"][:])
    assert other.dropped > 0
    assert not tested & set(other.rows["text"][:])
    with pytest.raises(DataError, match="too few rows"):
        load_auxiliary(str(data / "validation.jsonl"), SPEC, 100, test_rows)


def test_words_in_lists_are_the_text_that_they_make(data: Path, test_rows: Any, tmp_path: Path):
    texts = test_rows["text"][:3]
    words = [*(text.split() for text in texts), ["a", "bird"], ["a", "cat"]]
    tagged = [{"tokens": row, "ner_tags": ["O", "B-x", *["O"] * (len(row) - 2)]} for row in words]
    other = load_auxiliary(str(write_jsonl(tmp_path / "t.jsonl", tagged)), SPEC, 100, test_rows)
    assert other.rows["text"][:] == words[3:]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.jsonl", [], "no rows"),
        ("texts.jsonl", text_rows(30), "no labels"),
        ("missing.jsonl", [*rows(30), {"text": "the cat", "label": None}], "row 31"),
        ("one.jsonl", [{**row, "label": "good"} for row in rows(30)], "nothing to tell apart"),
        ("odd.jsonl", [{"a": "x", "b": "y", "c": 1.5, "d": 2} for _ in range(9)], "columns"),
        ("nowhere", None, "nowhere"),
        ("nowhere.jsonl", None, "nowhere.jsonl"),
    ],
)
def test_data_that_cannot_be_learned_from(
    name: str, content: Any, word: str, test_rows: Any, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        write_jsonl(path, content)
    spec = DataSpec(dataset="of the run", offline=True)
    with pytest.raises(DataError) as caught:
        load_auxiliary(str(path), spec, 100, test_rows)
    said = str(caught.value)
    assert word in said
    assert "--auxiliary" in said
