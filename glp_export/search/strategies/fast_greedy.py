"""Greedy pruning from the fine-tuned model, by short lessons and a refitted head.

Every candidate inherits the layers of one fine-tuned teacher, gets a short lesson from it, and is
judged by what a fresh linear head makes of its features: the loss of a few hundred examples moves
smoothly where a metric jumps, and a head that was trained behind the missing layer would mislead
(benchmarks/results/search_evidence.md). Candidates that cannot be told from the best get a longer
lesson; the others cost no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from glp_export.search.confidence import probability_smaller
from glp_export.search.plan import Candidate
from glp_export.search.strategies.base import Choice, Effort, Problem, Strategy
from glp_export.search.trial import Removed, Trial
from glp_export.search.workbench import Workbench

FIRST_LESSON, SECOND_LESSON = 256, 768
"""Training examples of the lesson that every candidate gets, and of the one for the best."""

FINALISTS = 2
"""Candidates that get the second lesson, at most."""

SURE = 0.95
"""A candidate that is worse with this probability gets no second lesson."""


def choose(problem: Problem, bench: Workbench) -> list[Choice]:
    """Take away, again and again, the layer without which a fresh head does best."""
    choices: list[Choice] = []
    gone: Removed = ()
    for _ in range(problem.cuts):
        candidates = [tuple(sorted((*gone, one))) for one in problem.layers if one not in gone]
        choices.append(_choose_one(gone, candidates, bench))
        gone = tuple(sorted((*gone, *choices[-1].removed)))
    return choices


def _choose_one(gone: Removed, candidates: Sequence[Removed], bench: Workbench) -> Choice:
    tried = ranked = _teach(candidates, FIRST_LESSON, bench)
    rivals = [one for one in tried[1:FINALISTS] if _surely(tried[0], one, bench) < SURE]
    if rivals:
        ranked = _teach([one.removed for one in (tried[0], *rivals)], SECOND_LESSON, bench)
        tried = [*ranked, *tried]
    removed = tuple(set(ranked[0].removed) - set(gone))
    if len(ranked) == 1:
        return Choice(removed, tried, ranked[0])
    winner, runner_up = ranked[:2]
    lead, probability = _loss(runner_up) - _loss(winner), _surely(winner, runner_up, bench)
    return Choice(removed, tried, winner, lead, probability)


def _teach(candidates: Sequence[Removed], examples: int, bench: Workbench) -> list[Candidate]:
    """Teach each candidate from so many examples; the best comes first."""
    tried = bench.outcomes([Trial(removed, examples) for removed in candidates])
    return sorted(tried, key=lambda one: (_loss(one), tuple(-layer for layer in one.removed)))


def _surely(one: Candidate, other: Candidate, bench: Workbench) -> float:
    """How surely the first of two is better; a candidate that diverged has no loss."""
    if one.loss is None or other.loss is None:
        return 1.0
    return probability_smaller(bench.losses(one.trial), bench.losses(other.trial))


def _loss(candidate: Candidate) -> float:
    return inf if candidate.loss is None else candidate.loss


def effort(problem: Problem) -> Effort:
    """The teacher, a first lesson for every candidate, a second one for the finalists."""
    firsts = sum(len(problem.layers) - step for step in range(problem.cuts))
    return Effort(firsts + FINALISTS * problem.cuts, 1.0)


FAST_GREEDY = Strategy(
    "fast-greedy",
    "from the fine-tuned model, by short lessons; longer ones where candidates are close",
    effort,
    choose,
    needs_teacher=True,
)
