"""The difference between the logits that a file gives and those that PyTorch gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.core.tolerance import Tolerance
from glp_export.tasks.kinds import Choices

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Difference:
    """How far the logits found are from those wanted, both `(n, num_labels)`.

    Attributes:
        max_abs: largest difference among finite values; None where nothing is finite.
        mean_abs: mean difference, likewise.
        non_finite: NaN and infinite values found.
        faults: what is wrong, one clause each; empty where nothing is.
    """

    max_abs: float | None
    mean_abs: float | None
    non_finite: int
    faults: tuple[str, ...]


def compare(found: Array, wanted: Array, tolerance: Tolerance | None) -> Difference:
    """Compare logits of the same shape; those wanted are finite.

    Without a tolerance only NaN and infinity are faults.
    """
    import numpy as np

    finite = np.isfinite(found)
    # In float64: an enormous wrong value must not overflow into no value.
    absolute = np.abs(np.where(finite, found, wanted).astype(np.float64) - wanted)
    max_abs = float(absolute[finite].max()) if finite.any() else None
    mean_abs = float(absolute[finite].mean()) if finite.any() else None
    non_finite = int((~finite).sum())
    faults = []
    if non_finite:
        faults.append(f"{non_finite} of {found.size} logits are NaN or infinite")
    if tolerance and (outside := absolute > tolerance.bound(wanted)).any():
        worst = np.unravel_index((absolute - tolerance.bound(wanted)).argmax(), found.shape)
        faults.append(
            f"max |Δlogit| {max_abs:.3g}, mean {mean_abs:.3g}, and "
            f"{outside.sum()} of {found.size} logits are beyond atol {tolerance.atol:g} + "
            f"rtol {tolerance.rtol:g}·|logit{less(tolerance.centre)}|, the worst "
            f"{found[worst]:.5g} where PyTorch has {wanted[worst]:.5g}"
        )
    return Difference(max_abs, mean_abs, non_finite, tuple(faults))


def less(centre: float) -> str:
    """What is taken from a logit before its share is tolerated, in a formula."""
    return f" - {centre:.5g}" if centre else ""


def agreement(
    found: Choices, wanted: Choices, tolerance: Tolerance | None
) -> tuple[Array, tuple[int, ...]]:
    """Which decisions are the same, and those that differ without excuse.

    Where the two best options stand closer than twice the tolerance, either ranking is within it:
    such a tie is not the same, and is not listed.

    Args:
        found: the decisions in a file's answers.
        wanted: the same decisions in PyTorch's.
        tolerance: None where differences do not judge.
    """
    import numpy as np

    same = found.decided == wanted.decided
    ranked = np.sort(wanted.options, axis=-1)
    slack = 2 * tolerance.bound(wanted.options).max(axis=-1) if tolerance else 0.0
    clear = ranked[..., -1] - ranked[..., -2] > slack
    return same, tuple(np.flatnonzero(~same & clear).tolist())
