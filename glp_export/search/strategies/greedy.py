"""Greedy-layer Pruning, exactly as Peer et al. 2022 (algorithm 1)."""

from __future__ import annotations

from glp_export.search.strategies.base import Choice, Problem, ScoreAll, Strategy, best


def choose(problem: Problem, score_all: ScoreAll) -> list[Choice]:
    """Take away, again and again, the layer whose absence scores best."""
    choices: list[Choice] = []
    gone: tuple[int, ...] = ()
    for _ in range(problem.cuts):
        candidates = {
            layer: tuple(sorted((*gone, layer))) for layer in problem.layers if layer not in gone
        }
        scores = dict(zip(candidates, score_all(list(candidates.values())), strict=True))
        (layer,) = best({(layer,): score for layer, score in scores.items()})
        gone = (*gone, layer)
        by_removed = {candidates[layer]: score for layer, score in scores.items()}
        choices.append(Choice((layer,), by_removed))
    return choices


def trainings(problem: Problem) -> int:
    """L + (L-1) + … + (L-n+1) for L layers and n cuts."""
    return sum(len(problem.layers) - step for step in range(problem.cuts))


GREEDY = Strategy(
    "greedy",
    "the paper's: every candidate fine-tuned from the pretrained weights",
    trainings,
    choose,
)
