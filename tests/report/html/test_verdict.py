"""The verdict of every combination of intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glp_export.bench import Chance
from glp_export.report.html.verdict import verdict
from tests.report.helpers import MACHINE, less_unpruned, make_benchmark, make_plan
from tests.report.html.helpers import (
    at_speed,
    failed_parity,
    make_report_data,
    make_sweep_data,
    make_variant,
)

FASTER, SLOWER, OPEN = (2.0, 1.9, 2.1), (0.5, 0.4, 0.6), (1.0, 0.9, 1.2)
LOWER, HIGHER, ALIKE = (-0.03, -0.05, -0.01), (0.03, 0.01, 0.05), (0.0, -0.01, 0.01)


@pytest.mark.parametrize(
    ("speed", "accuracy", "answers", "ship"),
    [
        (FASTER, ALIKE, ("yes", "yes", "yes"), "Yes, on this evidence"),
        (FASTER, HIGHER, ("yes", "yes", "yes"), "Yes, on this evidence"),
        (FASTER, LOWER, ("yes", "no", "open"), "Your call"),
        (OPEN, ALIKE, ("open", "yes", "open"), "Not for its speed"),
        (OPEN, LOWER, ("open", "no", "open"), "Not for its speed"),
        (SLOWER, HIGHER, ("no", "yes", "no"), "Not for its speed"),
    ],
)
def test_the_answers_follow_the_intervals(speed, accuracy, answers, ship) -> None:
    benchmark = at_speed(*speed).model_copy(update={"differences": (less_unpruned(3, *accuracy),)})
    found = verdict(make_report_data(benchmark=benchmark), 0)
    assert tuple(tile.answer for tile in found.tiles) == answers
    assert found.tiles[2].word == ship


def test_what_may_have_been_lost_is_said_where_nothing_was_shown() -> None:
    benchmark = make_benchmark(differences=(less_unpruned(3, -0.004, -0.016, 0.008),))
    found = verdict(make_report_data(benchmark=benchmark), 2)
    assert "it may have lost up to 0.016" in found.tiles[1].lines
    assert "no difference in accuracy that the test examples show" in found.sentence
    assert found.sentence.endswith("parity passed; 2 warnings.")


def test_what_a_busy_machine_measured_is_to_be_measured_again() -> None:
    benchmark = at_speed(*FASTER)
    noisy = replace(MACHINE, notes=("other processes used 0.9 cores while measuring",))
    busy = benchmark.model_copy(update={"machine": noisy})
    found = verdict(make_report_data(benchmark=busy), 1)
    assert (found.tiles[2].answer, found.tiles[2].word) == ("open", "Measure again first")


def test_failed_parity_outweighs_everything() -> None:
    found = verdict(make_report_data(sweep_variants=(make_variant(3, failed_parity()),)), 1)
    assert found.tiles[2].answer == "no"
    assert not found.parity_passed


def test_of_a_sweep_in_which_every_depth_costs_the_most_accurate_stands_for_it() -> None:
    whole = make_sweep_data()
    worse = tuple(less_unpruned(depth, -0.02, -0.03, -0.01) for depth in (5, 4, 3))
    benchmark = whole.benchmark.model_copy(update={"differences": worse})
    frontier = type(whole.frontier).of(benchmark)
    found = verdict(make_sweep_data(benchmark=benchmark, frontier=frontier), 0)
    assert found.about.startswith("Said of 5 layers")
    assert "most accurate" in found.about
    assert found.tiles[1].answer == "no"


def test_other_metrics_and_precisions_keep_their_names() -> None:
    benchmark = make_benchmark(
        metric="matthews_correlation", differences=(less_unpruned(3, -0.1, -0.2, -0.01),)
    )
    found = verdict(make_report_data(benchmark=benchmark, plan=make_plan()), 0)
    assert "matthews correlation is lower by 0.100" in found.sentence


def test_beside_a_model_that_has_learned_nothing_nothing_is_right() -> None:
    benchmark = at_speed(*FASTER)
    chance = Chance(value=0.9, low=-0.02, high=0.05, significant=False)
    first, *others = benchmark.metrics
    metrics = (first.model_copy(update={"chance": chance}), *others)
    found = verdict(
        make_report_data(benchmark=benchmark.model_copy(update={"metrics": metrics})), 1
    )
    assert [tile.answer for tile in found.tiles] == ["yes", "unknown", "unknown"]
