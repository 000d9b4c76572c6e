from __future__ import annotations

from math import comb

import numpy as np
import pytest

from glp_export.search import Candidate, Trial, order_by_rule
from glp_export.search.strategies import STRATEGIES, Problem, best

TWELVE = Problem(tuple(range(12)), 6)
ROWS = 400


class Table:
    """A workbench over a table: how good a set of layers is, and how noisy each look at it."""

    def __init__(self, quality=lambda removed: 0.0, noise: float = 0.0) -> None:
        self.whole = 3400
        self.asked: list[list[Trial]] = []
        self._quality, self._noise = quality, noise

    def outcomes(self, trials):
        self.asked.append(list(trials))
        return [
            Candidate(
                removed=trial.removed,
                share=trial.share,
                score=self._quality(trial.removed),
                distance=float(self.distances(trial).mean()),
            )
            for trial in trials
        ]

    def distances(self, trial):
        seed = [*trial.removed, 99, round(1000 * trial.share)]
        spread = np.random.default_rng(seed).normal(0, self._noise, ROWS)
        return (1 - self._quality(trial.removed) + spread).astype(np.float32)


def order(name: str, problem: Problem, quality=lambda removed: 0.0) -> tuple[int, ...]:
    choices = STRATEGIES[name].choose(problem, Table(quality))
    return tuple(layer for choice in choices for layer in choice.removed)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("top", (11, 10, 9, 8, 7, 6)),
        ("bottom", (0, 1, 2, 3, 4, 5)),
        ("alternate", (11, 9, 7, 5, 3, 1)),
        ("symmetric", (6, 5, 7, 4, 8, 3)),
    ],
)
def test_rules_of_sajjad_et_al(name, expected):
    assert order(name, TWELVE) == expected
    assert STRATEGIES[name].effort(TWELVE).trials == 0
    assert order_by_rule(name, TWELVE) == expected


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_removes_as_many_layers_as_asked_and_no_pinned_one(name):
    problem = Problem(tuple(range(1, 6)), 3)
    removed = order(name, problem)
    assert len(set(removed)) == 3
    assert 0 not in removed


def test_greedy_counts_its_trainings_as_the_paper_does():
    assert STRATEGIES["greedy"].effort(TWELVE).trainings == 57


def test_greedy_tries_each_remaining_layer_on_top_of_those_gone():
    table = Table(lambda removed: -sum(removed))
    STRATEGIES["greedy"].choose(Problem((0, 1, 2, 3), 2), table)
    assert table.asked == [
        [Trial((0,)), Trial((1,)), Trial((2,)), Trial((3,))],
        [Trial((0, 1)), Trial((0, 2)), Trial((0, 3))],
    ]


def test_greedy_takes_the_highest_layer_on_a_tie_after_rounding_to_three_digits():
    scores = {(0,): 0.9001, (1,): 0.90049, (2,): 0.8999, (3,): 0.5}
    assert order("greedy", Problem((0, 1, 2, 3), 1), scores.get) == (2,)


def test_best_prefers_the_score_to_the_position():
    assert best({(0,): 0.91, (5,): 0.90}) == (0,)


def test_optimal_finds_a_pair_that_greedy_misses():
    def score(removed):
        return {(0, 1): 1.0, (3,): 0.9}.get(removed, 0.5 + 0.01 * (3 in removed))

    problem = Problem((0, 1, 2, 3), 2)
    assert order("optimal", problem, score) == (0, 1)
    assert 3 in order("greedy", problem, score)
    assert STRATEGIES["optimal"].effort(problem).trials == comb(4, 2)
