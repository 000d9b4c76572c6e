"""Ids of the data's labels: the alphabet's, a task's, or those of a model that is to answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.tasks import DataSpec, Task, load_task_data, positive_id, same_task, score
from tests.tasks.helpers import labelled, two_files


def model_of(*labels: str) -> Task:
    """What a model with these labels was made for."""
    return Task("model", "text-classification", ("text",), "", labels, "accuracy")


def parquet(directory: Path, names: Sequence[str], ids: Sequence[int]) -> Path:
    """Data that declares the names of its ids."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
    rows = {"text": [f"text {row}" for row in range(len(ids))], "label": list(ids)}
    for split in ("train", "validation"):
        Dataset.from_dict(rows, features=features).to_parquet(directory / f"{split}.parquet")
    return directory


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        (["bad", "good"], ("good", "bad")),
        (["Bad", "GOOD"], ("good", "bad")),
        (["bad", "good"], ("bad", "good")),
        ([0, 1], ("LABEL_0", "LABEL_1")),
        ([False, True], ("true", "false")),
    ],
)
def test_ids_are_those_of_the_model_that_answers(
    tmp_path: Path, labels: list[Any], known: tuple[str, ...]
) -> None:
    rows = labelled(labels * 10)
    loaded = load_task_data(
        DataSpec(dataset=str(two_files(tmp_path, rows, rows))), model_of(*known)
    )
    spelled = {str(label).casefold() for label in labels}
    for row, original in zip(loaded.test, rows, strict=True):
        name = loaded.task.labels[row["label"]]
        assert name == str(original["label"])
        if name.casefold() in {own.casefold() for own in known}:
            assert known[row["label"]].casefold() == name.casefold()
    assert {name.casefold() for name in loaded.task.labels} == spelled


def test_lists_of_labels_and_tags_have_those_ids_too(tmp_path: Path) -> None:
    several = labelled([["b"], ["a", "b"], [], ["a"]] * 5)
    spec = DataSpec(dataset=str(two_files(tmp_path / "several", several, several)))
    loaded = load_task_data(spec, model_of("B", "a"))
    assert loaded.task.labels == ("b", "a")
    assert loaded.test["label"][1:3] == [[1.0, 1.0], [0.0, 0.0]]
    assert loaded.test["label"][0] == [1.0, 0.0]
    tagged = [{"tokens": ["x", "y"], "ner_tags": ["B-a", "O"]}] * 10
    spec = DataSpec(dataset=str(two_files(tmp_path / "tags", tagged, tagged)))
    assert load_task_data(spec, model_of("O", "B-a")).test["label"][0] == [1, 0]


def test_a_declared_order_gives_way_to_the_tasks_own(tmp_path: Path) -> None:
    directory = parquet(tmp_path, ["equivalent", "not_equivalent"], [0, 1] * 10)
    columns = {"text_columns": ("text",), "label_column": "label"}
    loaded = load_task_data(DataSpec(dataset=str(directory), task="mrpc", **columns))
    assert loaded.task.labels == ("not_equivalent", "equivalent")  # F1 is of id 1
    assert loaded.test["label"][:2] == [1, 0]
    plain = load_task_data(DataSpec(dataset=str(directory)))
    assert plain.task.labels == ("equivalent", "not_equivalent")


def test_f1_is_of_the_tasks_positive_class_in_whatever_order_a_model_has_its_labels(
    tmp_path: Path,
) -> None:
    names = ("not_equivalent", "equivalent")
    said = [0, 1, 1, 1] * 5
    rows = [
        {"sentence1": f"a {n}", "sentence2": f"b {n}", "label": names[one]}
        for n, one in enumerate(said)
    ]
    spec = DataSpec(dataset=str(two_files(tmp_path, rows, rows)), task="mrpc")
    values = []
    for known in (None, model_of(*names), model_of("EQUIVALENT", "NOT_EQUIVALENT")):
        loaded = load_task_data(spec, known)
        truth = np.asarray(loaded.test["label"][:])
        equivalent = loaded.task.labels.index("equivalent")
        answers = np.zeros((len(truth), 2))
        answers[:, equivalent] = 1  # always equivalent: 15 of 20 are
        values.append(score(loaded.task, answers, truth))
    assert values == pytest.approx([2 * 15 / (20 + 15)] * 3)
    assert positive_id("mrpc", ("Equivalent", "not_equivalent")) == 0
    assert {positive_id(task, ("a", "b")) for task in (None, "mrpc", "mnli", "trec")} == {1}


def test_letter_case_does_not_change_the_tasks_order(tmp_path: Path) -> None:
    rows = [
        {"sentence1": f"a {n}", "sentence2": f"b {n}", "label": ("Equivalent", "Not_equivalent")[n]}
        for n in (0, 1) * 10
    ]
    loaded = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows)), task="mrpc"))
    assert loaded.task.labels == ("Not_equivalent", "Equivalent")


def test_labels_that_differ_in_letter_case_alone_are_two_and_said(tmp_path: Path) -> None:
    rows = labelled(["Good", "good", "bad", "bad "] * 10)
    loaded = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    assert set(loaded.task.labels) == {"Good", "good", "bad", "bad "}
    said = " ".join(loaded.notes)
    assert "'Good', 'good'" in said
    assert "'bad', 'bad '" in said


def test_tasks_are_the_same_whatever_the_order(tmp_path: Path) -> None:
    rows = labelled(["a", "b"] * 10)
    directory = two_files(tmp_path, rows, rows)
    one = load_task_data(DataSpec(dataset=str(directory))).task
    other = load_task_data(DataSpec(dataset=str(directory)), model_of("B", "A")).task
    assert one.labels != other.labels
    assert same_task(one, other)
    more = labelled(["a", "b", "c"] * 10)
    third = load_task_data(DataSpec(dataset=str(two_files(tmp_path / "c", more, more)))).task
    assert not same_task(one, third)
