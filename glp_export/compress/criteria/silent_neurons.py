"""Units that stay silent: the largest activation of a unit over all calibration tokens.

Node pruning of FullyQT (Prato et al., arXiv 1910.10485) takes the feed-forward nodes
whose largest ReLU output stays small. GELU is never exactly silent (it gives up to 0.17 below
zero), so what counts here is the distance from 0; of a head it is the norm of its whole output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import (
    Calibration,
    Criterion,
    OutputProjection,
    Ranking,
    Sublayer,
    curve_of_scores,
)
from glp_export.compress.criteria.moments import real_tokens, run
from glp_export.core.errors import DataError, ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

Peaks = dict[Sublayer, "Tensor"]
"""By sublayer the largest squared activation of every unit so far, `(units,) float32`."""


def rank(calibration: Calibration) -> Ranking:
    """Rank by the largest squared activation of each unit; no gradient, no second moment.

    Raises:
        DataError: there are no calibration texts.
        ModelError: hidden states that are not finite, or a sublayer that never ran.
    """
    import torch

    if not calibration.batches:
        raise DataError("There are no calibration texts.", fix="Give some rows of the task.")
    with torch.no_grad(), _watched(calibration.projections) as (peaks, masks):
        for batch in calibration.batches:
            masks[:] = [batch["attention_mask"].bool()]
            run(calibration.model, batch)
    for projection in calibration.projections:
        peak = peaks.get(projection.sublayer)
        if peak is None or not bool(torch.isfinite(peak).all()):
            what = "never ran" if peak is None else "gave states that are not finite in"
            raise ModelError(
                f"The model {what} the {projection.sublayer.label} on the calibration texts.",
                fix="Its training diverged: lower the learning rate, and train in fp32 or bf16.",
            )
    return Ranking(
        tuple(
            curve_of_scores(found.sublayer, peaks[found.sublayer].tolist())
            for found in calibration.projections
        )
    )


@contextmanager
def _watched(projections: Sequence[OutputProjection]) -> Iterator[tuple[Peaks, list[Tensor]]]:
    """While it lasts, every projection notes its inputs at the tokens of the mask in the list."""
    import torch

    peaks: Peaks = {}
    masks: list[Tensor] = []

    def hook_of(projection: OutputProjection) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = real_tokens(inputs[0], masks[0]).float()
            largest = x.reshape(len(x), projection.units, -1).square().sum(2).amax(0)
            before = peaks.get(projection.sublayer, largest)
            peaks[projection.sublayer] = torch.maximum(before, largest)

        return hook

    handles = [p.module.register_forward_pre_hook(hook_of(p)) for p in projections]
    try:
        yield peaks, masks
    finally:
        for handle in handles:
            handle.remove()


CRITERION = Criterion(
    "silent-neurons", "the largest activation of a unit over the calibration texts", rank
)
