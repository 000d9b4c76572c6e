from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import ModelError
from glp_export.tasks import (
    METRICS,
    Task,
    paired_difference_interval,
    score,
    score_interval,
)
from glp_export.tasks.metrics import Array
from glp_export.tasks.scoring import Bootstrap


def task(metric: str = "accuracy", classes: int = 3) -> Task:
    kind = METRICS[metric].kind
    labels = () if kind == "regression" else tuple(str(label) for label in range(classes))
    return Task("t", kind, ("text",), "label", labels, metric)


def model(rows: int, seed: int = 0, skill: float = 1.0, classes: int = 3) -> tuple[Array, Array]:
    """Logits that favour the right class by `skill` standard deviations, and the labels."""
    labels = np.random.default_rng(99).integers(0, classes, rows)
    logits = np.random.default_rng(seed).normal(size=(rows, classes))
    logits[np.arange(rows), labels] += skill
    return logits.astype(np.float32), labels


def test_accuracy_is_the_share_of_right_answers() -> None:
    logits = [[2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert score(task(), logits, [0, 2, 0, 0]) == 0.75


def test_regression_is_scored_on_its_one_output() -> None:
    logits = [[0.1], [0.3], [0.2]]
    assert score(task("spearman"), logits, [1.0, 3.0, 2.0]) == pytest.approx(1.0)


def test_the_interval_of_an_accuracy_is_as_wide_as_theory_says() -> None:
    logits, labels = model(2000)
    value = score(task(), logits, labels)
    low, high = score_interval(task(), logits, labels, Bootstrap(resamples=4000))
    # Normal approximation of a binomial share: 1.96 standard errors to each side. The quantiles
    # of 4000 resamples scatter by about 3 % of the width.
    half = 1.96 * np.sqrt(value * (1 - value) / 2000)
    assert low == pytest.approx(value - half, abs=0.1 * half)
    assert high == pytest.approx(value + half, abs=0.1 * half)


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_holds_the_score_and_widens_with_confidence(metric: str) -> None:
    classes = 1 if METRICS[metric].kind == "regression" else 2
    logits, labels = model(400, classes=2)
    logits = logits[:, 1:] - logits[:, :1] if classes == 1 else logits
    value = score(task(metric, 2), logits, labels)
    low, high = score_interval(task(metric, 2), logits, labels)
    wider = score_interval(task(metric, 2), logits, labels, Bootstrap(confidence=0.99))
    assert wider[0] < low < value < high < wider[1]
    assert (low, high) == score_interval(task(metric, 2), logits, labels)


def test_a_pair_of_models_is_told_apart_where_two_intervals_are_not() -> None:
    logits, labels = model(600)
    worse = logits.copy()
    right = np.flatnonzero(logits.argmax(1) == labels)[:15]
    worse[right, labels[right]] -= 20
    difference, low, high = paired_difference_interval(task(), logits, worse, labels)
    assert difference == pytest.approx(15 / 600)
    assert 0 < low < difference < high
    assert score_interval(task(), worse, labels)[1] > score_interval(task(), logits, labels)[0]


def test_a_model_does_not_differ_from_itself() -> None:
    logits, labels = model(100)
    assert paired_difference_interval(task(), logits, logits, labels) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "classes"), [("accuracy", 77), ("macro_f1", 77), ("spearman", 1)]
)
def test_five_thousand_examples_take_seconds(metric: str, classes: int) -> None:
    logits, labels = model(5000, classes=max(classes, 2))
    values: Any = (logits[:, :1], labels / 3) if classes == 1 else (logits, labels)
    begin = time.process_time()
    score_interval(task(metric, classes), *values)
    # Half a second to 1.5 s of this process, however busy the machine; the library's functions
    # need a minute.
    assert time.process_time() - begin < 10


def test_logits_that_are_not_numbers_are_no_answers() -> None:
    logits, labels = model(10)
    logits[3, 1] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        score(task(), logits, labels)


def test_logits_of_another_shape_are_a_programming_error() -> None:
    logits, labels = model(10)
    with pytest.raises(ValueError, match="shape"):
        score(task(), logits[:, :2], labels)
    with pytest.raises(ValueError, match="shape"):
        score(task(), logits[:9], labels)
