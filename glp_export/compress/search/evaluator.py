"""What a strategy works with: it asks for trials and comparisons, and knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.plan import Candidate
from glp_export.compress.search.comparison import Comparison, TrialBatch
from glp_export.compress.search.context import PROBE_ROWS, TrialContext
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.trial_log import TrialLog
from glp_export.compress.search.workers import RunTrials
from glp_export.core.progress import Meter

SCORING = 1 / 3
"""An example that is only scored costs a third of one that is trained on: no backward pass."""

UNTITLED = TrialBatch()


class Evaluator(Protocol):
    """What strategies ask for."""

    def outcomes(self, trials: Sequence[Trial], batch: TrialBatch = UNTITLED) -> list[Candidate]:
        """Carry out trials that do not depend on one another; known ones cost nothing.

        Args:
            trials: that are compared with one another.
            batch: what they are compared for, for those who watch.
        """

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """The refitted head's loss (rows,) of a known candidate, on the examples all share."""


@dataclass
class TrialEvaluator:
    """The evaluator of a real search: trials go to workers, and each outcome into the journal.

    Attributes:
        run_trial: what `Workers.open` gave for this ground.
        num_layers: of the unpruned model.
        meter: shows every candidate, known or new, and of where each comparison stands.
        asked: all that was asked for, in that order: what the search's cost is counted from.
    """

    context: TrialContext
    run_trial: RunTrials
    trial_log: TrialLog
    num_layers: int
    meter: Meter = field(default_factory=Meter)
    asked: dict[Trial, Candidate] = field(default_factory=dict)

    def outcomes(self, trials: Sequence[Trial], batch: TrialBatch = UNTITLED) -> list[Candidate]:
        """Carry out those trials that the journal does not know."""
        comparison = Comparison(batch, len(trials), self.num_layers, self.context.task.metric)
        unknown = [trial for trial in trials if self.trial_log.get(trial) is None]
        for trial in trials:
            if trial not in unknown:
                self._tell(comparison, self.trial_log.known(trial), known=True)
        if unknown:
            with closing(self.run_trial(unknown)) as outcomes:
                for outcome in outcomes:
                    self.trial_log.add(outcome.candidate, outcome.logits, outcome.losses)
                    self._tell(comparison, outcome.candidate)
        return [self._asked(trial) for trial in trials]

    @property
    def scored(self) -> int:
        """Examples that each candidate is scored on: dev, and those its head is fitted to."""
        refitted = min(PROBE_ROWS, len(self.context.inputs.examples)) if self.context.refit else 0
        return len(self.context.select) + refitted

    def work(self, removed: int, examples: int | None) -> float:
        """What a candidate costs that lacks so many layers, in training examples times layers.

        Args:
            removed: layers that it lacks.
            examples: that it is trained on; None for a whole training.
        """
        trained = self.context.whole if examples is None else examples
        return (self.num_layers - removed) * (trained + SCORING * self.scored)

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """From the journal."""
        return self.trial_log.losses(trial)

    def _tell(self, comparison: Comparison, candidate: Candidate, *, known: bool = False) -> None:
        words = f"loss {candidate.loss:.4f}, " if candidate.loss is not None else ""
        self.meter.advance(
            f"without {'+'.join(map(str, candidate.removed))}: {words}"
            f"{comparison.metric} {candidate.score:.3f}, "
            f"{'known before' if known else f'{candidate.seconds:.1f} s'}",
            cost=self.work(len(candidate.removed), candidate.examples),
            known=known,
        )
        if comparison.batch.title:
            losses = None if candidate.loss is None else self.losses(candidate.trial)
            self.meter.show(comparison.add(candidate, losses))

    def _asked(self, trial: Trial) -> Candidate:
        candidate = self.trial_log.known(trial)
        self.asked[trial] = candidate
        return candidate
