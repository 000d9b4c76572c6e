"""How much faster a shallower model is than the unpruned one, both as ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glp_export.bench.contenders import Contender
from glp_export.bench.shapes import Shape, Workload
from glp_export.bench.statistics import (
    Ratio,
    median_interval,
    paired_ratio,
    percentile_interval,
    summarise,
)
from glp_export.bench.timing import Progress, Samples, Timing, measure


@dataclass(frozen=True)
class DepthTiming:
    """A depth at one shape.

    Attributes:
        layers: of the shallower model.
        shape: that both ran on.
        p50_ms: its median milliseconds a batch, as a row of benchmark.json has it.
        p50_high_ms: upper end of the 95 % interval of the rounds' median.
        speedup: over the unpruned model, round by round.
        tails: 90th, 95th and 99th percentile with the upper end of its 95 % interval, in ms.
    """

    layers: int
    shape: Shape
    p50_ms: float
    p50_high_ms: float
    speedup: Ratio
    tails: tuple[tuple[int, float, float], ...] = ()


def measure_depth(
    unpruned: Contender,
    shallower: Contender,
    workloads: Sequence[Workload],
    *,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> list[DepthTiming]:
    """Time a shallower model beside the unpruned one, in alternating turns.

    Args:
        unpruned: what the speedup is over.
        shallower: what is asked about.
        workloads: what both run, from `shape_grid`.
        timing: how long and how carefully.
        progress: called with a stage, units done and units in all.

    Returns:
        One for each workload.

    Raises:
        DeviceError: a provider is missing or fell back.
        ModelError: a file cannot be opened.
    """
    samples = measure([unpruned, shallower], workloads, timing=timing, progress=progress)
    return [
        compared(reference, own) for reference, own in zip(samples[::2], samples[1::2], strict=True)
    ]


def compared(reference: Samples, own: Samples) -> DepthTiming:
    """A model beside the unpruned one at the same shape, round by round."""
    _, high = median_interval(np.array(own.round_medians))
    summary = summarise(own.milliseconds)
    p50_ms = summary.p50_ms
    tails = ((90, summary.p90_ms), (95, summary.p95_ms), (99, summary.p99_ms))
    return DepthTiming(
        layers=own.contender.layers,
        shape=own.shape,
        p50_ms=p50_ms,
        # The median of all runs may lie past the interval of the rounds' medians.
        p50_high_ms=max(high, p50_ms),
        speedup=paired_ratio(reference.round_medians, own.round_medians),
        tails=tuple(
            (percentile, value, max(value, percentile_interval(own.rounds, percentile)[1]))
            for percentile, value in tails
        ),
    )
