"""The norm of a unit's columns in the output projection: no data, the reference to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.compress.criteria.base import Calibration, Criterion, Ranking, curve_of_scores

if TYPE_CHECKING:
    from torch import Tensor


def squared_norms(weight: Tensor, units: int) -> Tensor:
    """Squared norms `(units,) float64` of the units' columns of a weight `(hidden, columns)`."""
    return weight.detach().double().square().sum(0).reshape(units, -1).sum(1)


def rank(calibration: Calibration) -> Ranking:
    """Rank by squared norms, which add up to that of what is taken away."""
    return Ranking(
        tuple(
            curve_of_scores(
                found.sublayer, squared_norms(found.module.weight, found.units).tolist()
            )
            for found in calibration.projections
        )
    )


CRITERION = Criterion("magnitude", "the norm of a unit's output weights; looks at no text", rank)
