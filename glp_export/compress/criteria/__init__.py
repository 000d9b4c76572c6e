"""What heads and neurons are ranked by: one file each, one row each in `CRITERIA`."""

from __future__ import annotations

from glp_export.compress.criteria import (
    fisher,
    group_lasso,
    magnitude,
    movement,
    obs,
    pdp,
    silent_neurons,
)
from glp_export.compress.criteria.base import (
    Batch,
    Calibration,
    Criterion,
    ErrorCurve,
    Kind,
    OutputProjection,
    Ranking,
    Refit,
    Sublayer,
    Teach,
    Trained,
    Training,
)

CRITERIA: dict[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        obs.CRITERION,
        fisher.CRITERION,
        magnitude.CRITERION,
        silent_neurons.CRITERION,
        pdp.CRITERION,
        group_lasso.CRITERION,
        movement.CRITERION,
    )
}

__all__ = [
    "CRITERIA",
    "Batch",
    "Calibration",
    "Criterion",
    "ErrorCurve",
    "Kind",
    "OutputProjection",
    "Ranking",
    "Refit",
    "Sublayer",
    "Teach",
    "Trained",
    "Training",
]
