"""Values with their intervals, one below the other, and the line that they are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Plot, Words, dot, drawn, x_label
from glp_export.report.html.plots.rows import heights, row_axes
from glp_export.report.html.theme import placeholder

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import DifferenceRow, Interval


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


def forest(words: Words, branches: Sequence[Branch], line: float, unit: str) -> Plot:
    """The plot of these rows.

    Args:
        words: around it.
        branches: one a row.
        line: the value that says "no difference".
        unit: of the values.
    """
    count = len(branches)
    return drawn(lambda canvas: _draw(canvas, branches, line, unit), heights(count), words)


def _draw(canvas: Canvas, branches: Sequence[Branch], line: float, unit: str) -> None:
    """Draw them, and an upright line at the value that says "no difference"."""
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
