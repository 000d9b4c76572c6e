from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks import METRICS
from glp_export.tasks.metrics import Array


def answers(name: str, rows: int, seed: int) -> tuple[Array, Array]:
    """Predictions that are right more often than not, with ties and classes left out."""
    generator = np.random.default_rng(seed)
    if METRICS[name].kind == "regression":
        labels = generator.integers(0, 6, rows) / 2
        return np.round(labels + generator.normal(size=rows), 1), labels
    classes = 2 if METRICS[name].two_classes else 5
    labels = generator.integers(0, classes, rows)
    return np.where(
        generator.random(rows) < 0.7, labels, generator.integers(0, classes, rows)
    ), labels


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("rows", [3, 50])
def test_a_resample_is_scored_as_the_library_scores_its_rows(name: str, rows: int) -> None:
    metric = METRICS[name]
    generator = np.random.default_rng(0)
    for seed in range(5):
        predictions, labels = answers(name, rows, seed)
        counts = generator.multinomial(rows, np.full(rows, 1 / rows), size=20).astype(float)
        drawn = [np.repeat(np.arange(rows), row.astype(int)) for row in counts]
        expected = [metric.compute(predictions[rows], labels[rows]) for rows in drawn]
        # Two ways to sum in float64.
        np.testing.assert_allclose(
            metric.resampled(predictions, labels, counts), expected, atol=1e-9
        )


@pytest.mark.parametrize("name", ["matthews_correlation", "pearson", "spearman", "f1"])
def test_answers_that_are_all_the_same_score_0_and_not_nan(name: str) -> None:
    _, labels = answers(name, 30, 0)
    constant = np.zeros_like(labels)
    assert METRICS[name].compute(constant, labels) == 0.0
    assert METRICS[name].resampled(constant, labels, np.ones((3, 30))).tolist() == [0.0] * 3


@pytest.mark.parametrize("offset", [0.1, 1e-8, 1e6])
def test_a_constant_of_any_size_has_no_correlation(offset: float) -> None:
    labels = np.arange(30.0)
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=50).astype(float)
    constant = np.full(30, offset)
    assert not METRICS["pearson"].resampled(constant, labels, counts).any()
    scaled = labels * offset * 1e-3
    np.testing.assert_allclose(METRICS["pearson"].resampled(scaled, labels, counts), 1.0)


def test_f1_is_of_the_second_label() -> None:
    labels, predictions = np.array([1, 1, 0, 0, 0]), np.array([1, 0, 0, 0, 0])
    assert METRICS["f1"].compute(predictions, labels) == pytest.approx(2 / 3)


def test_every_metric_is_the_better_the_larger() -> None:
    for name, metric in METRICS.items():
        predictions, labels = answers(name, 50, 0)
        assert metric.compute(labels, labels) == pytest.approx(1.0)
        assert metric.compute(predictions, labels) < 1.0
