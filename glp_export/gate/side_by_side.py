"""Two contenders in turns, round after round, for as long as somebody wants more."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from glp_export.bench.runtimes import open_contender
from glp_export.bench.timing import Timing, Turns, warm_up
from glp_export.gate.sequential import is_stationary

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender
    from glp_export.bench.shapes import Workload

_WARM_UP_TURNS = 20


@dataclass(frozen=True)
class Round:
    """One turn of each, milliseconds of every counted run."""

    reference: tuple[float, ...]
    own: tuple[float, ...]

    @property
    def speedup(self) -> float:
        """How many times faster the one is than the reference, median over median."""
        return median(self.reference) / median(self.own)


class SideBySide:
    """Two contenders that are loaded once and timed on any number of workloads.

    Args:
        reference: what the other is compared with.
        own: what is asked about.

    Raises:
        DeviceError: a provider is missing or fell back.
        ModelError: a contender cannot be loaded.
    """

    def __init__(self, reference: Contender, own: Contender) -> None:
        self._contenders = (reference, own)
        self._timing = Timing().for_contenders(self._contenders)
        self._runners = [open_contender(contender) for contender in self._contenders]

    def rounds(self, workload: Workload, *, warm_up_seconds: float) -> Iterator[Round]:
        """Rounds without end, once both contenders take as long as they just did.

        Who goes first is drawn anew in every round. The warm-up ends after `warm_up_seconds` or
        20 turns in any case; on a noisy machine nothing is ever stationary.
        """
        turns = [
            Turns(runner, workload.batches_of(contender.contender), self._timing)
            for contender, runner in zip(self._contenders, self._runners, strict=True)
        ]
        dropped, runs = warm_up(turns, self._timing)
        order = random.Random(f"{self._timing.seed} {workload.shape.name}")
        start, number = time.perf_counter(), 0
        while number < _WARM_UP_TURNS and time.perf_counter() - start < warm_up_seconds:
            _one_round(turns, order, number, dropped, runs)
            number += 1
            if all(is_stationary([median(block) for block in turn.blocks]) for turn in turns):
                break
        while True:
            _one_round(turns, order, number, dropped, runs)
            number += 1
            yield Round(*(turn.blocks[-1] for turn in turns))


def _one_round(
    turns: list[Turns], order: random.Random, number: int, dropped: int, runs: int
) -> None:
    for turn in order.sample(turns, len(turns)):
        turn.take(number, dropped, runs)
