"""Reweighted group lasso on heads and neurons (Li et al., arXiv 2009.08065).

The regulariser is the sum of γ ‖W‖ over groups, with γ = 1 / (‖W‖² + ε) computed anew as training
goes, so that small groups shrink faster the smaller they are. A group is all weights of a head or
of a neuron, which a dense runtime can leave out; the paper's rows and columns inside blocks, which
save storage alone, are shrunk by the same step (`block_lasso`). Every update is followed by the
regulariser's proximal step, which gives exact zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from glp_export.compress.criteria.base import (
    Criterion,
    Ranking,
    Sublayer,
    Trained,
    Training,
    curve_of_scores,
)
from glp_export.compress.criteria.steering import Steered
from glp_export.compress.criteria.unit_weights import (
    UnitWeights,
    copy_of,
    counts_of,
    unit_weights,
)
from glp_export.encoder.regulariser import Regulariser

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 0.05
"""ε over the mean squared norm of a sublayer's groups."""

REWEIGHTINGS = 16
"""Times that γ is computed anew."""

LEAST = 0.5
"""What a group that may not go yet is multiplied by at least in one step."""


def train(training: Training) -> Trained:
    """Train and shrink, with a strength that is steered to the wanted time."""
    model = copy_of(training.model)
    found = unit_weights(model)
    lasso = GroupLasso(
        found, lambda norms: training.share(counts_of(_alive(found, norms))), training.wanted
    )
    training.teach(model, lasso)
    curves = (curve_of_scores(one.sublayer, one.squared_norms().tolist()) for one in found)
    return Trained(model.eval(), Ranking(tuple(curves)), lasso.left())


class Groups(Protocol):
    """Weights in groups that are each zero or not."""

    def squared_norms(self) -> Tensor:
        """Of each group, `(groups,)`."""

    def multiply(self, factors: Tensor) -> None:
        """Multiply all weights of each group by its factor `(groups,)`, in place."""


class GroupLasso(Regulariser):
    """The proximal step after every update.

    Args:
        found: groups whose norms compare by their mean square, a set for each mean.
        share: what is left, from 0 to 1, by the norms of each set's groups, of which 0 are gone.
        wanted: the share that is left in the end.
        shrunk: what a group that stays is multiplied by at least in all steps together; None for
            no such bound but `LEAST` in one.
    """

    def __init__(
        self,
        found: Sequence[Groups],
        share: Callable[[Sequence[Tensor]], float],
        wanted: float,
        shrunk: float | None = None,
    ) -> None:
        self._found, self._left = found, share
        self._scales = [one.squared_norms().mean().clamp_min(1e-30) for one in found]
        self._gammas: list[Tensor] = []
        self._dead: list[Tensor] = []
        self._steered: Steered | None = None
        self._wanted, self._shrunk, self._least = wanted, shrunk, LEAST

    def left(self) -> float:
        """The share that is left by the groups which are not zero."""
        return self._left(self._norms())

    def after_step(self, done: int, total: int) -> None:
        """As `Regulariser.after_step`."""
        if self._steered is None:
            # By itself this would take a mean group to zero in the whole of a training.
            self._steered = Steered(self._wanted, 1 / max(1, total))
            if self._shrunk is not None:
                self._least = self._shrunk ** (1 / max(1, total))
        # An optimizer's momentum would bring back what is zero.
        if self._dead:
            self._multiply([(~dead).float() for dead in self._dead])
        norms = self._norms()
        if not self._gammas or done % max(1, total // REWEIGHTINGS) == 0:
            self._gammas = [_weights(norm) for norm in norms]
        strength = self._steered.update(self._left(norms), done, total)
        limit = self._steered.wanted_at(done, total)
        if self._left(norms) <= limit:
            return
        factors = [
            (1 - strength * gamma / norm.clamp_min(1e-12)).clamp(0, 1)
            for gamma, norm in zip(self._gammas, norms, strict=True)
        ]
        factors = self._spared(norms, factors, limit)
        self._multiply(factors)
        self._dead = [factor == 0 for factor in factors]

    def _multiply(self, factors: Sequence[Tensor]) -> None:
        for one, factor in zip(self._found, factors, strict=True):
            one.multiply(factor)

    def _norms(self) -> list[Tensor]:
        """By sublayer the groups' norms over the root of the first mean square."""
        return [
            (one.squared_norms() / scale).sqrt()
            for one, scale in zip(self._found, self._scales, strict=True)
        ]

    def _spared(
        self, norms: Sequence[Tensor], factors: Sequence[Tensor], limit: float
    ) -> list[Tensor]:
        """The factors, of which no more are zero than the schedule wants: a group at 0 stays there.

        The smallest groups go first.
        """
        import torch

        going = torch.cat(
            [norm[(factor == 0) & (norm > 0)] for norm, factor in zip(norms, factors, strict=True)]
        )
        order = going.sort().values
        low, high = 0, len(order)
        while low < high:  # the fewest that are enough, or all
            middle = (low + high) // 2
            bound = float(order[middle - 1]) if middle else 0.0
            after = [norm.masked_fill(norm <= bound, 0.0) for norm in norms]
            low, high = (low, middle) if self._left(after) <= limit else (middle + 1, high)
        bound = float(order[low - 1]) if low else 0.0
        return [
            torch.where(norm <= bound, factor, factor.clamp_min(self._least))
            for norm, factor in zip(norms, factors, strict=True)
        ]


def _weights(norms: Tensor) -> Tensor:
    """γ, with a mean of 1 over the groups that are left."""
    gamma = 1 / (norms.square() + EPSILON)
    alive = norms > 0
    mean = gamma[alive].mean() if bool(alive.any()) else gamma.mean()
    return gamma / mean


def _alive(found: Sequence[UnitWeights], norms: Sequence[Tensor]) -> Mapping[Sublayer, int]:
    return {one.sublayer: int((norm > 0).sum()) for one, norm in zip(found, norms, strict=True)}


CRITERION = Criterion(
    "group-lasso",
    "trains with a reweighted group lasso on all weights of each unit",
    train=train,
)
