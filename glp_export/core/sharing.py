"""Whether other processes used the machine while something was measured."""

from __future__ import annotations

import os
import time

SHARED = 0.1
"""Cores that others may use during a measurement; the kernel and a monitor use less."""


def cpu_seconds_of_others() -> float:
    """CPU time, in seconds since boot, that every process but this one and its children used.

    The difference of two readings says whether a measurement in between had the machine to
    itself.
    """
    import psutil

    spent = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq", "steal")  # guest time is within user
    busy = sum(getattr(spent, kind, 0.0) for kind in kinds)
    own = os.times()
    return float(busy - own.user - own.system - own.children_user - own.children_system)


TOO_HIGH = (
    "latencies are too high, PyTorch's more than ONNX Runtime's; measure again on an idle machine"
)


class SharingMonitor:
    """Watches from its making whether others use the machine."""

    def __init__(self) -> None:
        self._start, self._others = time.monotonic(), cpu_seconds_of_others()

    @property
    def seconds(self) -> float:
        """From its making until now."""
        return max(time.monotonic() - self._start, 1e-9)

    @property
    def share(self) -> float:
        """Cores that others used meanwhile; 0 for so few that they disturb nothing."""
        share = (cpu_seconds_of_others() - self._others) / self.seconds
        return share if share > SHARED else 0.0

    def notes(self, effect: str = TOO_HIGH) -> tuple[str, ...]:
        """A sentence if others used more than a tenth of a core until now, else nothing.

        Args:
            effect: what that does to what was measured, and what to do.
        """
        share = self.share
        if not share:
            return ()
        return (f"other processes used {share:.1f} cores while measuring: {effect}",)

    def words(self) -> str:
        """`busy: others use 1.3 of the machine's 2 cores`, or `idle`, from its making until now."""
        share = self.share
        if not share:
            return "idle"
        cores = os.cpu_count()  # all of them, as the share is: this process may have few
        return f"busy: others use {share:.1f} of the machine's {cores} cores; an idle one is faster"
