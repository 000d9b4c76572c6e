"""Weights as 8-bit integers with a scale: symmetric, so that zero stays zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LARGEST = 127
"""Of a signed byte; −128 is left out, as the ranges are symmetric."""


def to_int8(weight: Array, axis: int | None) -> tuple[Array, Array]:
    """Round a matrix to 255 steps.

    Args:
        weight: `(rows, columns) float32`.
        axis: the axis that a scale is taken over, 0 for one a column; None for one in all.

    Returns:
        The integers `(rows, columns) int8`, and the scales float32: `(columns,)` for axis 0,
        `(rows,)` for axis 1, `()` for None. Integers times scale is the weight again.
    """
    import numpy as np

    largest = np.abs(weight).max(axis=axis)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    divisor = scale[:, None] if axis == 1 else scale
    return np.rint(weight / divisor).astype(np.int8), scale
