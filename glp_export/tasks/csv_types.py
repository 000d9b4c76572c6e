"""What the cells of a column of text are: numbers, lists, or the text that they look like."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_UNSURE = r"nan|NaN|-?inf"
_UNIT = r"-?(?:0|[1-9]\d{0,14})"
_FRACTION = rf"{_UNIT}\.\d{{0,18}}[1-9]|-?\d(?:\.\d{{0,16}}[1-9])?e[+-](?:\d\d|[12]\d\d)|{_UNSURE}"
_WHOLE = r"^(?:0|-?[1-9]\d{0,17})$"
_CANONICAL = {
    "whole": _WHOLE,
    "few digits": rf"^(?:0|-?[1-9]\d{{0,14}}|{_FRACTION})$",
    "always a point": rf"^(?:{_UNIT}\.0|{_FRACTION})$",
}
"""Ways to write numbers of which each has one spelling: `1`, `1` and `2.5`, `1.0` and `2.5`."""

_NEGATIVE_ZERO = r"^-0(?:\.0*)?$"
_POINT = re.compile(rf"{_UNIT}\.(\d{{1,12}})")
_LIST = r"^\s*\[.*\]\s*$"
_ITEM = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+|[01]\.0|True|False"""
_PYTHON_LIST = re.compile(
    rf"\s*\[\s*(?:(?:{_ITEM})\s*(?:,\s*(?:{_ITEM})\s*)*,?)?\s*\]\s*", re.DOTALL
)


class ColumnType:
    """What can be made of the cells of a column, as far as they were seen; empty ones say nothing.

    Numbers are only made of cells with one way of writing, so that no two spellings become one:
    `1E3` and `1000` stay two texts. So do numbers that float64 cannot tell apart.

    Args:
        text: whether the column is known to hold text, so that digits are no number.
    """

    def __init__(self, text: bool = False) -> None:
        self._filled = False
        self._text = text
        self._ways = {} if text else dict(_CANONICAL)
        self._sure = False
        self._items: set[type] | None = set()

    def see(self, cells: pa.ChunkedArray) -> None:
        """Look at some more of them."""
        import pyarrow.compute as pc

        if self._filled and not self._ways and self._items is None:
            return
        filled = cells.filter(pc.not_equal(cells, ""))
        if not len(filled):
            return
        if not (self._filled or self._text):
            self._add_fixed(filled[0].as_py())
        self._filled = True
        if self._ways and _any(filled, _NEGATIVE_ZERO):
            self._ways = {}
        self._ways = {way: form for way, form in self._ways.items() if _all(filled, form)}
        if self._ways and not self._sure:
            self._sure = not _all(filled, f"^(?:{_UNSURE})$")
        if self._items is not None:
            self._see_lists(filled)

    @property
    def type(self) -> pa.DataType | None:
        """Of the column; None for text."""
        import pyarrow as pa

        if not self._filled:
            return None
        if self._ways and self._sure:
            return pa.int64() if "whole" in self._ways else pa.float64()
        if self._items is None or len(self._items) > 1:
            return None
        return pa.list_(pa.int64() if self._items == {int} else pa.string())

    def _add_fixed(self, first: str) -> None:
        """As many digits behind the point in every cell are one way of writing too."""
        found = _POINT.fullmatch(first)
        if found:
            self._ways["fixed"] = rf"^(?:{_UNIT}\.\d{{{len(found[1])}}}|{_UNSURE})$"

    def _see_lists(self, filled: pa.ChunkedArray) -> None:
        if not _all(filled, f"(?s){_LIST}"):
            self._items = None
            return
        items = self._items or set()
        for cell in filled.to_pylist():
            values = read_list(cell)
            if values is None:
                self._items = None
                return
            items |= {type(value) for value in values}
        self._items = items


def read_list(cell: str) -> list[Any] | None:
    """The strings or whole numbers of a list as JSON or Python writes it; None for anything else.

    Whole numbers are also 0.0 and True, as rows of them come that say of every label whether a text
    has it. What numpy prints is none: it has no commas, and Python would join its strings to one.
    """
    import ast

    try:
        values = json.loads(cell)
    except ValueError:
        if not _PYTHON_LIST.fullmatch(cell):
            return None
        try:
            values = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError):
            return None
    if not isinstance(values, list):
        return None
    values = [int(value) if value in (0.0, 1.0) else value for value in values]
    return values if all(type(value) in (str, int) for value in values) else None


def typed(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The table with some of its columns of text as what they are; an empty cell is null there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, kind in types.items():
        if pa.types.is_list(kind):
            lists = [read_list(cell) if cell else None for cell in table[name].to_pylist()]
            column: Any = pa.array(lists, kind)
        else:
            empty = pc.equal(table[name], "")
            column = pc.if_else(empty, pa.scalar(None, pa.string()), table[name]).cast(kind)
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _all(cells: pa.ChunkedArray, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _any(cells: pa.ChunkedArray, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())
