"""Greedy pruning from the fine-tuned model, by refitted heads, and lessons where they are needed.

Every candidate inherits the layers of one fine-tuned teacher and is judged by what a fresh linear
head makes of its features: the loss of a few hundred examples moves smoothly where a metric jumps,
and a head that was trained behind the missing layer would mislead (benchmarks/search_evidence.py
measures how much). That needs no training. Only candidates that cannot be told
from the best get a lesson from the teacher, and are judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from glp_export.search.confidence import probability_smaller
from glp_export.search.plan import Candidate
from glp_export.search.strategies.base import Choice, Effort, Problem, Strategy
from glp_export.search.trial import Removed, Trial
from glp_export.search.workbench import Workbench


@dataclass(frozen=True)
class FastGreedy:
    """The procedure, and what it is generous with.

    Attributes:
        first_lesson: training examples that every candidate is taught from; 0 for none.
        second_lesson: those of the finalists, once for each of the problem's seeds.
        finalists: candidates that get the second lesson, at most; 1 for none.
        sure: a candidate that is worse with this probability is no finalist.
    """

    first_lesson: int = 0
    second_lesson: int = 768
    finalists: int = 2
    sure: float = 0.95

    def choose(self, problem: Problem, bench: Workbench) -> list[Choice]:
        """Take away, again and again, the layer without which a fresh head does best."""
        choices: list[Choice] = []
        gone: Removed = ()
        for _ in range(problem.cuts):
            left = [tuple(sorted((*gone, one))) for one in problem.layers if one not in gone]
            choices.append(self._choose_one(gone, left, problem.seeds, bench))
            gone = tuple(sorted((*gone, *choices[-1].removed)))
        return choices

    def effort(self, problem: Problem) -> Effort:
        """The teacher, a look at every candidate, and a lesson for the finalists."""
        firsts = sum(len(problem.layers) - step for step in range(problem.cuts))
        seconds = self.finalists * problem.seeds * problem.cuts if self.finalists > 1 else 0
        lessons = firsts * self.first_lesson + seconds * self.second_lesson
        return Effort(firsts + seconds, trainings=1, examples=lessons)

    def _choose_one(
        self, gone: Removed, candidates: Sequence[Removed], seeds: int, bench: Workbench
    ) -> Choice:
        ranked = _teach(candidates, self.first_lesson, 1, bench)
        tried = [one for taught in ranked for one in taught.candidates]
        first = ranked[0]
        rivals = [one for one in ranked[1 : self.finalists] if first.surely(one) < self.sure]
        if rivals:
            finalists = [one.removed for one in (first, *rivals)]
            ranked = _teach(finalists, self.second_lesson, seeds, bench)
            tried = [one for taught in ranked for one in taught.candidates] + tried
        removed = tuple(set(ranked[0].removed) - set(gone))
        winner = ranked[0].candidates[0]
        if len(ranked) == 1:
            return Choice(removed, tried, winner)
        lead = ranked[1].loss - ranked[0].loss
        return Choice(removed, tried, winner, lead, ranked[0].surely(ranked[1]))


@dataclass(frozen=True)
class _Taught:
    """One set of layers gone, taught with one or several seeds.

    Attributes:
        losses: mean over the seeds of each example's loss, (rows,); None if a training diverged.
    """

    removed: Removed
    candidates: tuple[Candidate, ...]
    losses: NDArray[np.float32] | None

    @property
    def loss(self) -> float:
        return inf if self.losses is None else float(self.losses.mean())

    def surely(self, other: _Taught) -> float:
        """How surely this one is the better of two."""
        if self.losses is None or other.losses is None:
            return 1.0
        return probability_smaller(self.losses, other.losses)


def _teach(
    candidates: Sequence[Removed], examples: int, seeds: int, bench: Workbench
) -> list[_Taught]:
    """Teach each candidate from so many examples; the best comes first, the highest on a tie."""
    trials = [Trial(gone, examples, seed) for gone in candidates for seed in range(seeds)]
    outcomes = dict(zip(trials, bench.outcomes(trials), strict=True))
    taught = []
    for gone in candidates:
        own = {trial: one for trial, one in outcomes.items() if trial.removed == gone}
        diverged = any(one.loss is None for one in own.values())
        losses = None if diverged else np.mean([bench.losses(trial) for trial in own], axis=0)
        taught.append(_Taught(gone, tuple(own.values()), losses))
    return sorted(taught, key=lambda one: (one.loss, tuple(-layer for layer in one.removed)))


_DEFAULT = FastGreedy()

FAST_GREEDY = Strategy(
    "fast-greedy",
    "from the fine-tuned model, by refitted heads; short lessons where candidates are close",
    _DEFAULT.effort,
    _DEFAULT.choose,
    needs_teacher=True,
)
