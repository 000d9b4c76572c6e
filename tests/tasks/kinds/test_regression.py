from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import KINDS
from glp_export.tasks.kinds import LabelColumn

KIND = KINDS["regression"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 1.0], True),
        ([1, 2.5], True),
        ([0.5, None], True),
        ([1.0, 2.0], False),
        ([1, 2], False),
        (["0.5", "1.5"], False),
        ([True, False], False),
        ([None, None], False),
    ],
)
def test_only_numbers_with_fractions_are_taken_for_a_regression(
    values: list[Any], expected: bool
) -> None:
    assert KIND.recognises(LabelColumn(values, None, "label", "train.csv")) is expected


def test_samples_cover_the_range_of_labels() -> None:
    targets = np.random.default_rng(0).permutation(1000) / 10
    strata = KIND.strata(targets)
    assert np.bincount(strata).tolist() == [100] * 10
    assert targets[strata == 0].max() < targets[strata == 1].min()


def test_the_answer_is_the_logit() -> None:
    assert KIND.predictions(np.array([[0.5], [2.0]], dtype=np.float32)).tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    "labels",
    [[0.5, 1e39, 2.5], [0.5, -1e19, 2.5], [1.7e9, 1.7e9 + 0.5, 1.7e9 + 2], [1e-30, 2e-30, 3e-30]],
)
def test_numbers_that_32_bits_do_not_hold_are_refused(labels: list[float]) -> None:
    with pytest.raises(DataError, match="32 bits"):
        KIND.reader(LabelColumn(labels, None, "label", "train.csv"), ())


def test_large_and_small_numbers_that_32_bits_hold_are_read() -> None:
    for scale in (1e-9, 1.0, 1e15):
        column = LabelColumn([0.5 * scale, 2.0 * scale], None, "label", "train.csv")
        assert KIND.reader(column, ()).targets(column).tolist() == [0.5 * scale, 2.0 * scale]


def test_ids_whose_declared_names_are_numbers_are_these_numbers() -> None:
    column = LabelColumn([0, 1, 2, 0], ("5", "1", "3.5"), "label", "train.parquet")
    assert KIND.reader(column, ()).targets(column).tolist() == [5, 1, 3.5, 5]
    words = LabelColumn([0, 2, 1], ("bad", "fair", "good"), "label", "train.parquet")
    assert KIND.reader(words, ()).targets(words).tolist() == [0, 2, 1]
    with pytest.raises(DataError, match="no label"):
        KIND.reader(LabelColumn([0, -1], ("5", "1"), "label", "train.parquet"), ())
