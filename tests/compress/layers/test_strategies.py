from __future__ import annotations

from math import comb

import numpy as np
import pytest

from glp_export.compress.compressors.layers.strategies import (
    STRATEGIES,
    Problem,
    best,
    order_by_rule,
)
from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial

TWELVE = Problem(tuple(range(12)), 6)
ROWS = 400


class Table:
    """An evaluator over a table: how good a set of layers is, and how noisy each look at it."""

    def __init__(self, quality=lambda removed: 0.0, noise: float = 0.0) -> None:
        self.asked: list[list[Trial]] = []
        self._quality, self._noise = quality, noise

    def outcomes(self, trials, batch):
        self.asked.append(list(trials))
        return [
            Candidate(
                removed=trial.removed,
                examples=trial.examples,
                score=self._quality(trial.removed),
                loss=float(self.losses(trial).mean()),
            )
            for trial in trials
        ]

    def losses(self, trial):
        spread = np.random.default_rng([7, *trial.removed]).normal(0, self._noise, ROWS)
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
    assert STRATEGIES[name].search_cost(TWELVE).trials == 0
    assert order_by_rule(name, TWELVE) == expected


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_removes_as_many_layers_as_asked_and_no_pinned_one(name):
    problem = Problem(tuple(range(1, 6)), 3)
    removed = order(name, problem)
    assert len(set(removed)) == 3
    assert 0 not in removed


def test_greedy_counts_its_trainings_as_the_paper_does():
    assert STRATEGIES["greedy"].search_cost(TWELVE).trainings == 57


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
    assert STRATEGIES["optimal"].search_cost(problem).trials == comb(4, 2)


def without(*worth: float):
    """A quality that falls by the worth of each layer that is gone."""
    return lambda removed: 1 - sum(worth[layer] for layer in removed)


def test_fast_greedy_takes_the_layers_of_least_worth_in_their_order():
    quality = without(0.5, 0.03, 0.4, 0.01, 0.3, 0.02)
    assert order("fast-greedy", Problem(tuple(range(6)), 3), quality) == (3, 5, 1)


def test_a_rule_that_does_better_in_the_play_off_is_taken_with_its_order():
    def misleading(removed):
        """Single layers look alike; together every other one is what the task can spare."""
        return 0.9 if removed == (1, 3, 5) else 0.5 - 0.01 * sum(removed)

    assert order("fast-greedy", Problem(tuple(range(6)), 3), misleading) == (5, 3, 1)


def test_orders_are_compared_at_the_depth_that_is_judged():
    table = Table(without(0.5, 0.03, 0.4, 0.01, 0.3, 0.02))
    first, second, third, *_ = STRATEGIES["fast-greedy"].choose(
        Problem(tuple(range(6)), 5, judged=3), table
    )
    rounds = [asked for asked in table.asked if asked[0].examples in (512, 1024)]
    assert rounds
    assert {len(trial.removed) for asked in rounds for trial in asked} == {3}
    assert {one.examples for one in third.candidates} > {512}
    assert {one.examples for choice in (first, second) for one in choice.candidates} == {128}


def test_the_order_that_wins_goes_on_below_the_depth_that_is_judged():
    def misleading(removed):
        """Single layers look alike; together every other one is what the task can spare."""
        return 0.9 if removed == (1, 3, 5) else 0.5 - 0.01 * sum(removed)

    problem = Problem(tuple(range(6)), 4, judged=3)
    removed = order("fast-greedy", problem, misleading)
    assert removed[:3] == (5, 3, 1)
    assert len(removed) == 4


def test_the_play_off_goes_on_only_while_it_is_undecided():
    layers = Problem(tuple(range(6)), 3)
    confidence = Table(without(0.5, 0.03, 0.4, 0.01, 0.3, 0.02), noise=0.05)
    STRATEGIES["fast-greedy"].choose(layers, confidence)
    (rounds,) = [asked for asked in confidence.asked if asked[0].examples == 512]
    assert [trial.removed for trial in rounds] == [(1, 3, 5), (2, 3, 4), (3, 4, 5)]
    assert not any(asked[0].examples == 1024 for asked in confidence.asked)
    unsure = Table(without(0.1, 0.1, 0.1, 0.1, 0.1, 0.1), noise=0.05)
    STRATEGIES["fast-greedy"].choose(layers, unsure)
    assert [len(asked) for asked in unsure.asked if asked[0].examples == 1024] == [2]


def test_fast_greedy_says_how_far_ahead_the_winner_was_and_how_probably():
    choice, *_ = STRATEGIES["fast-greedy"].choose(
        Problem((0, 1, 2), 2), Table(without(0.2, 0.1, 0.3), noise=0.05)
    )
    assert choice.winner.removed == (1,)
    assert choice.lead > 0
    assert 0.5 < choice.probability <= 1


def test_a_candidate_that_diverged_is_never_taken():
    class OneDiverges(Table):
        def outcomes(self, trials, batch):
            return [
                one.model_copy(update={"loss": None}) if one.removed == (1,) else one
                for one in super().outcomes(trials, batch)
            ]

    problem = Problem((0, 1, 2), 1)
    (choice,) = STRATEGIES["fast-greedy"].choose(problem, OneDiverges(without(0.2, 0.1, 0.3)))
    assert choice.removed == (0,)


def test_several_seeds_are_asked_only_in_the_play_off():
    table = Table(without(0.5, 0.1, 0.1001, 0.5), noise=0.05)
    STRATEGIES["fast-greedy"].choose(Problem(tuple(range(4)), 1, seeds=3), table)
    first, *rounds = table.asked
    assert {trial.repeat for trial in first} == {0}
    assert all({trial.repeat for trial in asked} == {0, 1, 2} for asked in rounds)
