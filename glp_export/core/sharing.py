"""Whether other processes used the machine while something was measured."""

from __future__ import annotations

import os
import time

from glp_export.core.machine import usable_cores

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


def sharing_notes(others: float, wall: float, effect: str = TOO_HIGH) -> tuple[str, ...]:
    """A sentence if others used more than a tenth of a core over `wall` seconds, else nothing.

    Args:
        others: CPU seconds of other processes.
        wall: seconds in all.
        effect: what that does to what was measured, and what to do.
    """
    share = others / wall if wall > 0 else 0.0
    if share <= SHARED:
        return ()
    return (f"other processes used {share:.1f} cores while measuring: {effect}",)


class SharingMonitor:
    """Watches from its making whether others use the machine."""

    def __init__(self) -> None:
        self._start, self._others = time.monotonic(), cpu_seconds_of_others()

    def notes(self, effect: str = TOO_HIGH) -> tuple[str, ...]:
        """A sentence if others used more than a tenth of a core until now, else nothing."""
        return sharing_notes(self._spent(), time.monotonic() - self._start, effect)

    def words(self) -> str:
        """`busy: others use 1.3 of 2 cores`, or `idle`, from its making until now."""
        share = self._spent() / max(time.monotonic() - self._start, 1e-9)
        if share <= SHARED:
            return "idle"
        return f"busy: others use {share:.1f} of {usable_cores()} cores; an idle one is faster"

    def _spent(self) -> float:
        """CPU seconds of others until now."""
        return cpu_seconds_of_others() - self._others
