"""What plots of one row a model or file have in common: the names beside or above their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.report.html.picture import Canvas, note

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP, BOTTOM = 12, 48
_WIDE_ROW, _NARROW_ROW = 36, 56
BESIDE_ROW = "axes fraction", "data"
"""Units of a place that is told by a share of the width and a row."""


def heights(count: int) -> tuple[float, float]:
    """Of the wide and the narrow drawing of so many rows."""
    return TOP + BOTTOM + _WIDE_ROW * count, TOP + BOTTOM + _NARROW_ROW * count


def half_row(canvas: Canvas) -> float:
    """How far a drawing may reach to either side of its row's middle, in rows."""
    return 0.2 if canvas.narrow else 0.36


def row_axes(canvas: Canvas, names: Sequence[tuple[str, str]], right: float = 16) -> Axes:
    """Axes with one row a name, the first on top; a name is its text and its colour's name.

    On a phone the names stand above their rows, where a column of them would take half the width.
    """
    left = 14 if canvas.narrow else 250
    axes = canvas.axes(left=left, top=TOP, right=right, bottom=BOTTOM)
    count = len(names)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    offset, side = ((0, 13), "left bottom") if canvas.narrow else ((-16, 0), "right center")
    for row, (name, colour) in enumerate(names):
        note(axes, name, (0, row), offset, side, colour, xycoords=BESIDE_ROW, zorder=5)
    return axes
