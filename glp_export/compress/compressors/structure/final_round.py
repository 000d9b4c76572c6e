"""The final round: the structure that was chosen against whole layers, by short trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.plan import Candidate, Cost, Step
from glp_export.compress.search.confidence import probability_smaller
from glp_export.compress.search_space import removed_layers
from glp_export.compress.selection import Selection
from glp_export.compress.steps import Part
from glp_export.core.progress import RankedCandidate, Standings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

FAR_AHEAD, AS_GOOD, SURE = 0.75, 0.98, 0.95
"""A finalist is far ahead if its loss is below this share of the next one's with this probability,
and as good as the unpruned model if it keeps this share of the metric on dev. Where structure won,
on three tasks at two speeds, searched layers had at best 0.94 of the loss of the best rule."""


@dataclass(frozen=True)
class Finalist:
    """One of the choices that are compared.

    Attributes:
        label: for people.
        selection: what stays.
    """

    label: str
    selection: Selection


@dataclass(frozen=True)
class _Trained:
    finalist: Finalist
    losses: NDArray[np.float32]
    candidate: Candidate


def _standings(ranked: Sequence[_Trained], of: int, metric: str) -> Standings:
    """Who leads, and how probably."""
    first = ranked[0]
    candidates = [
        RankedCandidate(
            one.finalist.label,
            one.finalist.label,
            one.candidate.score,
            one.candidate.loss,
            behind=None if one is first else float(one.losses.mean() - first.losses.mean()),
            probability=None if one is first else probability_smaller(first.losses, one.losses),
        )
        for one in ranked
    ]
    return Standings(
        title="final round",
        metric=metric,
        column="kept",
        verb="kept",
        candidates=tuple(candidates),
        tried=len(ranked),
        of=of,
    )


class FinalRound:
    """Finalists, each trained on the same few examples and judged on dev.

    Args:
        examples: of each training.
        evaluator: trains and scores.
        build: the compact model where a finalist's recovery begins.
    """

    def __init__(
        self,
        examples: int,
        evaluator: CompressionEvaluator,
        build: Callable[[Finalist], PreTrainedModel],
    ) -> None:
        self._examples, self._evaluator, self._build = examples, evaluator, build
        self._trained: list[_Trained] = []

    def train(self, finalists: Sequence[Finalist]) -> None:
        """Train and judge some more."""
        evaluator, of = self._evaluator, len(self._trained) + len(finalists)
        with evaluator.progress.stage("final round", len(finalists)) as meter:
            for finalist in finalists:
                trained = _train(finalist, self._examples, evaluator, self._build)
                self._trained.append(trained)
                meter.advance(f"{finalist.label}: loss {trained.candidate.loss:.4f}")
                meter.show(_standings(self._ranked, of, evaluator.task.metric))

    def settled(self) -> bool:
        """Whether a further rival of the finalist that came first is not worth a search.

        It is far ahead of all others, and as good as the unpruned model already.
        """
        first, *others = self._ranked
        if first is not self._trained[0] or not others:
            return False
        bound = np.float32(FAR_AHEAD) * others[0].losses
        _, unpruned = self._evaluator.train_briefly(self._evaluator.teacher, 0)
        return (
            probability_smaller(first.losses, bound) >= SURE
            and first.candidate.score >= AS_GOOD * unpruned
        )

    def result(self) -> tuple[Finalist, tuple[Step, ...], Cost]:
        """The one whose loss on dev is least at best, the step that compares them, and its cost."""
        cost = Cost.of_part(
            Part.FINAL_ROUND,
            sum(one.candidate.seconds for one in self._trained),
            trainings=len(self._trained),
            sample_layers=self._examples
            * sum(
                sum(layer is not None for layer in one.finalist.selection.layers)
                for one in self._trained
            ),
        )
        return self._ranked[0].finalist, (_step(self._ranked),), cost

    @property
    def _ranked(self) -> list[_Trained]:
        return sorted(self._trained, key=lambda one: float(one.losses.mean()))


def _train(
    finalist: Finalist,
    examples: int,
    evaluator: CompressionEvaluator,
    build: Callable[[Finalist], PreTrainedModel],
) -> _Trained:
    """A finalist before or after its short training, whichever is nearer to the teacher.

    Refitted weights may be nearer than a short training leaves them, and recovery keeps its best.
    """
    begin = time.perf_counter()
    model = build(finalist)
    losses, score, seen = *evaluator.train_briefly(model, 0), 0
    trained_losses, trained_score = evaluator.train_briefly(model, examples)
    if trained_losses.mean() < losses.mean():
        losses, score, seen = trained_losses, trained_score, examples
    candidate = Candidate(
        removed=removed_layers(finalist.selection),
        score=score,
        examples=seen,
        loss=float(losses.mean()),
        seconds=round(time.perf_counter() - begin, 1),
        label=finalist.label,
    )
    return _Trained(finalist, losses, candidate)


def _step(ranked: Sequence[_Trained]) -> Step:
    """How the winner was compared with the next best."""
    first, second = ranked[:2]
    return Step(
        kind="final-round",
        removed=first.candidate.removed,
        score=first.candidate.score,
        sample_size=len(first.losses),
        candidates=tuple(one.candidate for one in ranked),
        lead=float(second.losses.mean() - first.losses.mean()),
        probability=probability_smaller(first.losses, second.losses),
    )
