"""What a strategy is: a way from candidates' scores to an order of removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from glp_export.compress.plan import Candidate
from glp_export.compress.search.evaluator import Evaluator
from glp_export.compress.search.trial import Removed
from glp_export.compress.search_cost import SearchCost


@dataclass(frozen=True)
class Problem:
    """What is to be chosen.

    Attributes:
        layers: the layers that may go, bottom first.
        cuts: how many of them go.
        seeds: how many trainings a decision between finalists rests on.
        judged: where whole orders are compared, the models without so many layers are; None: all
            of the cuts. An order that serves several depths is best judged in their middle.
    """

    layers: tuple[int, ...]
    cuts: int
    seeds: int = 1
    judged: int | None = None


@dataclass(frozen=True)
class Choice:
    """One step: the layers that go for good, and the candidates that said so.

    Attributes:
        winner: the candidate that was taken, None where none was tried.
        lead: by how much its loss was smaller than the runner-up's, None for a choice by score.
        probability: that it is smaller on other examples.
    """

    removed: Removed
    candidates: Sequence[Candidate] = ()
    winner: Candidate | None = None
    lead: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Strategy:
    """A row of the table of strategies.

    Attributes:
        name: as given to `--search`.
        summary: one line for people.
        search_cost: what it may spend on a problem.
        choose: makes the choices, asking for trials as it goes.
        needs_teacher: candidates inherit the fine-tuned model's layers and imitate it; else they
            inherit the pretrained ones and learn the labels, as in the paper.
        nested: the choices are an order of removal, of which a prefix serves a deeper model.
    """

    name: str
    summary: str
    search_cost: Callable[[Problem], SearchCost]
    choose: Callable[[Problem, Evaluator], list[Choice]]
    needs_teacher: bool = False
    nested: bool = True


def best(scores: Mapping[Removed, float]) -> Removed:
    """The candidate with the highest score, rounded to three digits as the paper's code does.

    On a tie the one that lacks the highest layer wins (section 3.1: the authors compare with
    `>=` while walking upward).
    """
    return max(scores, key=lambda removed: (round(scores[removed], 3), removed))
