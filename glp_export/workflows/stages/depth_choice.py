"""Which depth is fast enough, with as few depths measured as can be.

Pure logic: how a depth is measured comes in as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from glp_export.config.targets import DepthLatency, Targets
from glp_export.core.errors import LatencyError

ATTEMPTS = 3
"""Measurements of one depth, at most, on a machine that others use."""

LONGER = 4
"""Times by which the next measurement takes longer after one that cannot be true."""

CACHED = 1.5
"""Times by which a model may be faster than its share of the layers: a small one fits into caches
that a large one does not."""


def settled(measure: Callable[[int], Sequence[DepthLatency]], total: int) -> list[DepthLatency]:
    """The rows of a depth, measured again as long as others use the machine.

    Where they never stop, the attempt with the lowest speedup counts: a model that is fast enough
    in all of them is so on an idle machine as well. What cannot be true never counts, and is
    measured for longer.

    Args:
        measure: one row for each shape of the targets, in so many times the usual seconds.
        total: layers of the unpruned model.

    Raises:
        LatencyError: no attempt could be true.
    """
    disturbed: list[Sequence[DepthLatency]] = []
    doubt, longer = "", 1
    for _ in range(ATTEMPTS):
        rows = measure(longer)
        doubts = [words for row in rows if (words := impossible(row, total))]
        if doubts:
            doubt, longer = doubts[0], longer * LONGER
        elif not any(row.disturbed for row in rows):
            return list(rows)
        else:
            disturbed.append(rows)
    if not disturbed:
        raise LatencyError(
            f"the machine is too busy to measure on: {doubt}",
            where=f"{ATTEMPTS} measurements",
            fix="run it again with --resume when nothing else runs here, or say --depth",
        )
    slowest = (min(same, key=lambda row: row.speedup_low) for same in zip(*disturbed, strict=True))
    return [replace(row, disturbed=True) for row in slowest]


def impossible(row: DepthLatency, total: int) -> str | None:
    """Why a row cannot be true, as a clause; None where it can.

    A model with one of six layers is not 26 times faster than all six, and an interval contains
    its own median.
    """
    most = CACHED * total / row.layers
    if row.speedup > most:
        return (
            f"{_layers(row.layers)} of {total} were {row.speedup_words} at {row.shape.name}, and "
            f"can be {most:.1f}× at most"
        )
    too_low = row.p50_high_ms is not None and row.p50_high_ms < row.p50_ms
    if too_low or not row.speedup_low <= row.speedup <= row.speedup_high:
        return (
            f"an interval without its median: {row.speedup_words}, {row.latency_words} at "
            f"{row.shape.name}"
        )
    return None


def deepest_fast_enough(
    depths: Sequence[int],
    measure: Callable[[int], Sequence[DepthLatency]],
    targets: Targets,
) -> tuple[int, list[DepthLatency]]:
    """Find the deepest model that is significantly fast enough: it is the most accurate of those.

    Latency grows with depth, so the depths are bisected. The worse end of each interval has to
    reach its target, or what ships would miss it by noise every other time.

    Args:
        depths: numbers of layers that may be left.
        measure: one row for each of `targets.shapes`.
        targets: what fast enough is.

    Returns:
        The number of layers, and every row that was measured.

    Raises:
        LatencyError: not even the shallowest is.
    """
    ordered = sorted(set(depths))
    rows: dict[int, Sequence[DepthLatency]] = {}
    fast, slow = 0, len(ordered)  # ordered[:fast] are fast enough, ordered[slow:] are not
    while fast < slow:
        middle = (fast + slow) // 2
        own = rows[ordered[middle]] = measure(ordered[middle])
        fast, slow = (fast, middle) if targets.misses(own, surely=True) else (middle + 1, slow)
    if fast == 0:
        shallowest = ordered[0]
        reached = "; ".join(targets.misses(rows[shallowest], surely=True))
        raise LatencyError(
            f"no depth is fast enough, not even {_layers(shallowest)}: {reached}",
            where=targets.asked_of_time,
            fix="measure again when nothing else runs here"
            if any(row.disturbed for own in rows.values() for row in own)
            else "ask for less than the worse end of what was reached",
        )
    return ordered[fast - 1], [row for own in rows.values() for row in own]


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
