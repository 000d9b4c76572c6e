"""A depth beside the unpruned model: real files at every shape, and a known ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from glp_export.bench import Contender, Shape, Timing, Workload, measure_depth, shape_grid
from tests.contenders import Clock, Latency, fake_contender

QUICK = replace(Timing(), min_rounds=3, max_rounds=3, pause_s=0.0)


def test_real_files_are_timed_at_every_shape(tiny_contenders: list[Contender]) -> None:
    files = {c.contender: c for c in tiny_contenders if c.runtime == "onnxruntime"}
    pair = [files["unpruned"], files["pruned"]]
    workloads = [*shape_grid(pair, [1], [16]), *shape_grid(pair, [4], [32])]
    timings = measure_depth(*pair, workloads, timing=QUICK)
    assert [timed.shape.name for timed in timings] == ["1x16", "4x32"]
    for timed in timings:
        assert timed.layers == 2
        assert timed.p50_ms > 0
        assert timed.p50_high_ms > 0
        assert timed.speedup.low <= timed.speedup.value <= timed.speedup.high
        assert timed.speedup.pairs == 3


def test_the_speedup_is_over_the_unpruned_model(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> None:
    unpruned = fake_contender(contender="unpruned", layers=4)
    pruned = fake_contender(layers=1)
    fake_runtime(lambda contender, _: contender.layers * 2.0)
    feeds = {"input_ids": np.zeros((1, 4), dtype=np.int64)}
    (timed,) = measure_depth(unpruned, pruned, [Workload(Shape(1, 4, "1x4"), (feeds,))])
    assert timed.layers == 1
    assert timed.p50_ms == pytest.approx(2.0)
    assert timed.p50_high_ms == pytest.approx(2.0)
    assert timed.speedup.value == pytest.approx(4.0)
