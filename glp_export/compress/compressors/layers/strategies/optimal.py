"""Every combination of layers: what the greedy choice is an approximation of."""

from __future__ import annotations

from itertools import combinations
from math import comb

from glp_export.compress.compressors.layers.strategies.base import (
    Choice,
    Effort,
    Lot,
    Problem,
    Strategy,
    best,
)
from glp_export.compress.search.race import Heat
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workbench import Workbench


def choose(problem: Problem, bench: Workbench) -> list[Choice]:
    """Score all sets of the wanted size and keep the best; the order within it says nothing."""
    trials = [Trial(gone) for gone in combinations(problem.layers, problem.cuts)]
    tried = bench.outcomes(trials, Heat("all combinations"))
    by_removed = {candidate.removed: candidate for candidate in tried}
    removed = best({gone: candidate.score for gone, candidate in by_removed.items()})
    return [Choice(removed, tried, by_removed[removed])]


def effort(problem: Problem) -> Effort:
    """One training for each combination."""
    return Effort((Lot(comb(len(problem.layers), problem.cuts), gone=problem.cuts),))


OPTIMAL = Strategy(
    "optimal",
    "every combination of layers (the paper's comparison for two cuts)",
    effort,
    choose,
    nested=False,
)
