"""A measurement as a meter shows it: what comes before the shapes, then shape after shape."""

from __future__ import annotations

from collections.abc import Callable

from glp_export.core.progress import Meter

BEFORE = ("measure memory", "load the contenders")
"""Parts of a measurement that take as long as they take."""


def watch(meter: Meter, shapes: int, seconds: float) -> Callable[[str, int, int], None]:
    """What a measurement reports to.

    Every shape is given the same seconds at least, so each counts as one unit, and while the
    contenders are loaded it is known how long the shapes will take at least.

    Args:
        meter: of the stage.
        shapes: how many there are.
        seconds: least time of each.
    """
    parts: list[str] = []

    def report(part: str, done: int, total: int) -> None:
        if part not in parts:
            parts.append(part)
            if part in BEFORE:
                meter.begin(total, later=shapes * seconds)
            elif sum(name not in BEFORE for name in parts) == 1:
                meter.begin(shapes)
        if part in BEFORE:
            meter.update(done, total, part)
            return
        number = sum(name not in BEFORE for name in parts) - 1
        note = f"{part}, round {done} of {total}"
        meter.update(number + done / max(total, 1), shapes, note)

    return report
