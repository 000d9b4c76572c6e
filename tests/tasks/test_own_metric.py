"""`--metric module:function`: any function of predictions and labels scores a task."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks.metrics import CLASS_METRICS
from glp_export.tasks.own_metric import KINDS_SCORED, is_own, own_metric

MODULE = """
import numpy as np

def share(predictions, labels):
    return (predictions == labels).mean()

def weighted(predictions, labels, sample_weight=None):
    return np.average(predictions == labels, weights=sample_weight)

def exact(predictions, labels):
    assert predictions.shape == labels.shape and predictions.ndim == 2
    return (predictions == labels).all(axis=1).mean()

def fails(predictions, labels):
    raise KeyError("none")

def infinite(predictions, labels):
    return float("inf")

def leaves(predictions, labels):
    raise SystemExit(5)

def alone(predictions):
    return 1.0

NUMBER = 3
"""

KIND = "text-classification"


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A module in the working directory, which `glp-export` does not have on its path."""
    name = f"metric_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    return name


@pytest.mark.parametrize("function", ["share", "weighted"])
def test_it_is_computed_and_resampled_as_accuracy_is(module, function):
    generator = np.random.default_rng(0)
    predictions, labels = generator.integers(0, 3, (2, 50))
    counts = generator.multinomial(50, np.full(50, 0.02), size=7).astype(float)
    found, accuracy = own_metric(f"{module}:{function}", KIND), CLASS_METRICS[0]
    assert found.compute(predictions, labels) == accuracy.compute(predictions, labels)
    np.testing.assert_allclose(
        found.resampled(predictions, labels, counts),
        accuracy.resampled(predictions, labels, counts),
    )


@pytest.mark.parametrize("width", [1, 3])
def test_several_labels_a_text_come_as_rows(module, width):
    predictions, labels = np.random.default_rng(0).integers(0, 2, (2, 20, width))
    found = own_metric(f"{module}:exact", KINDS_SCORED[2])
    value = found.compute(predictions, labels)
    assert found.resampled(predictions, labels, np.ones((1, 20))) == pytest.approx(value)


@pytest.mark.parametrize("name", ["nowhere:f1", "MODULE:nothing", "MODULE:NUMBER", "MODULE:alone"])
def test_what_is_no_metric_is_an_error_of_usage(module, name):
    with pytest.raises(UsageError) as told:
        own_metric(name.replace("MODULE", module), KIND)
    assert told.value.exit_code == 2
    assert "--metric" in str(told.value.where)


def test_a_module_that_ends_the_process_is_an_error_of_usage(module, tmp_path):
    (tmp_path / f"{module}_ends.py").write_text("raise SystemExit(5)")
    with pytest.raises(UsageError, match="SystemExit"):
        own_metric(f"{module}_ends:share", KIND)


@pytest.mark.parametrize("function", ["fails", "infinite", "leaves"])
def test_a_function_that_gives_no_number_is_an_error_of_data(module, function):
    with pytest.raises(DataError) as told:
        own_metric(f"{module}:{function}", KIND).compute(np.arange(2), np.arange(2))
    assert told.value.exit_code == 7


def test_a_kind_whose_answers_are_no_arrays_is_refused(module):
    with pytest.raises(UsageError, match="token-classification"):
        own_metric(f"{module}:share", "token-classification")


def test_a_name_of_the_table_is_no_function():
    assert not is_own("macro_f1")
    assert not is_own(None)
    assert is_own("my_module:f1")
