"""Rows that `glp_export.compress` gets from memory are those that a file of them would give."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks import DataSpec, TaskData, load_task_data
from glp_export.workflows.compress import _of_data, _of_target
from tests.tiny import rows, tagged_rows

TEXTS = [row["text"] for row in rows(60)]
TAGGED = tagged_rows(60)
CLASSES = Features({"text": Value("string"), "label": ClassLabel(names=["good", "bad"])})


def read(make: Callable[[], Any], place: Path) -> TaskData:
    given = _of_data({"train": make(), "validation": make()}, place / "data")
    return load_task_data(DataSpec(dataset=given["dataset"]))


def of(labels: list[Any]) -> list[dict[str, Any]]:
    """Rows with these labels in turns."""
    return [{"text": text, "label": labels[n % len(labels)]} for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        ([np.float32(0.5), np.float32(2.0), np.float32(3.0)], "regression", ()),
        ([Decimal("0.5"), Decimal("2"), Decimal("3")], "regression", ()),
        ([np.int64(4), np.int64(2)], "text-classification", ("2", "4")),
        ([np.array([0, 1]), np.array([1, 1])], "multi-label-classification", ("0", "1")),
        ([b"good", b"bad"], "text-classification", ("bad", "good")),
    ],
)
def test_labels_of_numpy_are_what_they_are_in_a_file(
    labels: list[Any], kind: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    task = read(lambda: of(labels), tmp_path).task
    assert (task.kind, task.labels) == (kind, names)


def test_names_of_labels_stay_those_of_the_dataset(tmp_path: Path) -> None:
    names = sorted({tag for row in TAGGED for tag in row["ner_tags"]}, reverse=True)
    features = Features(
        {"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=names))}
    )
    found = read(lambda: Dataset.from_list(TAGGED, features=features), tmp_path).task
    assert (found.kind, found.labels, found.metric) == (
        "token-classification",
        tuple(names),
        "seqeval_f1",
    )


@pytest.mark.parametrize("format", [None, "numpy", "torch"])
def test_a_dataset_may_have_any_format(format: str | None, tmp_path: Path) -> None:
    table = Dataset.from_list(of([0, 1]), features=CLASSES).with_format(format)
    assert read(lambda: table, tmp_path).task.labels == ("good", "bad")
    stream = read(table.to_iterable_dataset, tmp_path / "stream")
    assert stream.task.labels == ("good", "bad")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Dataset.from_list(of([-1, 1]), features=CLASSES), "no label"),
        (lambda: pd.DataFrame(of(["a", None, "b"])), "no label"),
        (lambda: pd.DataFrame({"text": TEXTS, "label": "a"}).convert_dtypes().shift(), "no label"),
        (lambda: pd.DataFrame(of([0, 1])).set_axis(["text", "text"], axis=1), "two columns"),
        (lambda: [tuple(row.values()) for row in of([0, 1])], "a row is a tuple"),
        (lambda: {"text": TEXTS, "label": TEXTS}, "a row is a str"),
        (lambda: None, "NoneType"),
        (lambda: of([b"\xff", b"a"]), "half a character"),
    ],
)
def test_what_is_no_row_is_refused(make: Callable[[], Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=fault):
        read(make, tmp_path)


def test_a_target_that_is_given_twice_is_refused() -> None:
    assert _of_target(2.0, {"target_speedup": None}) == {"target_speedup": "2.0"}
    with pytest.raises(UsageError, match="twice"):
        _of_target("10ms", {"latency_budget": "20ms"})
