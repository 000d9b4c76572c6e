"""The ways to choose layers, one file each; a new one is a file and a row in `STRATEGIES`."""

from glp_export.compress.compressors.layers.strategies.base import (
    Choice,
    Problem,
    Strategy,
    best,
)
from glp_export.compress.compressors.layers.strategies.fast_greedy import FAST_GREEDY
from glp_export.compress.compressors.layers.strategies.fixed import (
    ALTERNATE,
    BOTTOM,
    RULES,
    SYMMETRIC,
    TOP,
    order_by_rule,
)
from glp_export.compress.compressors.layers.strategies.greedy import GREEDY
from glp_export.compress.compressors.layers.strategies.optimal import OPTIMAL

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (FAST_GREEDY, GREEDY, TOP, BOTTOM, ALTERNATE, SYMMETRIC, OPTIMAL)
}

__all__ = [
    "RULES",
    "STRATEGIES",
    "Choice",
    "Problem",
    "Strategy",
    "best",
    "order_by_rule",
]
