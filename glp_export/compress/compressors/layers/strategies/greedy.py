"""Greedy-layer Pruning, exactly as Peer et al. 2022 (algorithm 1)."""

from __future__ import annotations

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
    """Take away, again and again, the layer whose absence scores best."""
    choices: list[Choice] = []
    gone: tuple[int, ...] = ()
    for step in range(problem.cuts):
        left = [layer for layer in problem.layers if layer not in gone]
        trials = [Trial(tuple(sorted((*gone, layer)))) for layer in left]
        tried = bench.outcomes(trials, Heat(f"step {step + 1} of {problem.cuts}", gone))
        by_layer = dict(zip(left, tried, strict=True))
        (layer,) = best({(layer,): candidate.score for layer, candidate in by_layer.items()})
        choices.append(Choice((layer,), tried, by_layer[layer]))
        gone = (*gone, layer)
    return choices


def effort(problem: Problem) -> Effort:
    """L + (L-1) + … + (L-n+1) trainings for L layers and n cuts."""
    return Effort(
        tuple(Lot(len(problem.layers) - step, gone=step + 1) for step in range(problem.cuts))
    )


GREEDY = Strategy(
    "greedy",
    "the paper's: every candidate fine-tuned from the pretrained weights",
    effort,
    choose,
)
