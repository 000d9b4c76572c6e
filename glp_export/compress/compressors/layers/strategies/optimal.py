"""Every combination of layers: what the greedy choice is an approximation of."""

from __future__ import annotations

from itertools import combinations
from math import comb

from glp_export.compress.compressors.layers.strategies.base import (
    Choice,
    Problem,
    Strategy,
    best,
)
from glp_export.compress.search.comparison import TrialBatch
from glp_export.compress.search.evaluator import Evaluator
from glp_export.compress.search.trial import Trial
from glp_export.compress.search_cost import SearchCost, TrialGroup


def choose(problem: Problem, evaluator: Evaluator) -> list[Choice]:
    """Score all sets of the wanted size and keep the best; the order within it says nothing."""
    trials = [Trial(removed) for removed in combinations(problem.layers, problem.cuts)]
    tried = evaluator.outcomes(trials, TrialBatch("all combinations"))
    by_removed = {candidate.removed: candidate for candidate in tried}
    removed = best({removed: candidate.score for removed, candidate in by_removed.items()})
    return [Choice(removed, tried, by_removed[removed])]


def search_cost(problem: Problem) -> SearchCost:
    """One training for each combination."""
    return SearchCost((TrialGroup(comb(len(problem.layers), problem.cuts), removed=problem.cuts),))


OPTIMAL = Strategy(
    "optimal",
    "every combination of layers (the paper's comparison for two cuts)",
    search_cost,
    choose,
    nested=False,
)
