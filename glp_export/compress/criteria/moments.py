"""Second moments of what output projections read, from one pass over calibration texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import Batch, OutputProjection, Sublayer
from glp_export.core.errors import DataError, ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

Moments = Mapping[Sublayer, "Tensor"]
"""By sublayer, E[x xᵀ] over real tokens, `(columns, columns) float32`, with the constant last."""


def collect_moments(
    model: nn.Module, projections: Sequence[OutputProjection], batches: Sequence[Batch]
) -> Moments:
    """Run the model and sum x xᵀ over all tokens that are no padding.

    A constant 1 is appended to x where a projection has a bias. Memory: 4 bytes for each entry of
    the matrices, (columns + 1)² a projection (MiniLM-L6 60 MB, bert-base 480 MB), and the inputs
    of one batch. float32 is enough: the damping is 10⁴ times larger than its rounding.

    Raises:
        DataError: there are no calibration texts.
    """
    import torch

    if not batches:
        raise DataError("There are no calibration texts.", fix="Give some rows of the task.")
    sums: dict[Sublayer, Tensor] = {}
    tokens = 0
    with torch.no_grad(), _real_tokens(model, projections, sums) as masked:
        for batch in batches:
            masked.clear()
            masked.append(batch["attention_mask"].bool())
            tokens += int(batch["attention_mask"].sum())
            run(model, batch)
    missing = [p.sublayer.label for p in projections if p.sublayer not in sums]
    if missing:
        raise ModelError(f"The model never ran the {', '.join(missing)}.")
    return {sublayer: total.div_(tokens) for sublayer, total in sums.items()}


def run(model: Any, batch: Batch) -> Any:
    """What a model gives for a batch, of which it is shown what it takes."""
    import inspect

    taken = inspect.signature(model.forward).parameters.keys()
    return model(**{name: values for name, values in batch.items() if name in taken})


@contextmanager
def _real_tokens(
    model: nn.Module, projections: Sequence[OutputProjection], sums: dict[Sublayer, Tensor]
) -> Iterator[list[Tensor]]:
    """While it lasts, every projection adds its inputs at the tokens of the mask in the list."""
    import torch

    masked: list[Tensor] = []

    def hook_of(projection: OutputProjection) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = real_tokens(inputs[0], masked[0]).float()
            if projection.module.bias is not None:
                x = torch.cat([x, x.new_ones(len(x), 1)], 1)
            total = sums.get(projection.sublayer)
            if total is None:
                sums[projection.sublayer] = x.T @ x
            else:
                total.addmm_(x.T, x)

        return hook

    handles = [p.module.register_forward_pre_hook(hook_of(p)) for p in projections]
    try:
        yield masked
    finally:
        for handle in handles:
            handle.remove()


def real_tokens(x: Tensor, mask: Tensor) -> Tensor:
    """The inputs `(tokens, columns)` at real tokens, of `(batch, length, columns)`.

    Raises:
        ModelError: the model does not compute in batches of that form.
    """
    if x.shape[:-1] != mask.shape:
        raise ModelError(
            f"The model's hidden states are {tuple(x.shape)} where its inputs are "
            f"{tuple(mask.shape)}.",
            fix='Load it with attn_implementation="sdpa" or "eager".',
        )
    return x[mask]
