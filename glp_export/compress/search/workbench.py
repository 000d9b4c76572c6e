"""What a strategy works with: it asks for trials and comparisons, and knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.plan import Candidate
from glp_export.compress.search.ground import PROBE_ROWS, Ground
from glp_export.compress.search.race import Heat, Race
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.trial_log import Journal
from glp_export.compress.search.workers import CarryOut
from glp_export.core.progress import Meter

SCORING = 1 / 3
"""An example that is only scored costs a third of one that is taught: no way back."""

UNWATCHED = Heat()


class Workbench(Protocol):
    """What strategies ask for."""

    def outcomes(self, trials: Sequence[Trial], heat: Heat = UNWATCHED) -> list[Candidate]:
        """Carry out trials that do not depend on one another; known ones cost nothing.

        Args:
            trials: that are compared with one another.
            heat: what they are compared for, for those who watch.
        """

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """The refitted head's loss (rows,) of a known candidate, on the examples all share."""


@dataclass
class TrialBench:
    """The workbench of a real search: trials go to workers, and each outcome into the journal.

    Attributes:
        carry_out: what `Workers.open` gave for this ground.
        num_layers: of the unpruned model.
        meter: told of every candidate, known or new, and of where each comparison stands.
        asked: all that was asked for, in that order: what the search's cost is counted from.
    """

    ground: Ground
    carry_out: CarryOut
    journal: Journal
    num_layers: int
    meter: Meter = field(default_factory=Meter)
    asked: dict[Trial, Candidate] = field(default_factory=dict)

    def outcomes(self, trials: Sequence[Trial], heat: Heat = UNWATCHED) -> list[Candidate]:
        """Carry out those trials that the journal does not know."""
        race = Race(heat, len(trials), self.num_layers, self.ground.task.metric)
        unknown = [trial for trial in trials if self.journal.get(trial) is None]
        for trial in trials:
            if trial not in unknown:
                self._tell(race, self.journal.known(trial), known=True)
        if unknown:
            with closing(self.carry_out(unknown)) as outcomes:
                for outcome in outcomes:
                    self.journal.add(outcome.candidate, outcome.logits, outcome.losses)
                    self._tell(race, outcome.candidate)
        return [self._asked(trial) for trial in trials]

    @property
    def scored(self) -> int:
        """Examples that each candidate is scored on: `select`, and those its head is fitted to."""
        refitted = min(PROBE_ROWS, len(self.ground.lesson.examples)) if self.ground.refit else 0
        return len(self.ground.select) + refitted

    def work(self, gone: int, examples: int | None) -> float:
        """What a candidate costs that lacks so many layers, in examples taught times layers.

        Args:
            gone: layers that it lacks.
            examples: that it is taught from; None for the whole teaching.
        """
        taught = self.ground.whole if examples is None else examples
        return (self.num_layers - gone) * (taught + SCORING * self.scored)

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """From the journal."""
        return self.journal.losses(trial)

    def _tell(self, race: Race, candidate: Candidate, *, known: bool = False) -> None:
        words = f"loss {candidate.loss:.4f}, " if candidate.loss is not None else ""
        self.meter.advance(
            f"without {'+'.join(map(str, candidate.removed))}: {words}"
            f"{race.metric} {candidate.score:.3f}, "
            f"{'known before' if known else f'{candidate.seconds:.1f} s'}",
            cost=self.work(len(candidate.removed), candidate.examples),
            known=known,
        )
        if race.heat.title:
            losses = None if candidate.loss is None else self.losses(candidate.trial)
            self.meter.show(race.add(candidate, losses))

    def _asked(self, trial: Trial) -> Candidate:
        candidate = self.journal.known(trial)
        self.asked[trial] = candidate
        return candidate
