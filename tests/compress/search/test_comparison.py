from __future__ import annotations

import numpy as np
import pytest

from glp_export.compress.compressors.layers.strategies import STRATEGIES, Problem
from glp_export.compress.plan import Candidate
from glp_export.compress.search.comparison import Comparison, TrialBatch
from glp_export.core.progress import Standings
from tests.compress.layers.test_strategies import Table, without


def candidate(*removed: int, score: float = 0.5, loss: float | None = None, repeat: int = 0):
    return Candidate(removed=removed, score=score, loss=loss, examples=128, repeat=repeat)


def losses(mean: float, seed: int = 0, spread: float = 0.1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, 400)
    return (mean + noise - noise.mean()).astype(np.float32)


def test_candidates_are_ranked_by_loss_as_they_come_in():
    comparison = Comparison(
        TrialBatch("step 2 of 3", removed=(5,)), of=3, layers=6, metric="accuracy"
    )
    first = comparison.add(candidate(0, 5, score=0.9, loss=0.5), losses(0.5, 1))
    assert [one.label for one in first.candidates] == ["0"]
    assert first.candidates[0].behind is None
    assert not first.complete
    comparison.add(candidate(1, 5, score=0.8, loss=0.4), losses(0.4, 2))
    last = comparison.add(candidate(2, 5, score=0.7, loss=0.6), losses(0.6, 3))
    assert [one.label for one in last.candidates] == ["1", "0", "2"]
    assert last.complete
    assert last.detail == "removed: 5"
    assert [one.label for one in last.picture if one.emphasis == "faint"] == ["·"]
    assert [one.label for one in last.picture if one.emphasis == "strong"] == ["1"]
    _, second, third = last.candidates
    assert second.behind == pytest.approx(0.1, abs=1e-3)  # the losses are float32
    assert 0.5 < second.probability <= third.probability <= 1


def test_without_losses_the_rounded_score_ranks_and_the_highest_layer_wins_a_tie():
    comparison = Comparison(TrialBatch("step 1 of 1"), of=3, layers=3, metric="accuracy")
    for layer, score in enumerate((0.9001, 0.90049, 0.5)):
        standings = comparison.add(candidate(layer, score=score), None)
    assert [one.label for one in standings.candidates] == ["1", "0", "2"]
    assert standings.candidates[2].behind == pytest.approx(0.40049)
    assert standings.candidates[1].probability is None


def test_seeds_of_one_candidate_are_taken_together():
    comparison = Comparison(
        TrialBatch("final comparison, round 1"), of=4, layers=4, metric="accuracy"
    )
    comparison.add(candidate(0, score=0.8, loss=0.2), losses(0.2))
    comparison.add(candidate(0, score=0.6, loss=0.6, repeat=1), losses(0.6))
    comparison.add(candidate(1, score=0.7, loss=0.3), losses(0.3))
    standings = comparison.add(candidate(1, score=0.7, loss=0.3, repeat=1), losses(0.3))
    assert [one.label for one in standings.candidates] == ["1", "0"]
    assert standings.candidates[1].score == pytest.approx(0.7)
    assert (standings.tried, standings.of) == (4, 4)


def test_words_for_the_winner_say_whether_its_layers_are_gone():
    step = Comparison(TrialBatch("step 2 of 2", (5,)), of=1, layers=6, metric="accuracy")
    found = step.add(candidate(0, 5), None)
    assert (found.verb, found.candidates[0].name) == ("removed", "layer 0")
    order = TrialBatch("final comparison, round 1", final=False)
    found = Comparison(order, of=1, layers=6, metric="accuracy").add(candidate(0, 2, 5), None)
    assert (found.verb, found.candidates[0].name) != ("removed", "layer 0")
    assert found.candidates[0].name == "layers 0, 2 and 5"


def test_a_candidate_that_diverged_comes_last():
    comparison = Comparison(TrialBatch("step 1 of 1"), of=2, layers=3, metric="accuracy")
    comparison.add(candidate(2, score=-1.0), None)
    standings = comparison.add(candidate(0, score=0.5, loss=0.7), losses(0.7))
    assert [one.label for one in standings.candidates] == ["0", "2"]
    assert standings.candidates[1].behind is None


def labelled(layers) -> str:
    return "+".join(map(str, layers))


class Raced(Table):
    """A table that compares what is asked, as the real evaluator does."""

    def __init__(self, quality, noise: float) -> None:
        super().__init__(quality, noise)
        self.winners: list[Standings] = []

    def outcomes(self, trials, batch):
        found = super().outcomes(trials, batch)
        comparison = Comparison(batch, len(trials), 6, "accuracy")
        for trial, one in zip(trials, found, strict=True):
            standings = comparison.add(one, None if one.loss is None else self.losses(trial))
        self.winners.append(standings)
        return found


def test_who_leads_at_the_end_of_a_step_is_who_the_strategy_takes():
    quality = without(0.5, 0.03, 0.4, 0.01, 0.3, 0.02)
    evaluator = Raced(quality, noise=0.05)
    choices = STRATEGIES["fast-greedy"].choose(Problem(tuple(range(6)), 3), evaluator)
    steps = [standings for standings in evaluator.winners if standings.title.startswith("step")]
    assert [one.title for one in steps] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    taken = [choice.removed for choice in choices]
    assert [one.candidates[0].label for one in steps] == [labelled(one) for one in taken]
    gone = [(), taken[0], sorted({*taken[0], *taken[1]})]
    details = ["", *(f"removed: {labelled(one)}" for one in gone[1:])]
    assert [one.detail for one in steps] == details
    assert steps[0].candidates[1].behind == pytest.approx(choices[0].lead, abs=1e-6)
    assert steps[0].candidates[1].probability == pytest.approx(choices[0].probability)
    (play_off,) = (one for one in evaluator.winners if one.title.startswith("final comparison"))
    assert play_off.candidates[1].probability == pytest.approx(choices[-1].probability)


def test_greedy_tells_its_steps_too():
    evaluator = Raced(without(0.5, 0.03, 0.4, 0.01), noise=0.0)
    choices = STRATEGIES["greedy"].choose(Problem((0, 1, 2, 3), 2), evaluator)
    winners = [one.candidates[0].label for one in evaluator.winners]
    assert winners == [labelled(choice.removed) for choice in choices]


def test_search_cost_knows_how_many_layers_each_candidate_lacks():
    problem = Problem(tuple(range(6)), 3)
    groups = STRATEGIES["fast-greedy"].search_cost(problem).groups
    assert [(group.trials, group.removed, group.examples) for group in groups] == [
        (6, 1, 128),
        (5, 2, 128),
        (4, 3, 128),
        (4, 3, 512),
        (2, 3, 1024),
    ]
    assert not STRATEGIES["fast-greedy"].search_cost(problem).certain
    assert STRATEGIES["greedy"].search_cost(problem).certain
    evaluator = Table(without(*(0.1,) * 6), noise=0.05)
    STRATEGIES["fast-greedy"].choose(problem, evaluator)
    asked = [len(trials) for trials in evaluator.asked]
    assert all(spent <= group.trials for spent, group in zip(asked, groups, strict=False))
