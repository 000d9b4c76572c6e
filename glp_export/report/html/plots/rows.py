"""Plots of one row a model or file: the names of the rows, and values with their intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, dot, note, x_label
from glp_export.report.html.theme import placeholder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.bench.benchmark_rows import DifferenceRow, Interval

TOP, BOTTOM = 12, 48
_WIDE_ROW, _NARROW_ROW = 36, 56
_WIDE_NAME, _NARROW_NAME = 34, 48
"""Letters of a name that fit on a line."""
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
    letters = _NARROW_NAME if canvas.narrow else _WIDE_NAME
    for row, (name, colour) in enumerate(names):
        words = textwrap.fill(name, letters)
        note(axes, words, (0, row), offset, side, colour, xycoords=BESIDE_ROW, zorder=5)
    return axes


@dataclass(frozen=True)
class Branch:
    """One row: a value with its interval, or None where it was not measured."""

    name: str
    found: Interval | DifferenceRow | None
    colour: str = "accent"
    marker: str = "o"
    hollow: bool = False

    def cells(self, digits: int) -> list[str]:
        """The value and the ends of its interval."""
        if self.found is None:
            return [numbers.MISSING] * 3
        ends = self.found.value, self.found.low, self.found.high
        return [f"{each:z.{digits}f}".replace("-", "−") for each in ends]


def listed(branches: Sequence[Branch], unit: str = "") -> str:
    """All of them in words, with their intervals."""
    found = []
    for branch in branches:
        value, low, high = branch.cells(3)
        words = f"{value}{unit} ({low} to {high})" if branch.found else "not measured"
        found.append(f"{branch.name}: {words}")
    return "; ".join(found)


def forest(canvas: Canvas, branches: Sequence[Branch], line: float, unit: str) -> None:
    """Draw them one a row, and an upright line at the value that says "no difference"."""
    axes = row_axes(canvas, [(branch.name, "ink") for branch in branches])
    axes.axvline(line, color=placeholder("muted"), linewidth=1.2, linestyle="-", zorder=1)
    ends = [line]
    for row, branch in enumerate(branches):
        found = branch.found
        if found is None:
            continue
        ends += [found.low, found.high]
        colour = placeholder(branch.colour)
        axes.hlines(row, found.low, found.high, color=colour, linewidth=2, zorder=2)
        dot(axes, (found.value, row), branch.marker, branch.colour, hollow=branch.hollow, zorder=3)
    room = 0.08 * (max(ends) - min(ends) or 1)
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.locator_params(axis="x", nbins=4 if canvas.narrow else 8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    x_label(axes, unit)
