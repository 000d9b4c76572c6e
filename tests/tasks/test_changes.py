from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks import Task, changed_predictions
from glp_export.tasks.changes import wilson


def task(kind: str, labels: tuple[str, ...]) -> Task:
    return Task("any", kind, ("text",), "label", labels, "accuracy")


def test_the_rows_that_two_classifiers_label_otherwise_are_counted() -> None:
    truth = [0, 1, 1, 0]
    one = np.eye(2)[[0, 1, 0, 0]]
    other = np.eye(2)[[0, 1, 1, 1]]
    found = changed_predictions(task("text-classification", ("a", "b")), one, other, truth)
    assert found is not None
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    same = changed_predictions(task("text-classification", ("a", "b")), one, one, truth)
    assert same is not None
    assert same.value == same.low == 0
    assert 0 < same.high < 1


def test_numbers_are_not_labels() -> None:
    answers = np.zeros((3, 1))
    assert changed_predictions(task("regression", ()), answers, answers, [0.0, 1.0, 2.0]) is None


def test_the_interval_is_wilsons() -> None:
    found = wilson(10, 100)
    assert (found.low, found.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)  # statsmodels
