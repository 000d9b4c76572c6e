"""Greedy-layer Pruning, exactly as Peer et al. 2022 (algorithm 1)."""

from __future__ import annotations

from glp_export.search.strategies.base import Choice, Effort, Problem, Strategy, best
from glp_export.search.trial import Trial
from glp_export.search.workbench import Workbench


def choose(problem: Problem, bench: Workbench) -> list[Choice]:
    """Take away, again and again, the layer whose absence scores best."""
    choices: list[Choice] = []
    gone: tuple[int, ...] = ()
    for _ in range(problem.cuts):
        left = [layer for layer in problem.layers if layer not in gone]
        tried = bench.outcomes([Trial(tuple(sorted((*gone, layer)))) for layer in left])
        by_layer = dict(zip(left, tried, strict=True))
        (layer,) = best({(layer,): candidate.score for layer, candidate in by_layer.items()})
        choices.append(Choice((layer,), tried, by_layer[layer]))
        gone = (*gone, layer)
    return choices


def effort(problem: Problem) -> Effort:
    """L + (L-1) + … + (L-n+1) trainings for L layers and n cuts."""
    trainings = sum(len(problem.layers) - step for step in range(problem.cuts))
    return Effort(trainings, trainings)


GREEDY = Strategy(
    "greedy",
    "the paper's: every candidate fine-tuned from the pretrained weights",
    effort,
    choose,
)
