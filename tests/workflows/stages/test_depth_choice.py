"""The search for a depth: few looks, the right answer, and an error that says how far it got."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glp_export.compress.accuracy import DropScore, smallest_accurate
from glp_export.config.targets import DepthLatency, Shape, Targets
from glp_export.core.errors import AccuracyError, LatencyError
from glp_export.core.numbers import layers_in_words
from glp_export.workflows.stages.depth_choice import (
    ATTEMPTS,
    LONGER,
    deepest_fast_enough,
    impossible,
    settled,
)

DEPTHS = range(1, 12)
ONE, EIGHT = Shape(1, 128), Shape(8, 128)


def latencies(layers: int, *shapes: Shape) -> list[DepthLatency]:
    """A 12-layer model whose layers take a millisecond for each example, give or take 5 %."""
    speedup = 12 / layers
    return [
        DepthLatency(
            layers, shape, layers * shape.batch_size, None, speedup, speedup * 0.95, speedup * 1.05
        )
        for shape in shapes or (ONE,)
    ]


@pytest.mark.parametrize(
    ("speedup", "latency", "depth"),
    [
        ("1.9", None, 6),
        ("2.0", None, 5),  # six layers are twice as fast, but not significantly
        ("1.01", None, 11),
        ("11", None, 1),
        (None, "7ms", 7),
        ("1.2", "4.5ms", 4),
        ("2.5", "11ms", 4),
    ],
)
def test_the_deepest_significantly_fast_enough_is_found_in_few_looks(speedup, latency, depth):
    found, rows = deepest_fast_enough(DEPTHS, latencies, Targets.parse(speedup, latency, None))
    assert found == depth
    assert depth in {row.layers for row in rows}
    assert len(rows) <= 4


def test_targets_at_different_shapes_must_both_hold():
    targets = Targets.parse("1.5@1x128", "33ms@8x128", None)
    found, rows = deepest_fast_enough(
        DEPTHS, lambda layers: latencies(layers, *targets.shapes), targets
    )
    assert found == 4
    assert {row.shape for row in rows} == {ONE, EIGHT}


def test_nothing_fast_enough_is_exit_5_and_says_what_the_shallowest_reached():
    with pytest.raises(LatencyError) as caught:
        deepest_fast_enough(DEPTHS, latencies, Targets.parse("20", None, None))
    assert caught.value.exit_code == 5
    text = str(caught.value)
    assert "1 layer: 12.00× (11.40–12.60) at 1x128, 20× was asked for" in text
    assert "--target-speedup 20@1x128" in text


class Measurements:
    """Answers with one row after the other."""

    def __init__(self, *rows: DepthLatency) -> None:
        self.rows = list(rows)
        self.lengths: list[int] = []

    @property
    def asked(self) -> int:
        return len(self.lengths)

    def __call__(self, longer: int) -> list[DepthLatency]:
        self.lengths.append(longer)
        return [self.rows[min(self.asked, len(self.rows)) - 1]]


def one_of_six(speedup: float, *, disturbed: bool = False) -> DepthLatency:
    return DepthLatency(
        1, ONE, 6 / speedup, 7 / speedup, speedup, speedup * 0.9, speedup * 1.1, disturbed
    )


def test_a_quiet_measurement_counts_at_once():
    measure = Measurements(one_of_six(5.0))
    assert settled(measure, 6) == [one_of_six(5.0)]
    assert measure.asked == 1


def test_a_disturbed_measurement_is_taken_again():
    measure = Measurements(one_of_six(4.0, disturbed=True), one_of_six(5.0))
    assert settled(measure, 6) == [one_of_six(5.0)]
    assert measure.asked == 2


def test_where_others_never_stop_the_slowest_counts_and_is_marked():
    speeds = (5.0, 4.0, 6.0)
    measure = Measurements(*(one_of_six(speed, disturbed=True) for speed in speeds))
    assert settled(measure, 6) == [one_of_six(4.0, disturbed=True)]
    assert measure.asked == ATTEMPTS


def test_what_cannot_be_true_stops_the_run():
    measure = Measurements(one_of_six(26.69))
    with pytest.raises(LatencyError) as caught:
        settled(measure, 6)
    assert measure.lengths == [1, LONGER, LONGER**2]
    assert caught.value.exit_code == 5
    assert "26.69" in str(caught.value)
    # one that can be is enough
    assert settled(Measurements(one_of_six(26.69), one_of_six(5.0)), 6) == [one_of_six(5.0)]


def test_an_interval_contains_its_median():
    assert impossible(one_of_six(5.0), 6) is None
    assert impossible(replace(one_of_six(5.0), p50_high_ms=1.0), 6)
    assert impossible(replace(one_of_six(5.0), speedup_high=4.9), 6)
    assert impossible(replace(one_of_six(5.0), p50_high_ms=None), 6) is None


class Trainings:
    """Scores depths by a table of drops and remembers which were trained."""

    def __init__(self, drops: dict[int, float]) -> None:
        self.drops = drops
        self.trained: list[int] = []

    def __call__(self, layers: int) -> DropScore:
        self.trained.append(layers)
        drop = self.drops[layers]
        return DropScore(layers_in_words(layers), 0.9 - drop, drop, drop - 0.02, drop + 0.02, 0.5)


def steady(first: int) -> dict[int, float]:
    """Drops that are within 0.01 from this depth on."""
    return {layers: 0.005 if layers >= first else 0.05 for layers in DEPTHS}


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_smallest_within_the_budget_is_found_in_few_trainings(depth):
    score = Trainings(steady(depth))
    found, scores = smallest_accurate(DEPTHS, score, 0.01)
    assert found == depth
    assert score.trained[0] == 6
    assert list(scores) == score.trained
    assert len(score.trained) == len(set(score.trained)) <= 5


def test_one_depth_that_the_bisection_left_out_is_looked_at():
    # 6 passes, 3 and 5 fail: so would end at 6, with 4 unseen
    assert smallest_accurate(DEPTHS, Trainings({**steady(6), 4: 0.0}), 0.01)[0] == 4


def test_a_drop_of_just_the_budget_is_within_it():
    found, _ = smallest_accurate([3], Trainings({3: 0.95 - 0.94}), 0.01)
    assert found == 3


def test_none_accurate_enough_is_exit_4_and_names_the_best():
    drops = {layers: 0.5 - layers / 100 for layers in DEPTHS}
    with pytest.raises(AccuracyError) as caught:
        smallest_accurate(DEPTHS, Trainings(drops), 0.01)
    assert caught.value.exit_code == 4
    assert "11 layers" in str(caught.value)
    assert "0.390 (0.370 to 0.410)" in str(caught.value)
    assert "--max-drop 0.01" in str(caught.value)
