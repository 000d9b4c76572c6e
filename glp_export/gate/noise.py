"""What makes a measurement doubtful: others on the machine, a throttled CPU, a drifting clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from glp_export.core.sharing import SharingMonitor

_DRIFT = 1.15
"""Times by which the reference itself may change from the first third to the last."""

_SLOWED = 1.3
"""Times by which the reference may be slower than it was on the same kind of machine."""

_CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")


class NoiseMonitor:
    """Looks at the machine from its making until it is asked."""

    def __init__(self) -> None:
        self._sharing, self._throttled = SharingMonitor(), throttled_seconds()

    def results(self, reference: Sequence[float] = ()) -> tuple[str, ...]:
        """What disturbed the measurement, in sentences; () where nothing did.

        Args:
            reference: latencies of one and the same model, in order.
        """
        seconds, share = self._sharing.seconds, self._sharing.share
        throttled = throttled_seconds() - self._throttled
        found = []
        if share:
            found.append(f"other processes used {share:.1f} cores meanwhile")
        if throttled > 0:
            found.append(
                f"the container's CPU quota stopped it for {throttled:.1f} of {seconds:.0f} s"
            )
        return (*found, *drift(reference))


def drift(reference: Sequence[float]) -> tuple[str, ...]:
    """A sentence if one and the same model became slower or faster meanwhile, else nothing."""
    third = len(reference) // 3
    if third < 3:
        return ()
    change = median(reference[-third:]) / median(reference[:third])
    if 1 / _DRIFT <= change <= _DRIFT:
        return ()
    way = "slower: a throttling CPU or a neighbour" if change > 1 else "faster: it warmed up late"
    return (f"the reference itself became {max(change, 1 / change):.2f} times {way}",)


def slowdown(reference: Sequence[float], recorded: float | None) -> float:
    """Times by which a model is slower than it once was on such a machine; 1 where it hardly is.

    Args:
        reference: latencies of one and the same model.
        recorded: its median then; None where that is not known.
    """
    if recorded is None or not reference:
        return 1.0
    times = median(reference) / recorded
    return times if times > _SLOWED else 1.0


def throttled_seconds(path: Path = _CPU_STAT) -> float:
    """Seconds that the cgroup's CPU quota has stopped this container; 0 without one."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0.0
    values = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return int(values.get("throttled_usec", 0)) / 1e6
