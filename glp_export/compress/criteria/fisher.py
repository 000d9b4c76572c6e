"""First order: the squared gradient of the loss by a mask on every head and neuron.

The empirical Fisher information's diagonal, as in post-training pruning (Kwon et al., arXiv
2204.09656, section 3): what taking a unit away costs is about half its entry, and costs add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import (
    Batch,
    Calibration,
    Criterion,
    OutputProjection,
    Ranking,
    Sublayer,
    curve_of_scores,
)
from glp_export.compress.criteria.moments import run
from glp_export.core.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn


def rank(calibration: Calibration) -> Ranking:
    """Rank by the mean over rows of the squared gradient by each unit's mask.

    Raises:
        DataError: there are no calibration texts.
        ModelError: gradients that are not finite.
        UsageError: no loss was given.
    """
    import torch

    if calibration.loss is None:
        raise UsageError(
            "the criterion fisher needs a loss, and this kind of task has none",
            where="--criterion fisher",
            fix="say --criterion obs, which needs texts alone",
        )
    if not calibration.batches:
        raise DataError("There are no calibration texts.", fix="Give some rows of the task.")
    totals = {
        found.sublayer: torch.zeros(found.units, dtype=torch.float64)
        for found in calibration.projections
    }
    rows = 0
    for batch in calibration.batches:
        count = len(batch["input_ids"])
        for sublayer, gradient in _gradients(calibration, batch).items():
            # The loss is a mean over the rows: times their number it is each row's own.
            totals[sublayer] += (gradient.double() * count).square().sum(0).cpu()
        rows += count
    if not all(bool(torch.isfinite(total).all()) for total in totals.values()):
        raise ModelError(
            "The loss has gradients that are not finite on the calibration texts.",
            fix="The model's training diverged: lower the learning rate.",
        )
    return Ranking(
        tuple(
            curve_of_scores(sublayer, (total / rows).tolist()) for sublayer, total in totals.items()
        )
    )


def _gradients(calibration: Calibration, batch: Batch) -> dict[Sublayer, Tensor]:
    """By sublayer the gradients of the batch's loss by the masks of each row, `(rows, units)`."""
    import torch

    assert calibration.loss is not None
    masks = {
        p.sublayer: torch.ones(
            len(batch["input_ids"]),
            p.units,
            device=batch["input_ids"].device,
            dtype=p.module.weight.dtype,
            requires_grad=True,
        )
        for p in calibration.projections
    }
    with torch.enable_grad(), _masked(calibration.projections, masks):
        loss = calibration.loss(run(calibration.model, batch), batch)
        gradients = torch.autograd.grad(loss, list(masks.values()))
    return dict(zip(masks, gradients, strict=True))


@contextmanager
def _masked(
    projections: Sequence[OutputProjection], masks: dict[Sublayer, Tensor]
) -> Iterator[None]:
    """While it lasts, every unit is multiplied by its mask."""

    def hook_of(projection: OutputProjection) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            x, mask = inputs[0], masks[projection.sublayer]
            if x.dim() != 3 or len(x) != len(mask):
                raise ModelError(
                    f"The model's hidden states are {tuple(x.shape)}, not rows of tokens.",
                    fix='Load it with attn_implementation="sdpa" or "eager".',
                )
            return (x * mask.repeat_interleave(projection.width, 1)[:, None], *inputs[1:])

        return hook

    handles = [p.module.register_forward_pre_hook(hook_of(p)) for p in projections]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


CRITERION = Criterion("fisher", "first order: squared gradients by a mask on every unit", rank)
