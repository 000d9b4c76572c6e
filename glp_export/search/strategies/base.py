"""What a strategy is: a way from candidates' scores to an order of removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Removed = tuple[int, ...]
"""The layers that a candidate lacks, sorted, numbered as in the base model."""

ScoreAll = Callable[[Sequence[Removed]], Sequence[float]]
"""Scores candidates that do not depend on one another, in their order; higher is better."""


@dataclass(frozen=True)
class Problem:
    """What is to be chosen.

    Attributes:
        layers: the layers that may go, bottom first.
        cuts: how many of them go.
    """

    layers: tuple[int, ...]
    cuts: int


@dataclass(frozen=True)
class Choice:
    """One step: the layers that go for good, and the scores that said so."""

    removed: Removed
    scores: Mapping[Removed, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Strategy:
    """A row of the table of strategies.

    Attributes:
        name: as given to `--search`.
        summary: one line for people.
        trainings: how many candidates are trained for a problem.
        choose: makes the choices, asking for scores as it goes.
    """

    name: str
    summary: str
    trainings: Callable[[Problem], int]
    choose: Callable[[Problem, ScoreAll], list[Choice]]


def best(scores: Mapping[Removed, float]) -> Removed:
    """The candidate with the highest score, rounded to three digits as the paper's code does.

    On a tie the one that lacks the highest layer wins (section 3.1: the authors compare with
    `>=` while walking upward).
    """
    return max(scores, key=lambda removed: (round(scores[removed], 3), removed))
