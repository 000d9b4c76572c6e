from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks import Task, calibration_error, changed_predictions, class_drops
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


def test_a_class_that_is_lost_comes_first() -> None:
    truth = np.repeat([0, 1, 2], [50, 30, 20])
    before, after = np.eye(3)[truth], np.eye(3)[truth]
    after[80:95] = np.eye(3)[0]  # three quarters of the smallest class
    before[:5] = np.eye(3)[1]
    first, *_, last = class_drops(
        task("text-classification", ("a", "b", "c")), after, before, truth
    )
    assert (first.label, first.rows, first.before) == ("c", 20, 1.0)
    assert first.change.value == -0.75
    assert -1 < first.change.low < -0.75 < first.change.high < -0.4
    assert (last.label, last.before, last.change.value) == ("a", 0.9, 0.1)
    assert class_drops(task("regression", ()), after, before, truth) == []


def test_a_class_without_rows_is_left_out() -> None:
    answers = np.eye(3)[[0, 1]]
    found = class_drops(task("text-classification", ("a", "b", "c")), answers, answers, [0, 1])
    assert [one.label for one in found] == ["a", "b"]
    assert all(one.change.value == one.change.low == one.change.high == 0 for one in found)


def test_calibration_is_exact_where_probabilities_are_those_of_being_right() -> None:
    own = task("text-classification", ("a", "b"))
    # Of 80 % sure predictions 4 of 5 are right; then none are.
    logits = np.log(np.tile([0.8, 0.2], (1000, 1)))
    truth = np.tile([0, 0, 0, 0, 1], 200)
    right = calibration_error(own, logits, truth)
    wrong = calibration_error(own, logits, np.ones(1000, int))
    assert right is not None
    assert wrong is not None
    assert right.value == pytest.approx(0, abs=1e-12)
    assert wrong.value == pytest.approx(0.8)
    assert wrong.low <= wrong.value <= wrong.high
    assert calibration_error(task("regression", ()), logits, truth) is None
