"""How tables on a terminal look."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

BETWEEN = 2
"""Columns of the terminal between two columns of a table."""


def titled_table(title: str) -> Table:
    """A table with a rule under its head and two spaces between its columns."""
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


class Fitting:
    """Tables in several widths: the first that the terminal has room for is shown.

    A table has room where no word of it has to be cut, and no cell that stays on its line.

    Args:
        choices: each one table or several below one another, the widest first; the last is shown
            where none fits.
    """

    def __init__(self, *choices: Sequence[Table]) -> None:
        self._choices = choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fitting = (
            tables
            for tables in self._choices
            if max(_needed(table, console) for table in tables) <= options.max_width
        )
        for number, table in enumerate(next(fitting, self._choices[-1])):
            if number:
                yield ""
            yield table


def _needed(table: Table, console: Console) -> int:
    """The columns of the terminal that a table needs at least."""
    widths = [_column_needed(column, console) for column in table.columns]
    return sum(widths) + BETWEEN * (len(widths) - 1)


def _column_needed(column: Column, console: Console) -> int:
    endless = console.options.update_width(1000)
    cells = [Measurement.get(console, endless, cell) for cell in (column.header, *column.cells)]
    if column.no_wrap:
        return max(cell.maximum for cell in cells)
    return max(cell.minimum for cell in cells)


def facts_table() -> Table:
    """A table of names and values without a head."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
