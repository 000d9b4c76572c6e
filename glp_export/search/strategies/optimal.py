"""Every combination of layers: what the greedy choice is an approximation of."""

from __future__ import annotations

from itertools import combinations
from math import comb

from glp_export.search.strategies.base import Choice, Problem, ScoreAll, Strategy, best


def choose(problem: Problem, score_all: ScoreAll) -> list[Choice]:
    """Score all sets of the wanted size and keep the best; the order within it says nothing."""
    candidates = list(combinations(problem.layers, problem.cuts))
    scores = dict(zip(candidates, score_all(candidates), strict=True))
    return [Choice(best(scores), scores)]


OPTIMAL = Strategy(
    "optimal",
    "every combination of layers (the paper's comparison for two cuts)",
    lambda problem: comb(len(problem.layers), problem.cuts),
    choose,
)
