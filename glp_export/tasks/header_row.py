"""A file without a header line: its first row would be taken for names, and lost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from glp_export.core.errors import DataError, quoted
from glp_export.core.text import plain
from glp_export.tasks.arrow_columns import Cells
from glp_export.tasks.raw import RawSplit

if TYPE_CHECKING:
    from datasets import Dataset

_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")
_WORDS = 5
"""From so many on a name reads like a sentence."""
_LOOKED_AT = 1000


def require_header(split: RawSplit, texts: Iterable[str], label: str | None = None) -> None:
    """Refuse inferred columns whose names look like the values of a row.

    A label that is called `1` and a text that is called `the cat is good.` are such. Columns
    that are numbered from 0 on, as pandas writes them, have names.

    Args:
        split: its columns.
        texts: those of text that nobody named.
        label: the label's column, where neither its name nor anybody says that it is one.

    Raises:
        DataError: there is such a column.
    """
    rows = split.rows
    if list(rows.column_names) == [str(number) for number in range(len(rows.column_names))]:
        return
    values = [name for name in texts if _is_sentence(rows, name)]
    if label is not None and _NUMBER.fullmatch(label):
        values.append(label)
    if values:
        there = ", ".join(plain(quoted(name)) for name in rows.column_names)
        raise DataError(
            f"The first row seems to stand where the names of the columns belong: {there}.",
            where=split.source,
            fix="write a first line with names, such as text,label; or, if it has them, name the "
            "columns with --text-columns ONE [TWO] and --label-column NAME",
        )


def _is_sentence(rows: Dataset, name: str) -> bool:
    """Whether the name of a column of text is more likely one of its texts."""
    words = len(name.split())
    if words >= _WORDS or name.rstrip().endswith((".", "?", "!")):
        return True
    return words > 1 and name in Cells(rows, name)[:_LOOKED_AT]
