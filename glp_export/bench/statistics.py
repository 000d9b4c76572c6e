"""Percentiles of latencies, and ratios of two contenders with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ratio:
    """How many times something is larger, with a confidence interval.

    Attributes:
        value: the median of the paired ratios.
        low: lower end of the interval.
        high: upper end.
        pairs: rounds that it rests on.
    """

    value: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Summary:
    """Latency of one contender on one shape, in milliseconds a batch."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    samples: int


def summarise(milliseconds: Sequence[float]) -> Summary:
    """Percentiles (linearly interpolated) and mean of raw samples.

    With fewer than a hundred samples p99 lies close to the slowest of them: it is what was seen,
    no estimate of the tail.
    """
    values = np.asarray(milliseconds, dtype=np.float64)
    p50, p90, p95, p99 = (float(value) for value in np.percentile(values, (50, 90, 95, 99)))
    return Summary(p50, p90, p95, p99, float(values.mean()), len(values))


def paired_ratio(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Ratio:
    """How many times larger the first is than the second, round by round.

    The value is the median of the ratios of each pair: a round that was disturbed counts as one
    pair, however much. The interval is the percentile bootstrap of that median over rounds
    (Efron 1979), which takes rounds as independent: a drift over many rounds widens the spread
    of both contenders but not of their ratio.

    Args:
        numerator: the median latency of each round, of the slower contender for a speedup.
        denominator: the other's, of the same rounds in the same order.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: the two differ in length, are empty, or hold a number that is not positive.
    """
    top, bottom = (np.asarray(values, dtype=np.float64) for values in (numerator, denominator))
    if top.shape != bottom.shape or top.ndim != 1 or not len(top):
        raise ValueError(f"cannot pair {len(top)} rounds with {len(bottom)}")
    if not (np.all(top > 0) and np.all(bottom > 0)):
        raise ValueError("latencies are positive")
    ratios = top / bottom
    low, high = median_interval(ratios, confidence=confidence, resamples=resamples, seed=seed)
    return Ratio(float(np.median(ratios)), low, high, len(ratios))


def median_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the median of `(n,)` values."""
    draws = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    medians = np.median(values[draws], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return float(low), float(high)


def percentile_interval(
    rounds: Sequence[Sequence[float]],
    percentile: float,
    *,
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a percentile of all runs.

    Rounds are what is drawn: runs of one round are alike.

    Args:
        rounds: milliseconds of the runs of each round.
        percentile: 0 to 100.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of the resampling.
    """
    blocks = [np.asarray(block, dtype=np.float64) for block in rounds]
    generator = np.random.default_rng(seed)
    found = [
        np.percentile(np.concatenate([blocks[n] for n in drawn]), percentile)
        for drawn in generator.integers(0, len(blocks), (resamples, len(blocks)))
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return float(low), float(high)
