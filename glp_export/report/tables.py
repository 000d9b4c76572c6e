"""Tables as rows of text, and their three writers: Markdown, a terminal, and the HTML templates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from glp_export.core.numbers import MISSING
from glp_export.core.tables import titled_table
from glp_export.core.text import markdown, plain

if TYPE_CHECKING:
    from rich.table import Table as RichTable

T = TypeVar("T")

_LONG = 2000


def known(found: T | None, write: Callable[[T], str]) -> str | None:
    """The cell of a value that may not be known; None where it is not."""
    return None if found is None else write(found)


class Quoted(str):
    """A cell from data or from a user: Markdown shows its markup and does not obey it."""


class Code(str):
    """A cell that Markdown sets as code, such as the name of a file."""


class Good(str):
    """A cell that is green on a terminal."""


class Bad(str):
    """A cell that is red on a terminal."""


class Faint(str):
    """A cell that is dim on a terminal."""


_STYLES: dict[type, str] = {Good: "green", Bad: "red", Faint: "dim"}


@dataclass(frozen=True)
class Column:
    """The head of a column; numbers stand flush right."""

    title: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its header. One without rows is false.

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

    @classmethod
    def of(
        cls,
        caption: str,
        rows: Iterable[Mapping[str, str | None]],
        *,
        words: Collection[str] = (),
        strong: Iterable[int] = (),
    ) -> Table:
        """A table of cells by the titles of their columns, which all rows share; None is a dash.

        Columns hold numbers, but for the first and those that are named as words.
        """
        listed = list(rows)
        titles = tuple(listed[0]) if listed else ()
        return cls(
            caption,
            tuple(
                Column(title, number > 0 and title not in words)
                for number, title in enumerate(titles)
            ),
            tuple(
                tuple(MISSING if cell is None else cell for cell in row.values()) for row in listed
            ),
            frozenset(strong),
        )

    def __bool__(self) -> bool:
        return bool(self.rows)

    def beside(self, title: str, cells: Iterable[str]) -> Table:
        """The same table with one column of words more."""
        rows = tuple((*row, cell) for row, cell in zip(self.rows, cells, strict=True))
        return replace(self, columns=(*self.columns, Column(title, numeric=False)), rows=rows)

    def without(self, *titles: str) -> Table:
        """The same table without some columns."""
        kept = [n for n, column in enumerate(self.columns) if column.title not in titles]
        return replace(
            self,
            columns=tuple(self.columns[n] for n in kept),
            rows=tuple(tuple(row[n] for n in kept) for row in self.rows),
        )


def markdown_table(table: Table) -> str:
    """The table in GitHub's Markdown, without its caption."""
    heads = [column.title.replace("|", "\\|") for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for number, row in enumerate(table.rows):
        first, *others = map(_cell, row)
        head = f"**{first}**" if number in table.strong else first
        lines.append(f"| {' | '.join((head, *others))} |")
    return "\n".join(lines)


def code(text: str) -> str:
    """Text as inline code of Markdown, whatever is in it; empty for none."""
    return f"`{plain(text, _LONG).replace('`', chr(39))}`" if text else ""


def terminal_table(
    table: Table,
    title: str,
    *,
    fold: Collection[str] = (),
    faint: Collection[int] = (),
    grouped: bool = False,
    sections: bool = False,
) -> RichTable:
    """The table on a terminal: heads in two lines, no cell cut but in columns that may fold.

    Args:
        table: what is drawn; its caption is not.
        title: above it.
        fold: titles of columns that may fold.
        faint: numbers of rows that are dim.
        grouped: write the head of rows once, where several that follow one another have the same.
        sections: likewise, and set them apart.
    """
    drawn = titled_table(title)
    for column in table.columns:
        drawn.add_column(
            _narrow(column.title) if column.numeric else column.title,
            justify="right" if column.numeric else "left",
            no_wrap=column.title not in fold,
            overflow="fold",
        )
    previous = ""
    for number, (head, *cells) in enumerate(table.rows):
        again = head == previous and (grouped or sections)
        if sections and previous and not again:
            drawn.add_section()
        texts = (
            Text(cell, _STYLES.get(type(cell), "")) for cell in ("" if again else head, *cells)
        )
        style = "bold" if number in table.strong else "dim" if number in faint else ""
        drawn.add_row(*texts, style=style)
        previous = head
    return drawn


def _narrow(title: str) -> str:
    """A title in lines of 8 letters, or of one word of 11: cells of intervals are as wide."""
    lines = (line for part in title.split("\n") for line in wrap(part, 8, break_long_words=False))
    return "\n".join(part for line in lines for part in wrap(line, 11))


def _cell(text: str) -> str:
    if isinstance(text, Code):
        return code(text)
    return markdown(text, _LONG) if isinstance(text, Quoted) else text
