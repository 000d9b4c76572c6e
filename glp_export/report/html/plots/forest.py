"""Values with their intervals, one below the other, and the line that they are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Plot, Words, dot, drawn, x_label
from glp_export.report.html.plots.rows import heights, row_axes
from glp_export.report.html.theme import placeholder
from glp_export.report.tables import Table


@dataclass(frozen=True)
class Branch:
    """One row: a value with its interval, or nothing where it was not measured."""

    name: str
    colour: str
    value: float | None
    low: float
    high: float
    marker: str = "o"
    hollow: bool = False

    def cells(self, digits: int) -> tuple[str, str, str]:
        """The value and the ends of its interval."""
        if self.value is None:
            return (numbers.MISSING,) * 3
        value, low, high = (
            f"{each:z.{digits}f}".replace("-", "−") for each in (self.value, self.low, self.high)
        )
        return value, low, high


def listed(branches: Sequence[Branch], unit: str = "") -> str:
    """All of them in words, with their intervals."""
    found = []
    for branch in branches:
        value, low, high = branch.cells(3)
        words = "not measured" if branch.value is None else f"{value}{unit} ({low} to {high})"
        found.append(f"{branch.name}: {words}")
    return "; ".join(found)


def branch_table(caption: str, what: str, branches: Sequence[Branch], digits: int) -> Table:
    """All of them as a table."""
    heads = "artifact", what, "from", "to"
    cells = ((branch.name, *branch.cells(digits)) for branch in branches)
    return Table.of(caption, (dict(zip(heads, row, strict=True)) for row in cells))


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
        if branch.value is None:
            continue
        ends += [branch.low, branch.high]
        colour = placeholder(branch.colour)
        axes.hlines(row, branch.low, branch.high, color=colour, linewidth=2, zorder=2)
        place = branch.value, row
        dot(axes, place, branch.marker, branch.colour, hollow=branch.hollow, zorder=3)
    room = 0.08 * (max(ends) - min(ends) or 1)
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.locator_params(axis="x", nbins=4 if canvas.narrow else 8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    x_label(axes, unit)
