from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import VARIANTS
from glp_export.artifact.difference import agreement, compare
from glp_export.artifact.tolerance import TOLERANCES, tolerance_for
from glp_export.core.errors import ModelError
from glp_export.core.tolerance import Tolerance
from glp_export.tasks.kinds import Choices


@pytest.mark.parametrize("off", [0.9, 1.1])
def test_bound_is_that_of_allclose(off: float) -> None:
    tolerance = Tolerance(atol=0.1, rtol=0.01)
    wanted = np.array([[0.0, 10.0], [-10.0, 1.0]])
    found = wanted + off * tolerance.bound(wanted)
    close = np.allclose(found, wanted, atol=0.1, rtol=0.01)
    assert bool(compare(found, wanted, tolerance).faults) != close


def test_given_values_take_the_place_of_the_table() -> None:
    assert tolerance_for("fp32", atol=0.5) == Tolerance(0.5, TOLERANCES["fp32"].rtol, asked=True)
    assert tolerance_for("int8") is None
    assert tolerance_for("int8", rtol=0.1) == Tolerance(0.0, 0.1)


def test_prices_are_as_exact_as_logits_for_what_they_vary_by() -> None:
    logits, tolerance = np.linspace(-2, 2, 41)[:, None], Tolerance(1e-4, 1e-3)
    found = logits + 1e-5
    for around in (tolerance, replace(tolerance, asked=True)):
        prices = around.around(3e5 + 1e5 * logits, "fp32")
        faults = compare(3e5 + 1e5 * found, 3e5 + 1e5 * logits, prices).faults
        assert bool(faults) is around.asked  # the price that is the mean, by 1
    assert tolerance.around(logits / 1e3, "fp32").atol == pytest.approx(tolerance.atol)


def test_every_precision_that_is_shipped_has_a_tolerance() -> None:
    assert {variant.precision for variant in VARIANTS.values()} <= set(TOLERANCES)


def test_unknown_precision_is_named() -> None:
    with pytest.raises(ModelError, match="fp4"):
        tolerance_for("fp4")


def test_worst_value_is_the_one_farthest_beyond_its_bound() -> None:
    wanted = np.array([[100.0, 0.0]])
    found = np.array([[100.5, 0.3]])  # the larger difference is within the relative part
    (fault,) = compare(found, wanted, Tolerance(0.1, 0.01)).faults
    assert "1 of 2 logits" in fault
    assert "worst 0.3 where PyTorch has 0" in fault


def test_enormous_values_are_numbers_still() -> None:
    difference = compare(np.float32([[3e38]]), np.float32([[-3e38]]), None)
    assert difference.max_abs == pytest.approx(6e38)


def chosen(options: Any, names: Any = None) -> Choices:
    """One decision a row."""
    return Choices(options, np.arange(len(options)), names)


def test_options_are_told_apart_by_their_names() -> None:
    wanted = chosen(np.array([[2.0, 0.0]] * 2), np.array([[7, 8]] * 2))
    found = chosen(np.array([[2.0, 0.0]] * 2), np.array([[7, 8], [8, 7]]))
    same, rows = agreement(found, wanted, Tolerance(0.1, 0.0))
    assert same.tolist() == [True, False]
    assert rows == (1,)


def test_ties_may_flip_and_clear_rows_may_not() -> None:
    wanted = np.array([[1.0, 1.05], [2.0, 0.0], [0.0, 2.0]])
    found = np.array([[1.05, 1.0], [0.0, 2.0], [0.0, 2.0]])
    same, rows = agreement(chosen(found), chosen(wanted), Tolerance(0.1, 0.0))
    assert same.tolist() == [False, False, True]
    assert rows == (1,)
