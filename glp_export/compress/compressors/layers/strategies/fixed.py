"""Rules that look at no score: the comparisons of Sajjad et al. 2023 (arXiv 2004.03844)."""

from __future__ import annotations

from collections.abc import Callable

from glp_export.compress.compressors.layers.strategies.base import (
    Choice,
    Problem,
    Strategy,
)
from glp_export.compress.search.evaluator import Evaluator
from glp_export.compress.search_cost import SearchCost

Layers = tuple[int, ...]
Rule = Callable[[Layers], Layers]
"""From the layers that may go, bottom first, to the order in which they go."""


def top(layers: Layers) -> Layers:
    """From the output downward."""
    return layers[::-1]


def bottom(layers: Layers) -> Layers:
    """From the input upward."""
    return layers


def alternate(layers: Layers) -> Layers:
    """Every other layer from the output downward, then the rest in the same way."""
    return layers[::-1][0::2] + layers[::-1][1::2]


def symmetric(layers: Layers) -> Layers:
    """From the middle outward, so that both ends stay; the upper of two first."""
    middle = (layers[0] + layers[-1]) / 2
    return tuple(sorted(layers, key=lambda layer: (abs(layer - middle), -layer)))


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (top, bottom, alternate, symmetric)}


def order_by_rule(rule: str, problem: Problem) -> Layers:
    """The layers that a rule, a key of `RULES`, removes, in their order."""
    return RULES[rule](problem.layers)[: problem.cuts]


def _strategy(rule: str, summary: str) -> Strategy:
    def choose(problem: Problem, evaluator: Evaluator) -> list[Choice]:
        return [Choice((layer,)) for layer in order_by_rule(rule, problem)]

    return Strategy(rule, summary, lambda problem: SearchCost(), choose)


TOP = _strategy("top", "drop the top layers, no training")
BOTTOM = _strategy("bottom", "drop the bottom layers, no training")
ALTERNATE = _strategy("alternate", "drop every other layer from the top, no training")
SYMMETRIC = _strategy("symmetric", "drop the middle layers, no training")
