"""Turns: interleaved, random, seeded, on the same batches; only counted runs are samples."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from glp_export.bench import Contender, Shape, Timing, Workload, measure, settle, timing
from glp_export.core.errors import UsageError
from tests.contenders import Clock, Latency, fake_contender

Install = Callable[[Latency], None]
A, B, C = (fake_contender(name, threads=2) for name in ("a.onnx", "b.onnx", "c.onnx"))


def workload(batches: int = 1, size: int = 1, name: str = "1x4") -> Workload:
    feeds = tuple({"input_ids": np.zeros((size, 4), dtype=np.int64)} for _ in range(batches))
    return Workload(Shape(size, 4, name), feeds)


def turns(clock: Clock, contenders: int, settings: Timing, runs: int) -> list[list[Contender]]:
    """The order of each round, read off the calls after the warm-up."""
    per_turn = settings.dropped + runs
    calls = [who for who, _ in clock.calls[contenders * settings.warmup :]]
    order = calls[::per_turn]
    assert [who for who in order for _ in range(per_turn)] == calls
    return [order[start : start + contenders] for start in range(0, len(order), contenders)]


def test_every_round_is_one_turn_of_each_in_a_new_order(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: 10.0)
    settings = Timing(min_rounds=20, max_rounds=20)
    measure([A, B, C], [workload()], timing=settings)
    rounds = turns(clock, 3, settings, runs=5)  # 50 ms a turn
    assert all(set(round_) == {A, B, C} for round_ in rounds)
    assert len({tuple(who.variant for who in round_) for round_ in rounds}) == 6


def test_the_order_is_the_seeds(clock: Clock, fake_runtime: Install) -> None:
    fake_runtime(lambda who, _: 10.0)
    seen = []
    for seed in (1, 1, 2):
        clock.calls.clear()
        measure([A, B, C], [workload()], timing=Timing(max_rounds=10, seed=seed))
        seen.append([who for who, _ in clock.calls])
    assert seen[0] == seen[1] != seen[2]


def test_only_counted_runs_are_samples(clock: Clock, fake_runtime: Install) -> None:
    """The first run of each turn is slow, as on cold caches: it must not show."""
    last: list[Contender | None] = [None]

    def latency(who: Contender, _: int) -> float:
        cold, last[0] = last[0] is not who, who
        return 100.0 if cold else 10.0

    fake_runtime(latency)
    samples = measure([A, B], [workload()], timing=Timing(max_rounds=12, seconds=60))
    # Two contenders: a turn follows the same contender's now and then, so none is cold there.
    assert all(run == pytest.approx(10.0) for sample in samples for run in sample.milliseconds)


def test_long_runs_need_no_dropped_one(clock: Clock, fake_runtime: Install) -> None:
    settings = Timing(min_rounds=3, max_rounds=3, warmup=2)
    counts = []
    for milliseconds in (200.0, 400.0):
        clock.calls.clear()
        fake_runtime(lambda who, _, ms=milliseconds: ms if who == A else 1.0)
        measure([A, B], [workload()], timing=settings)
        counts.append(len(clock.calls))
    # Two warm-ups of two contenders, then three rounds of one counted run each.
    assert counts == [4 + 3 * 2 * 2, 4 + 3 * 2 * 1]


def test_all_see_the_same_batches_in_the_same_order(clock: Clock, fake_runtime: Install) -> None:
    fake_runtime(lambda who, _: 25.0 if who == A else 5.0)
    settings = Timing(min_rounds=6, max_rounds=6, warmup=2)
    measure([A, B], [workload(batches=5)], timing=settings)
    seen: dict[Contender, list[int]] = {A: [], B: []}
    for who, batch in clock.calls:
        seen[who].append(batch)
    assert seen[A] == seen[B]
    assert len(set(seen[A])) == 5


def test_a_contender_with_its_own_tokenizer_gets_its_own_batches(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: 5.0)
    other = fake_contender("d.onnx", contender="distilled")
    own = {"input_ids": np.ones((1, 3), dtype=np.int64)}
    mixed = Workload(Shape(1, 4, "1xtask"), workload().batches, {"distilled": (own,)})
    measure([A, other], [mixed], timing=Timing(max_rounds=10))
    assert {batch for who, batch in clock.calls if who == other} == {id(own)}
    assert {batch for who, batch in clock.calls if who == A} == {id(mixed.batches[0])}


def test_rounds_stop_at_the_budget_but_not_before_the_least(
    clock: Clock, fake_runtime: Install
) -> None:
    fake_runtime(lambda who, _: 1000.0)
    slow = measure([A], [workload()], timing=Timing(min_rounds=4, max_rounds=50, seconds=1.0))
    assert len(slow[0].rounds) == 4
    some = measure([A], [workload()], timing=Timing(min_rounds=4, max_rounds=50, seconds=20.0))
    assert 4 < len(some[0].rounds) < 50
    fake_runtime(lambda who, _: 1.0)
    most = measure([A], [workload()], timing=Timing(min_rounds=4, max_rounds=6, seconds=1e6))
    assert len(most[0].rounds) == 6
    assert {len(block) for block in most[0].rounds} == {Timing().max_runs}


def test_samples_of_a_round_share_its_disturbance(clock: Clock, fake_runtime: Install) -> None:
    """The clock of the machine halves half way: each latency doubles, the ratio of rounds stays."""
    fake_runtime(lambda who, call: (8.0 if who == A else 4.0) * (1 + (call > 60)))
    first, second = measure([A, B], [workload()], timing=Timing(min_rounds=16, max_rounds=16))
    ratios = np.array(first.round_medians) / np.array(second.round_medians)
    assert np.median(ratios) == pytest.approx(2.0)
    assert np.std(first.round_medians) > 1


def test_the_collector_rests_while_runs_are_counted(clock: Clock, fake_runtime: Install) -> None:
    states = []

    def latency(who: Contender, call: int) -> float:
        if call > 2 * Timing().warmup:
            states.append(gc.isenabled())
        return 10.0

    fake_runtime(latency)
    measure([A, B], [workload()], timing=Timing(max_rounds=10))
    assert not any(states)
    assert gc.isenabled()


def test_a_turn_waits_for_spinning_threads(clock: Clock) -> None:
    clock.spinning = 0.03
    assert settle(0.05) == pytest.approx(0.06)
    clock.spinning = 0.12
    assert settle(0.05) == pytest.approx(0.13, abs=0.011)
    clock.spinning = 1e9  # something computes all the time: it is not waited for
    assert settle(0.05) == pytest.approx(0.30, abs=0.011)
    assert settle(0.0) == 0.0


def test_progress_ends_complete(clock: Clock, fake_runtime: Install) -> None:
    fake_runtime(lambda who, _: 40.0)
    heard: list[tuple[str, int, int]] = []
    measure(
        [A, B],
        [workload(), workload(name="8x4")],
        timing=Timing(seconds=3.0),
        progress=lambda *update: heard.append(update),
    )
    assert all(done <= total for _, done, total in heard)
    last = {stage: (done, total) for stage, done, total in heard}
    assert last.keys() == {"load the contenders", "measure 1x4", "measure 8x4"}
    assert all(done == total for done, total in last.values())


def test_too_few_rounds_for_an_interval_are_refused() -> None:
    with pytest.raises(UsageError, match="rounds"):
        Timing(min_rounds=2)
    with pytest.raises(UsageError, match="rounds"):
        Timing(min_rounds=9, max_rounds=8)


def test_pytorch_cannot_have_two_thread_pools() -> None:
    models = [fake_contender(runtime="pytorch", threads=threads) for threads in (1, 2)]
    with pytest.raises(UsageError, match="thread pool"):
        measure(models, [workload()])


@pytest.mark.parametrize("runtime", ["onnxruntime", "pytorch"])
def test_there_is_no_pause_where_no_thread_could_spin(runtime: str) -> None:
    one = [fake_contender(runtime=runtime, threads=1), fake_contender(threads=1)]
    assert Timing(pause_s=0.07).for_contenders(one).pause_s == 0
    for other in (
        fake_contender(threads=2),
        fake_contender(runtime="openvino", threads=1),
        fake_contender(runtime="pytorch-compiled", threads=1),
    ):
        assert Timing(pause_s=0.07).for_contenders([*one, other]).pause_s == 0.07


def test_the_pause_is_the_settings(clock: Clock, fake_runtime: Install) -> None:
    fake_runtime(lambda who, _: 10.0)
    measure([A], [workload()], timing=Timing(min_rounds=3, max_rounds=3, pause_s=0.07))
    assert clock.sleeps.count(0.07) == 3
    assert timing.Timing().pause_s == 0.05
