"""How latency is gated elsewhere: milliseconds against a stored number, with five percent room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median


@dataclass(frozen=True)
class Baseline:
    """What the usual ways store: one earlier run of the same artifact on the same idle machine."""

    runs: tuple[float, ...]

    def alarms(self, runs: Sequence[float]) -> dict[str, bool]:
        """Which of them would fail a run, each at +5 %."""
        second, before = _one_second(runs), _one_second(self.runs)
        return {
            "stored median + 5 %": median(runs) > 1.05 * median(self.runs),
            "mean of ten + 5 %": mean(runs[:10]) > 1.05 * mean(self.runs[:10]),
            "pytest-benchmark mean:5%": mean(second) > 1.05 * mean(before),
            "pytest-benchmark min:5%": min(second) > 1.05 * min(before),
        }


def _one_second(runs: Sequence[float]) -> list[float]:
    """The runs that pytest-benchmark takes: a second of them, five at least."""
    taken: list[float] = []
    for run in runs:
        if sum(taken) > 1000 and len(taken) >= 5:
            break
        taken.append(run)
    return taken
