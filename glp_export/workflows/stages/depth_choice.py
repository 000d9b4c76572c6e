"""Which depth is fast enough, with as few depths measured as can be.

Pure logic: how a depth is measured comes in as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glp_export.config.targets import DepthLatency, Targets
from glp_export.core.errors import LatencyError


def deepest_fast_enough(
    depths: Sequence[int],
    measure: Callable[[int], Sequence[DepthLatency]],
    targets: Targets,
) -> tuple[int, list[DepthLatency]]:
    """Find the deepest model that is surely fast enough: it is the most accurate of those.

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
            fix="ask for less than the worse end of what was reached",
        )
    return ordered[fast - 1], [row for own in rows.values() for row in own]


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
