from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import KINDS
from glp_export.tasks.kinds import LabelColumn

KIND = KINDS["text-classification"]


def column(values: list[Any], names: tuple[str, ...] | None = None) -> LabelColumn:
    return LabelColumn(values, names, "label", "train.csv")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", "a", "B"], ("B", "a", "b")),
        ([10, 9, 1], ("1", "9", "10")),
        (["10", "9", "1"], ("1", "9", "10")),
        ([1.0, 0.0], ("0", "1")),
        ([-1, 1, 0], ("-1", "0", "1")),
        ([True, False], ("False", "True")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["LABEL_10", "LABEL_9", "LABEL_0"], ("LABEL_0", "LABEL_9", "LABEL_10")),
    ],
)
def test_labels_are_in_the_order_of_numbers_or_of_the_alphabet(
    values: list[Any], labels: tuple[str, ...]
) -> None:
    reader = KIND.reader(column(values), ())
    assert reader.labels == labels
    assert sorted(reader.targets(column(values)).tolist()) == list(range(len(values)))


def test_declared_names_keep_their_ids() -> None:
    reader = KIND.reader(column([2, 0, 2], ("z", "y", "x")), ())
    assert reader.labels == ("z", "y", "x")
    assert reader.targets(column([0, 2], ("z", "y", "x"))).tolist() == [0, 2]


def test_a_declared_label_without_training_examples_cannot_be_tested() -> None:
    reader = KIND.reader(column([2, 0, 2], ("z", "y", "x")), ())
    with pytest.raises(DataError, match="Label 'y' does not occur"):
        reader.targets(column([0, 1], ("z", "y", "x")))


def test_known_labels_give_the_order_only_where_they_cover_the_data() -> None:
    known = ("unacceptable", "acceptable")
    assert KIND.reader(column(["acceptable", "unacceptable"]), known).labels == known
    assert KIND.reader(column(["good", "bad"]), known).labels == ("bad", "good")


def test_a_label_is_the_same_from_every_file_format() -> None:
    reader = KIND.reader(column([0, 1, 2]), ())
    assert reader.targets(column([2.0, 0.0])).tolist() == [2, 0]
    assert reader.targets(column(["1", "2"])).tolist() == [1, 2]


def test_hundreds_of_classes_are_fine() -> None:
    values = [f"intent {row % 300}" for row in range(900)]
    assert len(KIND.reader(column(values), ()).labels) == 300


def test_the_answer_is_the_largest_logit() -> None:
    logits = np.array([[0.1, 0.9, 0.0], [3.0, -1.0, 2.0]], dtype=np.float32)
    assert KIND.predictions(logits).tolist() == [1, 0]


@pytest.mark.parametrize("mark", [-100, -100.0, "-100"])
def test_the_mark_of_what_is_not_learned_is_no_class(mark: object) -> None:
    with pytest.raises(DataError, match="-100") as caught:
        KIND.reader(column([0, 1, mark]), ())
    assert "row 3" in str(caught.value.where)
