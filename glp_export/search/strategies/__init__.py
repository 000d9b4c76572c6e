"""The ways to choose layers, one file each; a new one is a file and a row in `STRATEGIES`."""

from glp_export.search.strategies.base import Choice, Problem, Removed, ScoreAll, Strategy, best
from glp_export.search.strategies.fixed import ALTERNATE, BOTTOM, SYMMETRIC, TOP
from glp_export.search.strategies.greedy import GREEDY
from glp_export.search.strategies.optimal import OPTIMAL

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (GREEDY, TOP, BOTTOM, ALTERNATE, SYMMETRIC, OPTIMAL)
}

__all__ = ["STRATEGIES", "Choice", "Problem", "Removed", "ScoreAll", "Strategy", "best"]
