"""Percentiles, and how often the interval of a ratio holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from glp_export.bench import paired_ratio, summarise
from glp_export.bench.statistics import percentile_interval


def test_percentiles_of_known_samples() -> None:
    summary = summarise([float(value) for value in range(1, 102)])
    assert (summary.p50_ms, summary.p90_ms, summary.p99_ms) == (51, 91, 100)
    assert summary.p95_ms == pytest.approx(96)
    assert (summary.mean_ms, summary.samples) == (51, 101)


def test_one_sample_is_its_own_percentiles() -> None:
    summary = summarise([3.5])
    assert summary.p50_ms == summary.p99_ms == summary.mean_ms == 3.5


def test_the_interval_of_a_percentile_holds_it_and_knows_rounds() -> None:
    alike = [[1.0, 2.0, 3.0, 4.0]] * 8
    low, high = percentile_interval(alike, 95)
    assert low == high == pytest.approx(4.0, abs=0.2)  # no round differs from another
    low, high = percentile_interval([*alike, [9.0, 9.0, 9.0, 9.0]], 95)
    assert low < 5 < high


def test_a_common_disturbance_leaves_the_ratio_alone() -> None:
    disturbance = np.array([1.0, 3.0, 1.0, 7.0, 1.2, 1.0])
    ratio = paired_ratio(list(8.0 * disturbance), list(4.0 * disturbance))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert ratio.pairs == 6
    assert ratio.low > 1


def test_one_wild_round_does_not_move_the_ratio() -> None:
    slow, fast = [10.0] * 11, [5.0] * 11
    assert paired_ratio([*slow[:10], 900.0], fast).value == 2.0


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    hits, trials, truth = 0, 400, 1.9
    for _ in range(trials):
        shared = generator.lognormal(0, 0.5, 20)  # drift that both of a round feel
        slow = truth * shared * generator.lognormal(0, 0.05, 20)
        fast = shared * generator.lognormal(0, 0.05, 20)
        ratio = paired_ratio(slow, fast, resamples=500)
        hits += ratio.low <= truth <= ratio.high
    # 95 % is asked for; the percentile bootstrap of a median of 20 falls a little short, and 400
    # trials are sure to about 1 point.
    assert 0.90 <= hits / trials <= 0.99


def test_more_confidence_is_wider_and_the_seed_decides() -> None:
    generator = np.random.default_rng(1)
    slow, fast = generator.lognormal(1, 0.2, 15), generator.lognormal(0, 0.2, 15)
    usual, wide = paired_ratio(slow, fast), paired_ratio(slow, fast, confidence=0.999)
    assert wide.low <= usual.low <= usual.value <= usual.high <= wide.high
    assert wide.low < usual.low
    assert usual == paired_ratio(slow, fast)


def test_noise_around_one_does_not_exclude_one() -> None:
    generator = np.random.default_rng(3)
    base = generator.lognormal(0, 0.3, 30)
    ratio = paired_ratio(base * generator.lognormal(0, 0.02, 30), base)
    assert ratio.low <= 1 <= ratio.high


@pytest.mark.parametrize(("slow", "fast"), [([1.0], [1.0, 2.0]), ([], []), ([1.0, 0.0], [1, 1])])
def test_what_cannot_be_paired_is_refused(slow: list[float], fast: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pair|positive"):
        paired_ratio(slow, fast)
