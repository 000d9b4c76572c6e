"""Weights as 8-bit integers with a scale: symmetric, so that zero stays zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glp_export.core.machine import cpu_features, multiplies_int8

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LARGEST, SEVEN_BITS = 127, 64
"""Steps to either side of zero; −128 is left out, as the ranges are symmetric.

A CPU without integer dot products adds pairs of u8 × s8 products in 16 bits, which overflow in
silence: weights of 7 bits keep the sums right there (onnxruntime#6004).
"""


def steps_here() -> int:
    """The steps that this machine's int8 matmuls compute right."""
    return LARGEST if multiplies_int8(cpu_features()) else SEVEN_BITS


def to_int8(weight: Array, axis: int | None, steps: int | None = None) -> tuple[Array, Array]:
    """Round a matrix to 255 steps, or to 127 where the machine would overflow.

    Args:
        weight: `(rows, columns) float32`.
        axis: the axis that a scale is taken over, 0 for one a column; None for one in all.
        steps: to either side of zero; None for `steps_here`.

    Returns:
        The integers `(rows, columns) int8`, and the scales float32: `(columns,)` for axis 0,
        `(rows,)` for axis 1, `()` for None. Integers times scale is the weight again.
    """
    import numpy as np

    largest = np.abs(weight).max(axis=axis)
    scale = np.where(largest > 0, largest / (steps or steps_here()), 1.0).astype(np.float32)
    divisor = scale[:, None] if axis == 1 else scale
    return np.rint(weight / divisor).astype(np.int8), scale
