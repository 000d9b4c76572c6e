"""Tables as the page shows them: the numbers under a plot, and the tables of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """The head of a column; numbers stand flush right."""

    title: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its header.

    Attributes:
        caption: what it shows, with the units.
        columns: from left to right.
        rows: one cell a column, written out.
        strong: numbers of the rows that matter most.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()


def columns(*titles: str, words: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Columns of numbers, but for the first and those that are named as words."""
    return tuple(
        Column(title, numeric=number > 0 and title not in words)
        for number, title in enumerate(titles)
    )
