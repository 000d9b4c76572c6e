from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import KINDS, DataSpec, encode, load_task_data
from glp_export.tasks.kinds import LabelColumn
from glp_export.tasks.kinds.multi_label import METRICS
from tests.tasks.helpers import two_files
from tests.tiny import label_list_rows, make_data_of, make_tokenizer

KIND = KINDS["multi-label-classification"]


def test_lists_of_labels_beside_a_text_are_recognised(tmp_path: Path) -> None:
    directory = make_data_of(tmp_path, label_list_rows, 60, 30)
    data = load_task_data(DataSpec(dataset=str(directory)))
    assert (data.task.kind, data.task.metric) == ("multi-label-classification", "micro_f1")
    assert data.task.labels == ("cat", "dog", "good")
    encoded = encode(data.test, data.task, make_tokenizer(), 64)
    assert [
        [name for name, has in zip(data.task.labels, row, strict=True) if has]
        for row in encoded["labels"][:]
    ] == [row["labels"] for row in label_list_rows(30, 1)]


def test_a_label_is_given_where_its_chance_is_more_than_one_half() -> None:
    assert KIND.predictions is not None
    answers = np.array([[0.1, -3.0], [-0.1, 2.0]], dtype=np.float32)
    assert KIND.predictions(answers).tolist() == [[1, 0], [0, 1]]


def test_a_sample_keeps_the_rarest_labels() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], dtype=np.float32)
    assert KIND.strata(targets).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("rows", [3, 50])
@pytest.mark.parametrize("width", [1, 4])
def test_a_resample_is_scored_as_the_library_scores_its_rows(
    metric: Any, rows: int, width: int
) -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        labels = (generator.random((rows, width)) < 0.3).astype(np.float32)
        predictions = np.where(generator.random((rows, width)) < 0.2, 1 - labels, labels)
        counts = generator.multinomial(rows, np.full(rows, 1 / rows), size=20).astype(float)
        drawn = [np.repeat(np.arange(rows), row.astype(int)) for row in counts]
        expected = [metric.compute(predictions[own], labels[own]) for own in drawn]
        # Two ways to sum in float64.
        np.testing.assert_allclose(
            metric.resampled(predictions, labels, counts), expected, atol=1e-9
        )


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1"])
def test_f1_of_a_single_label_is_that_of_the_texts_which_have_it(name: str) -> None:
    labels = np.array([[1], [1], [0], [0], [0]], dtype=np.float32)
    predictions = np.array([[1], [0], [1], [0], [0]], dtype=np.float32)
    assert KIND.metric(name).compute(predictions, labels) == 0.5
    assert KIND.metric(name).compute(0 * predictions, labels) == 0


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ([["a"], None], "no list of labels"),
        ([["a"], [""]], "empty"),
        ([["a"], ["a"]], "nothing to tell apart"),
        ([[], []], "No training example has a label"),
        ([[0, 1, -1], [1, 0, 0]], "neither"),
        ([[0, 1, 2], [1, 0, 0]], "neither"),
        ([[0.0, 0.0, 2.0], [1.0, 2.0, 0.0]], "neither"),
    ],
)
def test_labels_that_will_not_do(values: list[Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        KIND.reader(LabelColumn(values, None, "labels", "train.jsonl"), ())


def test_a_label_that_was_never_learned_is_named_with_its_row(tmp_path: Path) -> None:
    rows = label_list_rows(40)
    broken = [*rows[:2], {"text": "the cat", "labels": ["good", "fish"]}]
    with pytest.raises(DataError, match="'fish' does not occur") as caught:
        load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, broken))))
    assert "row 3" in str(caught.value.where)
