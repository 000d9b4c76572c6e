"""One file of texts: how it is split, and which data is taken for texts alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks import DataSpec, Task, load_task_data
from glp_export.tasks.divergence import divergences, mean_interval
from tests.tiny import text_rows, write_jsonl

OWN = Task("m", "text-classification", ("text",), "", ("a", "b"), "accuracy")
TEXTS = [f"text number {number}" for number in range(100)]


def texts_of(rows: Any) -> list[str]:
    return list(rows["text"][:])


@pytest.mark.parametrize("ending", ["jsonl", "txt", "csv"])
def test_one_file_is_split_seeded_with_equal_texts_together(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"logs.{ending}"
    lines = TEXTS * 3
    if ending == "jsonl":
        write_jsonl(path, [{"text": line} for line in lines])
    else:
        path.write_text("\n".join((["text"] if ending == "csv" else []) + lines) + "\n")
    data, again = (load_task_data(DataSpec(dataset=str(path)), OWN) for _ in range(2))
    other = load_task_data(DataSpec(dataset=str(path), seed=7), OWN)
    parts = [texts_of(rows) for rows in (data.fit, data.select, data.test)]
    assert [len(part) for part in parts] == [210, 45, 45]
    assert sum(len(set(part)) for part in parts) == len(TEXTS)
    assert parts == [texts_of(rows) for rows in (again.fit, again.select, again.test)]
    assert parts[2] != texts_of(other.test)
    assert (data.task.metric, data.labelled, data.task.labels) == ("agreement", False, ("a", "b"))


@pytest.mark.parametrize(
    ("named", "said"), [("nope", "There is no column 'nope'"), ("at", "Column 'at' is no text")]
)
def test_a_named_column_that_will_not_do(tmp_path: Path, named: str, said: str) -> None:
    rows = [{"doc_id": text, "at": {"ms": 3}} for text in TEXTS]
    path = write_jsonl(tmp_path / "logs.jsonl", rows)
    with pytest.raises(DataError) as refused:
        load_task_data(DataSpec(dataset=str(path), text_columns=(named,)), OWN)
    assert refused.value.what == f"{said}; the columns are doc_id, at."
    named_id = load_task_data(DataSpec(dataset=str(path), text_columns=("doc_id",)), OWN)
    assert len(named_id.fit) == 70  # whatever its name says of it


def test_the_split_is_the_same_in_another_process(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    path = write_jsonl(tmp_path / "logs.jsonl", [{"text": text} for text in TEXTS])
    program = (
        "import json, sys; from glp_export.tasks import *; from glp_export.tasks import Task; "
        "own = Task('m', 'text-classification', ('text',), '', ('a', 'b'), 'accuracy'); "
        "print(json.dumps(load_task_data(DataSpec(dataset=sys.argv[1]), own).test['text'][:]))"
    )
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", program, str(path)],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]


def test_a_directory_of_texts_keeps_its_own_test_set(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("validation", 1)):
        write_jsonl(tmp_path / f"{name}.jsonl", text_rows(60, seed))
    data = load_task_data(DataSpec(dataset=str(tmp_path)), OWN)
    assert len(data.test) == 60
    assert len(data.fit) + len(data.select) == 60
    assert not data.labelled


def test_a_label_that_is_not_named_is_not_passed_over(tmp_path: Path) -> None:
    made = [{"text": row["text"], "verdict": "good"} for row in text_rows(40)]
    for name in ("train", "validation"):
        write_jsonl(tmp_path / f"{name}.jsonl", made)
    with pytest.raises(DataError, match="No column can be told"):
        load_task_data(DataSpec(dataset=str(tmp_path)), OWN)
    named = DataSpec(dataset=str(tmp_path), label_column="none", text_columns=("text",))
    assert not load_task_data(named, OWN).labelled


def test_tags_of_words_are_not_learned_without_labels(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", text_rows(40))
    tagger = Task("m", "token-classification", ("text",), "", ("O", "B"), "seqeval_f1")
    with pytest.raises(DataError, match="token-classification"):
        load_task_data(DataSpec(dataset=str(path)), tagger)


@pytest.mark.parametrize("metric", ["pearson", "seqeval_f1"])
def test_a_metric_that_does_not_fit_a_labelled_test_set_is_refused_at_once(
    metric: str, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", [{"text": text} for text in TEXTS])
    with pytest.raises(UsageError, match=metric) as caught:
        load_task_data(DataSpec(dataset=str(path), metric=metric), OWN)
    assert "accuracy" in str(caught.value.fix)
    assert load_task_data(DataSpec(dataset=str(path), metric="f1"), OWN).other_metric == "f1"


@pytest.mark.parametrize(
    "kind", ["text-classification", "multi-label-classification", "regression"]
)
def test_divergence_is_zero_for_equal_answers_and_grows(kind: str) -> None:
    task = Task("m", kind, ("text",), "", ("a", "b"), "agreement")
    wanted = np.random.default_rng(0).normal(size=(50, 2))
    assert np.allclose(divergences(task, wanted, wanted), 0)
    near, far = (
        divergences(task, wanted + move * np.array([1, -1]), wanted) for move in (0.1, 1.0)
    )
    assert (near > 0).all()
    assert (far > near).all()
    low, high = mean_interval(far)
    assert low <= far.mean() <= high


def test_texts_that_leave_none_to_choose_by_are_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", text_rows(2))
    with pytest.raises(DataError, match="choose by"):
        load_task_data(DataSpec(dataset=str(path)), OWN)


def test_texts_that_show_nothing_are_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "logs.jsonl", [{"text": "\x01\u200b" * n} for n in range(9)])
    with pytest.raises(DataError, match="empty"):
        load_task_data(DataSpec(dataset=str(path)), OWN)


def test_a_text_that_is_not_read_is_named(tmp_path: Path) -> None:
    rows = [{"text": text, "answer": f"{text}?"} for text in TEXTS]
    path = write_jsonl(tmp_path / "logs.jsonl", rows)
    notes = load_task_data(DataSpec(dataset=str(path)), OWN).notes
    assert any("'answer' is not read" in note for note in notes)
    named = load_task_data(DataSpec(dataset=str(path), text_columns=("text",)), OWN).notes
    assert not any("not read" in note for note in named)
