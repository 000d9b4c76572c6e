"""Tables of text: values between commas or tabs, whose types only the whole column tells."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.tasks.chunked_table import ChunkedTable, pieces
from glp_export.tasks.file_open import broken, open_text

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|-?inf", re.IGNORECASE)

_MOST_DIGITS = 18
"""Of a whole number: with more it may not fit into 64 bits, and is an identifier anyway."""


def read_csv(path: Path) -> Dataset:
    """Read a header and its rows.

    Raises:
        DataError: a row with more or fewer fields than the header, or quotes that do not close.
    """
    with open_text(path) as file:
        return _from_table(path, _csv_rows(path, file, ","))


def read_tsv(path: Path) -> Dataset:
    """Read tabs with or without quoting.

    GLUE's own files and many others write quotation marks as they are, unpaired ones too, over
    which a CSV reader swallows rows. So a file in which every line has as many fields as the
    header is taken line by line; only another is read by the rules of quoting.

    Raises:
        DataError: as `read_csv`.
    """
    with open_text(path) as file:
        widths = {line.count("\t") for line in file if line.strip("\r\n")}
    with open_text(path) as file:
        if len(widths) > 1:
            return _from_table(path, _csv_rows(path, file, "\t"))
        lines = (line.rstrip("\r\n").split("\t") for line in file if line.strip("\r\n"))
        return _from_table(path, ([_unquoted(field) for field in row] for row in lines))


def _csv_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)  # the default refuses documents past 128 KiB
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = None
    try:
        for row in reader:
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                fault = f"has {len(row)} fields, the header {width}"
                raise broken(path, f"line {reader.line_num}", fault)
            yield row
    except csv.Error as error:
        raise broken(path, f"line {reader.line_num}", f"is not well formed: {error}") from error


def _unquoted(field: str) -> str:
    quoted = _QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field


class _Cells:
    """What can be made of the cells of a column, as far as they were seen."""

    def __init__(self) -> None:
        self._filled = False
        self._whole = True
        self._decimal = True

    def see(self, cells: Sequence[str]) -> None:
        """Look at some more of them; those that are empty say nothing."""
        filled = [cell for cell in cells if cell]
        self._filled = self._filled or bool(filled)
        if self._decimal and any(_too_long(cell) for cell in filled):
            self._decimal = self._whole = False
        self._whole = self._whole and all(map(_WHOLE.fullmatch, filled))
        self._decimal = self._decimal and all(map(_DECIMAL.fullmatch, filled))

    @property
    def type(self) -> type[int] | type[float] | type[str]:
        """Whole numbers, else numbers, if all that are not empty are such, else text."""
        if not self._filled or not self._decimal:
            return str
        return int if self._whole else float


def _too_long(cell: str) -> bool:
    return len(cell) > _MOST_DIGITS and cell.lstrip("-").isdecimal()


def _from_table(path: Path, rows: Iterator[list[str]]) -> Dataset:
    """Make columns of a header and its rows."""
    import pyarrow as pa

    header = next(rows, [])
    if len(set(header)) < len(header):
        raise broken(path, "the header", "names a column twice")
    seen = {name: _Cells() for name in header}
    spool = ChunkedTable()
    for piece in pieces((row, sum(map(len, row))) for row in rows):
        columns = dict(zip(header, zip(*piece, strict=True), strict=True))
        for name, cells in columns.items():
            seen[name].see(cells)
        spool.add(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}))
    numbers = {name: cells.type for name, cells in seen.items() if cells.type is not str}
    return spool.finish((lambda table: _with_numbers(table, numbers)) if numbers else None)


def _with_numbers(
    table: pa.Table, numbers: Mapping[str, type[int] | type[float] | type[str]]
) -> pa.Table:
    """The table with some of its columns of text as numbers; an empty cell is null there."""
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64()}
    for name, kind in numbers.items():
        cells = table[name].to_pylist()
        values = pa.array([kind(cell) if cell else None for cell in cells], types[kind])
        table = table.set_column(table.column_names.index(name), name, values)
    return table
