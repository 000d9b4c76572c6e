"""Greedy pruning from the fine-tuned model, with short lessons instead of whole trainings.

Every candidate inherits the layers of one fine-tuned teacher, is taught by it for a few steps, and
is judged by how near its answers come to the teacher's: a number that moves smoothly where a
metric on a few hundred examples jumps. Those that cannot be told from the best get a longer
lesson; the others cost no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from glp_export.search.confidence import probability_nearer
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
    """Take away, again and again, the layer without which the answers change least."""
    choices: list[Choice] = []
    gone: Removed = ()
    for _ in range(problem.cuts):
        candidates = [tuple(sorted((*gone, one))) for one in problem.layers if one not in gone]
        choices.append(_choose_one(gone, candidates, bench))
        gone = tuple(sorted((*gone, *choices[-1].removed)))
    return choices


def _choose_one(gone: Removed, candidates: Sequence[Removed], bench: Workbench) -> Choice:
    tried = _teach(candidates, FIRST_LESSON, bench)
    finalists = [tried[0], *(one for one in tried[1:FINALISTS] if _close(tried[0], one, bench))]
    ranked = tried
    if len(finalists) > 1:
        ranked = _teach([one.removed for one in finalists], SECOND_LESSON, bench)
        tried = [*ranked, *tried]
    winner = ranked[0]
    removed = tuple(set(winner.removed) - set(gone))
    if len(ranked) == 1:
        return Choice(removed, tried, winner)
    runner_up = ranked[1]
    return Choice(
        removed,
        tried,
        winner,
        lead=_distance(runner_up) - _distance(winner),
        probability=_surely_nearer(winner, runner_up, bench),
    )


def _teach(candidates: Sequence[Removed], examples: int, bench: Workbench) -> list[Candidate]:
    """Teach each candidate for so many examples; the nearest to the teacher comes first."""
    share = min(1.0, examples / bench.whole)
    tried = bench.outcomes([Trial(removed, share) for removed in candidates])
    return sorted(tried, key=lambda one: (_distance(one), tuple(-layer for layer in one.removed)))


def _close(leader: Candidate, other: Candidate, bench: Workbench) -> bool:
    return _surely_nearer(leader, other, bench) < SURE


def _surely_nearer(one: Candidate, other: Candidate, bench: Workbench) -> float:
    return probability_nearer(bench.distances(one.trial), bench.distances(other.trial))


def _distance(candidate: Candidate) -> float:
    return inf if candidate.distance is None else candidate.distance


def effort(problem: Problem) -> Effort:
    """The teacher, a first lesson for every candidate, a second one for the finalists."""
    firsts = sum(len(problem.layers) - step for step in range(problem.cuts))
    return Effort(firsts + FINALISTS * problem.cuts, 1.0)


FAST_GREEDY = Strategy(
    "fast-greedy",
    "from the fine-tuned model, with short lessons; longer ones where candidates are close",
    effort,
    choose,
    needs_teacher=True,
)
