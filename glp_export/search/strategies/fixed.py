"""Rules that look at no score: the comparisons of Sajjad et al. 2023 (arXiv 2004.03844)."""

from __future__ import annotations

from collections.abc import Callable

from glp_export.search.strategies.base import Choice, Effort, Problem, Strategy
from glp_export.search.workbench import Workbench

Layers = tuple[int, ...]


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


def _rule(order: Callable[[Layers], Layers], summary: str) -> Strategy:
    def choose(problem: Problem, bench: Workbench) -> list[Choice]:
        return [Choice((layer,)) for layer in order(problem.layers)[: problem.cuts]]

    return Strategy(order.__name__, summary, lambda problem: Effort(), choose)


TOP = _rule(top, "drop the top layers, no training")
BOTTOM = _rule(bottom, "drop the bottom layers, no training")
ALTERNATE = _rule(alternate, "drop every other layer from the top, no training")
SYMMETRIC = _rule(symmetric, "drop the middle layers, no training")
