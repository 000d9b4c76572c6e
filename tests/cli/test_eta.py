from __future__ import annotations

import pytest

from glp_export.cli.progress.eta import Eta


def test_nothing_is_told_before_there_is_something_to_tell_from():
    pace = Eta(10, now=0.0)
    assert pace.left(5.0) is None
    pace.pay(1, 0.5)
    assert pace.left(0.5) is None  # half a second of work says nothing of the rest


def test_units_that_cost_alike_take_alike():
    pace = Eta(10, now=0.0)
    for unit in range(1, 5):
        pace.pay(1, 3.0 * unit)
    assert pace.left(12.0) == pytest.approx(18.0)
    assert pace.left(13.0) == pytest.approx(17.0)


def test_the_rest_is_weighed_by_what_it_costs():
    """Four candidates of four layers are done; four of three and four of two are to come."""
    pace = Eta(4 * 4 + 4 * 3 + 4 * 2, now=0.0)
    for unit in range(1, 5):
        pace.pay(4, 2.0 * unit)
    assert pace.left(8.0) == pytest.approx((12 + 8) * 8.0 / 16)
    assert pace.left(8.0) < 8 * 2.0  # what counting candidates would say


def test_what_was_known_before_does_not_make_the_rest_look_cheap():
    pace = Eta(10, now=0.0)
    for _ in range(5):
        pace.give(1, 0.01)
    assert pace.left(0.01) is None
    pace.pay(1, 4.01)
    assert pace.left(4.01) == pytest.approx(16.0)


def test_a_unit_that_is_late_does_not_bring_the_end_nearer():
    pace = Eta(10, now=0.0)
    pace.pay(1, 2.0)
    pace.pay(1, 4.0)
    assert pace.left(6.0) == pytest.approx(14.0)
    assert pace.left(60.0) == pytest.approx(14.0)


def test_what_surely_follows_is_added():
    pace = Eta(2, now=0.0, later=30.0)
    pace.pay(1, 2.0)
    assert pace.left(2.0) == pytest.approx(32.0)
    pace.pay(1, 4.0)
    assert pace.left(4.0) == pytest.approx(30.0)
    assert pace.left(90.0) == pytest.approx(30.0)


def test_more_than_was_said_leaves_nothing_and_no_less():
    pace = Eta(2, now=0.0)
    pace.pay(3, 3.0)
    assert pace.left(3.0) == 0
    assert pace.left(9.0) == 0
