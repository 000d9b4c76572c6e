"""Greedy-layer Pruning, exactly as Peer et al. 2022 (algorithm 1)."""

from __future__ import annotations

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
    """Take away, again and again, the layer whose absence scores best."""
    choices: list[Choice] = []
    removed: tuple[int, ...] = ()
    for step in range(problem.cuts):
        left = [layer for layer in problem.layers if layer not in removed]
        trials = [Trial(tuple(sorted((*removed, layer)))) for layer in left]
        tried = evaluator.outcomes(
            trials, TrialBatch(f"step {step + 1} of {problem.cuts}", removed)
        )
        by_layer = dict(zip(left, tried, strict=True))
        (layer,) = best({(layer,): candidate.score for layer, candidate in by_layer.items()})
        choices.append(Choice((layer,), tried, by_layer[layer]))
        removed = (*removed, layer)
    return choices


def search_cost(problem: Problem) -> SearchCost:
    """L + (L-1) + … + (L-n+1) trainings for L layers and n cuts."""
    return SearchCost(
        tuple(
            TrialGroup(len(problem.layers) - step, removed=step + 1) for step in range(problem.cuts)
        )
    )


GREEDY = Strategy(
    "greedy",
    "the paper's: every candidate fine-tuned from the pretrained weights",
    search_cost,
    choose,
)
