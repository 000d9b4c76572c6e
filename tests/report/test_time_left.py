"""The time that is left of a stage, on a clock that the test sets."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from glp_export.report.progress import ConsoleProgress, StageBar, StageMeter, time_words


class Clock:
    """Seconds since the stage began."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> StageMeter:
    console = Console(file=io.StringIO(), get_time=clock)
    return StageMeter(StageBar(ConsoleProgress(console), "search", None))


def left(meter: StageMeter) -> str:
    return time_words(meter._bar.task).partition(", ")[2]


def test_nothing_is_told_before_there_is_something_to_tell_from(meter, clock):
    meter.begin(10)
    assert left(meter) == ""
    clock.now = 0.5
    meter.advance()
    assert left(meter) == ""  # half a second of work says nothing of the rest


def test_units_that_cost_alike_take_alike(meter, clock):
    meter.begin(10)
    for unit in range(1, 5):
        clock.now = 3.0 * unit
        meter.advance()
    assert left(meter) == "about 18 s left"


def test_the_rest_is_weighed_by_what_it_costs(meter, clock):
    """Four candidates of four layers are done; four of three and four of two are to come."""
    meter.begin(12, cost=4 * 4 + 4 * 3 + 4 * 2, at_most=True)
    for unit in range(1, 5):
        clock.now = 2.0 * unit
        meter.advance(cost=4)
    assert left(meter) == "at most 10 s left"  # counting candidates would say 16


def test_a_unit_of_many_minutes_still_sets_the_pace(meter, clock):
    meter.begin(3)
    clock.now = 600.0
    meter.advance()
    assert left(meter) == "about 20 min left"


def test_what_was_known_before_does_not_make_the_rest_look_cheap(meter, clock):
    meter.begin(10)
    for _ in range(5):
        meter.advance(known=True)
    assert left(meter) == ""
    clock.now = 4.0
    meter.advance()
    assert left(meter) == "about 16 s left"
    assert meter._bar.task.fields["counted"] == "6/10"


def test_a_unit_that_is_late_does_not_bring_the_end_nearer(meter, clock):
    meter.begin(10)
    for now in (2.0, 4.0):
        clock.now = now
        meter.advance()
    clock.now = 60.0
    assert left(meter) == "about 16 s left"


def test_what_certainly_follows_is_added(meter, clock):
    meter.begin(2, later=30.0)
    clock.now = 2.0
    meter.advance()
    assert left(meter) == "about 32 s left"
    clock.now = 4.0
    meter.advance()
    assert left(meter) == "about 30 s left"


def test_more_than_was_said_leaves_nothing_and_no_less(meter, clock):
    meter.begin(2)
    clock.now = 3.0
    meter.advance(cost=3)
    assert left(meter) == "about 0 s left"
