"""What a strategy works with: it asks for trials and comparisons, and knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glp_export.search.ground import Ground
from glp_export.search.journal import Journal
from glp_export.search.plan import Candidate
from glp_export.search.trial import Trial
from glp_export.search.workers import CarryOut

Announce = Callable[[Candidate], None]


class Workbench(Protocol):
    """What strategies ask for."""

    def outcomes(self, trials: Sequence[Trial]) -> list[Candidate]:
        """Carry out trials that do not depend on one another; known ones cost nothing."""

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """The refitted head's loss (rows,) of a known candidate, on the examples all share."""


@dataclass
class TrialBench:
    """The workbench of a real search: trials go to workers, and each outcome into the journal.

    Attributes:
        carry_out: what `Workers.open` gave for this ground.
        announce: told of every candidate, known or new.
        asked: all that was asked for, in that order: what the search's cost is counted from.
    """

    ground: Ground
    carry_out: CarryOut
    journal: Journal
    announce: Announce = lambda candidate: None
    asked: dict[Trial, Candidate] = field(default_factory=dict)

    def outcomes(self, trials: Sequence[Trial]) -> list[Candidate]:
        """Carry out those trials that the journal does not know."""
        unknown = [trial for trial in trials if self.journal.get(trial) is None]
        for trial in trials:
            if trial not in unknown:
                self.announce(self.journal.known(trial))
        if unknown:
            with closing(self.carry_out(unknown)) as outcomes:
                for outcome in outcomes:
                    self.journal.add(outcome.candidate, outcome.logits, outcome.losses)
                    self.announce(outcome.candidate)
        return [self._asked(trial) for trial in trials]

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """From the journal."""
        return self.journal.losses(trial)

    def _asked(self, trial: Trial) -> Candidate:
        candidate = self.journal.known(trial)
        self.asked[trial] = candidate
        return candidate
