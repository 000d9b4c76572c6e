"""A choice ends early for who has lost, and leaves out what takes long."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from glp_export.bench import Contender, Shape, Timing, Workload
from glp_export.bench.elimination import measure_by_elimination
from tests.contenders import Clock, Latency, fake_contender

Install = Callable[[Latency], None]
PLAIN, SLOW, FAST = (fake_contender(name) for name in ("plain.onnx", "slow.onnx", "fast.onnx"))
MS = {PLAIN: 10.0, SLOW: 12.0, FAST: 8.0}
SHAPES = ((1, 4), (8, 4), (8, 64))


def workloads() -> list[Workload]:
    made = []
    for size, length in SHAPES:
        feeds = {"input_ids": np.zeros((size, length), dtype=np.int64)}
        made.append(Workload(Shape(size, length, f"{size}x{length}"), (feeds,)))
    return made


def run(given: list[Workload], required: tuple[str, ...] = ()) -> list[dict[str, int]]:
    """For each contender its rounds by shape."""
    found = measure_by_elimination(
        [PLAIN, SLOW, FAST],
        PLAIN,
        given,
        timing=Timing(min_rounds=8, max_rounds=8),
        confidence=0.95,
        required=required,
    )
    return [{sample.shape.name: len(sample.rounds) for sample in own} for own in found]


def test_the_slower_one_drops_out_once_its_interval_says_so(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: MS[who])
    plain, slow, fast = run(workloads()[:2])
    assert plain == fast == {"1x4": 6, "8x4": 6}
    assert slow == {"1x4": 3, "8x4": 3}


def test_one_that_is_slower_than_the_fastest_drops_out_though_the_plain_one_is_slower_still(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: {PLAIN: 10.0, SLOW: 9.0, FAST: 8.0}[who])
    assert [own["1x4"] for own in run(workloads()[:1])] == [6, 3, 6]


def test_one_round_behind_asks_for_all_rounds(clock: Clock, fake_runtime: Install) -> None:
    """An interval that is looked at again and again would say so of equals too often."""
    # Two runs to warm up, then five a round: one that is not counted, and four.
    fast = iter([8.0] * 7 + [12.0] * 5 + [8.0] * 1000)

    fake_runtime(lambda who, _: next(fast) if who is FAST else 10.0)
    plain, _, fastest = (own["1x4"] for own in run(workloads()[:1]))
    assert plain == fastest == 8


def test_equals_are_timed_to_the_end(clock: Clock, fake_runtime: Install) -> None:
    draw = random.Random(0)
    milliseconds = iter(lambda: 10.0 + draw.random(), None)
    fake_runtime(lambda who, _: next(milliseconds))
    plain, *others = (own["1x4"] for own in run(workloads()[:1]))
    assert plain == max(others) == 8


def test_who_is_alone_with_the_plain_file_lost_to_ends_the_timing(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: MS[who] if who is PLAIN else 12.0)
    assert [own["1x4"] for own in run(workloads()[:1])] == [3, 3, 3]


def test_shapes_that_take_long_are_left_out_unless_a_target_names_them(
    clock: Clock, fake_runtime: Install
) -> None:
    given = workloads()
    long = id(given[2].batches[0])

    def latency(who: Contender, number: int) -> float:
        return MS[who] * (100.0 if clock.calls[-1][1] == long else 1.0)

    fake_runtime(latency)
    assert list(run(given)[0]) == ["1x4", "8x4"]
    assert list(run(given, required=("8x64",))[0]) == ["1x4", "8x4", "8x64"]
    assert list(run(given[2:])[0]) == ["8x64"]


def test_a_shape_that_must_take_far_too_long_is_not_even_warmed_up(
    clock: Clock, fake_runtime: Install
) -> None:
    given = workloads()
    fake_runtime(lambda who, _: 200.0)
    assert list(run(given[1:])[0]) == ["8x4"]
    assert id(given[2].batches[0]) not in {ran for _, ran in clock.calls}
