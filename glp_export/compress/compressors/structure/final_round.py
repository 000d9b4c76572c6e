"""The final round: the structure that was chosen against whole layers, by short trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.plan import Candidate, Cost, Step
from glp_export.compress.search.confidence import probability_smaller
from glp_export.compress.search_space import removed_layers
from glp_export.compress.selection import Selection
from glp_export.core.progress import RankedCandidate, Standings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


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


def decide(
    finalists: Sequence[Finalist],
    examples: int,
    evaluator: CompressionEvaluator,
    build: Callable[[Finalist], PreTrainedModel],
) -> tuple[Finalist, tuple[Step, ...], Cost]:
    """Train each finalist on so many examples; take the one whose loss on dev is least at best.

    Args:
        finalists: the first is taken where nothing is compared.
        examples: of each training; 0 for no comparison.
        evaluator: trains and scores.
        build: the compact model where a finalist's recovery begins.

    Returns:
        The winner, the step that says how it was compared, and what that cost.
    """
    if not examples or len(finalists) < 2:
        return finalists[0], (), Cost()
    trained = []
    with evaluator.progress.stage("final round", len(finalists)) as meter:
        for finalist in finalists:
            trained.append(_train(finalist, examples, evaluator, build))
            meter.advance(f"{finalist.label}: loss {trained[-1].candidate.loss:.4f}")
            ranked = sorted(trained, key=lambda one: float(one.losses.mean()))
            meter.show(_standings(ranked, len(finalists), evaluator.task.metric))
    cost = Cost(
        trainings=len(trained),
        sample_layers=examples
        * sum(sum(layer is not None for layer in one.finalist.selection.layers) for one in trained),
        seconds=round(sum(one.candidate.seconds for one in trained), 1),
    )
    return ranked[0].finalist, (_step(ranked),), cost


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
