"""How far a training that prunes has to be, and a strength that is steered to it."""

from __future__ import annotations

import math

BEGIN, END = 0.1, 0.7
"""Shares of the updates between which the pruning grows; then what is left is trained on."""

GAIN = 30.0
"""How fast a strength follows: with a tenth too much left it grows e^(0.1 × GAIN) times in as many
updates as there are in all."""


def progress(done: int, total: int) -> float:
    """From 0 to 1 between `BEGIN` and `END` of the updates."""
    return min(1.0, max(0.0, (done / max(1, total) - BEGIN) / (END - BEGIN)))


def cubic(done: int, total: int) -> float:
    """From 0 to 1 likewise, fast at first (Zhu and Gupta, arXiv 1710.01878)."""
    return 1 - (1 - progress(done, total)) ** 3


class Steered:
    """A strength that grows while more is left than the schedule wants, and shrinks after that.

    Args:
        wanted: the share that is left in the end.
        strength: to begin with.
    """

    def __init__(self, wanted: float, strength: float) -> None:
        self.wanted = min(1.0, wanted)
        self.strength = self._first = strength

    def wanted_at(self, done: int, total: int) -> float:
        """The share that is wanted after so many updates."""
        return 1 - (1 - self.wanted) * cubic(done, total)

    def update(self, left: float, done: int, total: int) -> float:
        """Take the share that is left now; the strength from here on."""
        error = left - self.wanted_at(done, total)
        grown = self.strength * math.exp(max(-0.2, min(0.2, GAIN * error / max(1, total))))
        self.strength = min(max(grown, self._first * 1e-3), self._first * 1e6)
        return self.strength
