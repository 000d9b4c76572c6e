"""How a long job says where it is, without knowing how it is shown.

Stages call; a terminal, a log or nobody answers. What a terminal shows is in
`glp_export.report.progress`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RankedCandidate:
    """One candidate among those that a search compares.

    Attributes:
        label: what tells it from the others, in a table.
        name: the same in a sentence: `layer 3`.
        score: the task's metric; the mean over its seeds.
        loss: what it is ranked by, likewise; None where the score ranks.
        behind: its loss less the first one's, or the first one's score less its own; None for
            the first, and where it diverged.
        probability: that the first is the better of the two; None where the score ranks.
    """

    label: str
    name: str
    score: float
    loss: float | None = None
    behind: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Piece:
    """A part of what is searched in, as a picture of it shows it."""

    label: str
    emphasis: Literal["plain", "strong", "faint"] = "plain"


@dataclass(frozen=True)
class Standings:
    """Where a search stands within one comparison of candidates.

    Attributes:
        title: `step 2 of 3`.
        metric: what `RankedCandidate.score` is.
        column: what the labels are, before them: `without`.
        verb: what happens to the first when all are known: `removed`.
        candidates: that are known so far, the best first.
        tried: trials that are done.
        of: those of the whole comparison.
        detail: what else is to be said of it, in a few words.
        picture: what is searched in, from the input on; what the first candidate is about is
            strong, what is settled faint.
    """

    title: str
    metric: str
    column: str
    verb: str
    candidates: tuple[RankedCandidate, ...]
    tried: int
    of: int
    detail: str = ""
    picture: tuple[Piece, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the first has won."""
        return self.tried == self.of


class Meter:
    """One stage's progress, in units of work that may differ in what they cost."""

    def begin(
        self,
        total: int,
        *,
        cost: float | None = None,
        at_most: bool = False,
        later: float = 0.0,
    ) -> None:
        """Begin to count anew.

        Args:
            total: units of work.
            cost: of all of them, in any measure that `advance` uses too; else 1 each.
            at_most: whether it may well be less.
            later: seconds that the stage goes on after them.
        """

    def update(self, done: float, total: int | None = None, note: str = "") -> None:
        """Say how many of how many units of work are done, and what is in hand."""

    def advance(self, note: str = "", *, cost: float = 1.0, known: bool = False) -> None:
        """Say that one more unit is done.

        Args:
            note: what came of it.
            cost: of it, beside that of all.
            known: it was done before and took no time now.
        """

    def show(self, standings: Standings) -> None:
        """Tell where a search stands."""


class Progress:
    """Shows nothing; the base of what does."""

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Enter a stage of the job; `total` units of work if known beforehand."""
        yield Meter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing while latencies are measured, but when a meter is called."""
        yield

    def expect(self, stages: int) -> None:
        """Say how many stages are still to come."""

    def skip(self, title: str, reason: str) -> None:
        """Say that a stage that was to come is not needed, and why."""

    def say(self, message: str) -> None:
        """Tell the user one thing that they will want to know."""
