"""How numbers are written, so that every table and the card write them alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MISSING = "–"


def metric(value: float) -> str:
    """A score, `0.884`."""
    return f"{value:z.3f}".replace("-", "−")


def signed(value: float) -> str:
    """A difference of scores, `+0.012` or `−0.012`."""
    return f"{value:+z.3f}".replace("-", "−")


def span(low: float, high: float, digits: int = 3) -> str:
    """The two ends of an interval, `0.856–0.908`; with words where a minus would blur it."""
    ends = f"{low:z.{digits}f}", f"{high:z.{digits}f}"
    joint = " to " if low < 0 else "–"
    return joint.join(ends).replace("-", "−")


def signed_with_span(value: float, low: float, high: float) -> str:
    """A difference of scores with its interval, `−0.040 (−0.062 to −0.018)`."""
    return f"{signed(value)} ({signed(low)} to {signed(high)})"


def share_with_span(value: float, low: float, high: float) -> str:
    """A share with its interval, `4.2 % (2.7–6.4)`."""
    return f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def milliseconds(value: float) -> str:
    """Three digits that count: `0.82`, `12.3`, `1234`."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """A speedup, `2.31×`."""
    return f"{value:.2f}×"


def ratio_span(low: float, high: float) -> str:
    """The two ends of a speedup's interval, `2.24–2.38`, or `11.0–12.4` from ten upward."""
    return span(low, high, 2 if high < 10 else 1)


def count(number: int) -> str:
    """Parameters, `22.7 M` or `43 k`."""
    return f"{number / 1e6:.1f} M" if number >= 1_000_000 else f"{number / 1e3:.0f} k"


def few(names: Sequence[str], most: int = 8) -> str:
    """The first of many names, `a, b and 998 more`; nothing for none."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


ROUNDING = 1e-9
"""0.95 - 0.94 is a little more than 0.01 in floating point, and no more than it to a person."""


def layers_in_words(number: int) -> str:
    """`6 layers`, `1 layer`."""
    return f"{number} layer{'s' * (number != 1)}"


def threads_in_words(number: int) -> str:
    """`2 threads`, `1 thread`."""
    return f"{number} thread{'s' * (number != 1)}"


def these_layers(numbers: Iterable[int]) -> str:
    """`layer 3`, `layers 0, 2 and 4`."""
    *most, last = map(str, numbers)
    return f"layers {', '.join(most)} and {last}" if most else f"layer {last}"


def megabytes(size: int) -> str:
    """Bytes as MB (10^6), `45.2`; below 10 MB with one digit more."""
    return f"{size / 1e6:.1f}" if size >= 10_000_000 else f"{size / 1e6:.2f}"


def file_size(size: int) -> str:
    """Bytes with the unit that suits them, `1.4 kB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def tiny(value: float | None) -> str:
    """A difference of logits, `1.2e-06`; a dash where none could be computed."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "0" if value == 0 else f"{value:.1e}"


def duration(seconds: float) -> str:
    """`42 s`, `12 min` or `3.4 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
