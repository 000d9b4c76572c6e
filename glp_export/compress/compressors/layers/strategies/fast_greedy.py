"""Greedy pruning from the fine-tuned model, by short trainings, refitted heads, final comparison.

Every candidate inherits the layers of one fine-tuned teacher, imitates it for a short while, and is
judged by what a fresh linear head makes of its features: the loss of a few hundred examples moves
smoothly where a metric jumps, and a head that was trained behind the missing layer would mislead
(benchmarks/search_evidence.py measures how much). After the last step the order that was found
plays off against those of the rules that look at no data, by longer trainings: early evidence can
mislead as well, and a search must not do worse than a rule that costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.compressors.layers.strategies.base import (
    Choice,
    Problem,
    Strategy,
)
from glp_export.compress.compressors.layers.strategies.fixed import order_by_rule
from glp_export.compress.plan import Candidate
from glp_export.compress.search.comparison import TrialBatch
from glp_export.compress.search.confidence import probability_smaller
from glp_export.compress.search.evaluator import Evaluator
from glp_export.compress.search.trial import Removed, Trial
from glp_export.compress.search_cost import SearchCost, TrialGroup

RIVALS = ("alternate", "symmetric", "top")
"""What the order that was found has to beat; Sajjad et al. 2023 compare the same."""


@dataclass(frozen=True)
class FastGreedy:
    """The procedure, and what it is generous with.

    Attributes:
        examples_per_candidate: training examples that every candidate of a step is trained on.
        finals: those of each round of the final comparison; none for no comparison. After a round
            the better two go on, unless one is significantly the best.
        confidence: the probability that ends the final comparison.
    """

    examples_per_candidate: int = 128
    finals: tuple[int, ...] = (512, 1024)
    confidence: float = 0.95

    def choose(self, problem: Problem, evaluator: Evaluator) -> list[Choice]:
        """Take away, again and again, the layer without which a fresh head does best."""
        found: list[Choice] = []
        removed: Removed = ()
        for step in range(problem.cuts):
            left = [tuple(sorted((*removed, one))) for one in problem.layers if one not in removed]
            batch = TrialBatch(f"step {step + 1} of {problem.cuts}", removed)
            found.append(
                _choose_one(removed, _train(left, self.examples_per_candidate, 1, evaluator, batch))
            )
            removed = tuple(sorted((*removed, *found[-1].removed)))
        return self._finals(problem, found, evaluator)

    def search_cost(self, problem: Problem) -> SearchCost:
        """The teacher, a short training of every candidate, the rounds of the final comparison."""
        steps = (
            TrialGroup(len(problem.layers) - step, step + 1, self.examples_per_candidate)
            for step in range(problem.cuts)
        )
        finals = (
            TrialGroup(
                (2 if number else 1 + len(RIVALS)) * problem.seeds,
                _judged(problem),
                examples,
                sure=not number,
            )
            for number, examples in enumerate(self.finals)
        )
        return SearchCost((*steps, *finals), teachers=1, certain=not self.finals)

    def _finals(self, problem: Problem, found: list[Choice], evaluator: Evaluator) -> list[Choice]:
        """Let the rules' orders try to beat the one that was found; the winner's choices."""
        judged = _judged(problem)
        orders = {_removed(found, judged): found}
        for rule in RIVALS:
            choices = [Choice((layer,)) for layer in order_by_rule(rule, problem)]
            orders.setdefault(_removed(choices, judged), choices)
        rounds: list[list[_TrainedCandidate]] = []
        players = list(orders)
        for examples in self.finals if len(orders) > 1 else ():
            batch = TrialBatch(f"final comparison, round {len(rounds) + 1}", final=False)
            rounds.append(_train(players, examples, problem.seeds, evaluator, batch))
            first, second, *_ = rounds[-1]
            players = [first.removed, second.removed]
            if first.probability_better(second) >= self.confidence:
                break
        if not rounds:
            return found
        choices = list(orders[players[0]])
        choices[judged - 1] = _decided(choices[judged - 1], rounds)
        return choices


def _judged(problem: Problem) -> int:
    """How many layers are gone where whole orders are compared."""
    return min(problem.judged or problem.cuts, problem.cuts)


def _removed(choices: Sequence[Choice], count: int) -> Removed:
    """The layers that the first so many choices remove."""
    return tuple(sorted(layer for choice in choices[:count] for layer in choice.removed))


def _choose_one(removed: Removed, ranked: Sequence[_TrainedCandidate]) -> Choice:
    """The first of the trained candidates, with the probability that it is the best."""
    tried = _candidates(ranked)
    choice = Choice(tuple(set(ranked[0].removed) - set(removed)), tried, tried[0])
    return choice if len(ranked) == 1 else _with_lead(choice, ranked)


def _decided(choice: Choice, rounds: Sequence[Sequence[_TrainedCandidate]]) -> Choice:
    """The step at which orders were compared: finally, last round first, then by its own look."""
    tried = [candidate for ranked in reversed(rounds) for candidate in _candidates(ranked)]
    whole = replace(choice, candidates=[*tried, *choice.candidates], winner=tried[0])
    return _with_lead(whole, rounds[-1])


def _candidates(ranked: Sequence[_TrainedCandidate]) -> list[Candidate]:
    return [candidate for trained in ranked for candidate in trained.candidates]


def _with_lead(choice: Choice, ranked: Sequence[_TrainedCandidate]) -> Choice:
    if ranked[1].losses is None:  # it diverged: there is nothing to measure the lead by
        return choice
    lead = ranked[1].loss - ranked[0].loss
    return replace(choice, lead=lead, probability=ranked[0].probability_better(ranked[1]))


@dataclass(frozen=True)
class _TrainedCandidate:
    """One set of removed layers, trained with one or several seeds.

    Attributes:
        losses: mean over the seeds of each example's loss, (rows,); None if a training diverged.
    """

    removed: Removed
    candidates: tuple[Candidate, ...]
    losses: NDArray[np.float32] | None

    @property
    def loss(self) -> float:
        return inf if self.losses is None else float(self.losses.mean())

    def probability_better(self, other: _TrainedCandidate) -> float:
        """The probability that this one is the better of two."""
        if self.losses is None or other.losses is None:
            return 1.0
        return probability_smaller(self.losses, other.losses)


def _train(
    candidates: Sequence[Removed],
    examples: int,
    seeds: int,
    evaluator: Evaluator,
    batch: TrialBatch,
) -> list[_TrainedCandidate]:
    """Train each candidate on so many examples; the best comes first, the highest on a tie."""
    trials = [Trial(removed, examples, seed) for removed in candidates for seed in range(seeds)]
    outcomes = dict(zip(trials, evaluator.outcomes(trials, batch), strict=True))
    trained = []
    for removed in candidates:
        own = {trial: one for trial, one in outcomes.items() if trial.removed == removed}
        diverged = any(one.loss is None for one in own.values())
        losses = None if diverged else np.mean([evaluator.losses(trial) for trial in own], axis=0)
        trained.append(_TrainedCandidate(removed, tuple(own.values()), losses))
    return sorted(trained, key=lambda one: (one.loss, tuple(-layer for layer in one.removed)))


_DEFAULT = FastGreedy()

FAST_GREEDY = Strategy(
    "fast-greedy",
    "from the fine-tuned model, by short trainings and refitted heads; never below the rules",
    _DEFAULT.search_cost,
    _DEFAULT.choose,
    needs_teacher=True,
)
