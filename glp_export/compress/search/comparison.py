"""One comparison of candidates while their outcomes come in: who leads, and how probably."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.plan import Candidate
from glp_export.compress.search.confidence import probability_smaller
from glp_export.compress.search.trial import Removed
from glp_export.core.numbers import these_layers
from glp_export.core.progress import Piece, RankedCandidate, Standings

Losses = NDArray[np.float32]


@dataclass(frozen=True)
class TrialBatch:
    """What a comparison is about.

    Attributes:
        title: `step 2 of 3`; empty where nobody needs to follow it.
        removed: the layers that went for good before.
        final: whether the winner's layers go for good too; else orders are only compared.
    """

    title: str = ""
    removed: Removed = ()
    final: bool = True


@dataclass
class Comparison:
    """Ranks candidates as strategies do: by loss where there is one, else by rounded score.

    Attributes:
        batch: what it is about.
        of: how many outcomes there will be.
        layers: of the unpruned model.
        metric: of the scores.
    """

    batch: TrialBatch
    of: int
    layers: int
    metric: str
    _runners: dict[Removed, _Runner] = field(default_factory=dict)
    _tried: int = 0

    def add(self, candidate: Candidate, losses: Losses | None) -> Standings:
        """Take in one outcome.

        Args:
            candidate: what was tried.
            losses: of its refitted head, (rows,); None where it diverged or none was fitted.
        """
        runner = self._runners.setdefault(candidate.removed, _Runner(candidate.removed))
        runner.scores.append(candidate.score)
        runner.losses.append(losses)
        self._tried += 1
        by_loss = any(one.mean is not None for one in self._runners.values())
        ranked = sorted(self._runners.values(), key=_by_loss if by_loss else _by_score)
        candidates = tuple(self._ranked(one, ranked[0], by_loss) for one in ranked)
        removed = _joined(self.batch.removed)
        return Standings(
            title=self.batch.title,
            metric=self.metric,
            column="without",
            verb="removed" if self.batch.final else "the best order removes",
            candidates=candidates,
            tried=self._tried,
            of=self.of,
            detail=f"removed: {removed}" if removed else "",
            picture=self._picture(ranked[0].removed),
        )

    def _ranked(self, one: _Runner, first: _Runner, by_loss: bool) -> RankedCandidate:
        going = [layer for layer in one.removed if layer not in self.batch.removed]
        ranked = RankedCandidate(_joined(going), these_layers(going), one.score, one.loss)
        if one is first:
            return ranked
        if not by_loss:
            return replace(ranked, behind=first.score - one.score)
        if one.mean is None or first.mean is None:
            return ranked
        return replace(
            ranked,
            behind=float(one.mean.mean() - first.mean.mean()),
            probability=probability_smaller(first.mean, one.mean),
        )

    def _picture(self, leading: Removed) -> tuple[Piece, ...]:
        """The layers from input to head; those that are gone as dots, the leader's strong."""
        layers = [
            Piece("·", "faint")
            if layer in self.batch.removed
            else Piece(str(layer), "strong" if layer in leading else "plain")
            for layer in range(self.layers)
        ]
        return (Piece("input"), *layers, Piece("head"))


def _joined(layers: Iterable[int]) -> str:
    return "+".join(map(str, layers))


@dataclass
class _Runner:
    """One set of removed layers, with what its seeds have brought so far."""

    removed: Removed
    scores: list[float] = field(default_factory=list)
    losses: list[Losses | None] = field(default_factory=list)

    @property
    def score(self) -> float:
        return float(np.mean(self.scores))

    @property
    def mean(self) -> Losses | None:
        """The mean over its seeds of each example's loss, (rows,); None if one diverged."""
        known = [one for one in self.losses if one is not None]
        return np.mean(known, axis=0) if known and len(known) == len(self.losses) else None

    @property
    def loss(self) -> float | None:
        return None if self.mean is None else float(self.mean.mean())


def _by_loss(one: _Runner) -> tuple[float, Sequence[int]]:
    return inf if one.loss is None else one.loss, tuple(-layer for layer in one.removed)


def _by_score(one: _Runner) -> tuple[float, Sequence[int]]:
    return -round(one.score, 3), tuple(-layer for layer in one.removed)
