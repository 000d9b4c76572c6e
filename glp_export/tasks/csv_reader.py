"""Tables of text: values between commas or tabs, whose types only the whole column tells."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.core.errors import DataError
from glp_export.core.text import plain
from glp_export.tasks.chunked_table import ChunkedTable
from glp_export.tasks.csv_types import ColumnType, typed
from glp_export.tasks.file_open import broken, open_bytes, open_text

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars (|)", ",": "commas"}
_SEPARATOR_LINE = re.compile(r"sep=(.)")
_BLOCK, _LONGEST_ROW = 2**19, 2**31 - 1
"""Bytes of the file in memory together: at first, and at most, where a row is longer."""
_QUOTE = b'"'


def read_csv(path: Path, text_columns: Sequence[str] = ()) -> Dataset:
    """Read a header and its rows.

    A column is of numbers, or of lists, where every cell is one; one named as text is of none.

    Raises:
        DataError: a row with more or fewer fields than the header, quotes that do not close,
            or another separator.
    """
    return _read(path, ",", text_columns, quoted=True)


def read_tsv(path: Path, text_columns: Sequence[str] = ()) -> Dataset:
    """Read tabs with or without quoting.

    GLUE's own files and many others write quotation marks as they are, unpaired ones too, over
    which a CSV reader swallows rows. So a file in which every line has as many fields as the
    header is taken line by line; only another is read by the rules of quoting.

    Raises:
        DataError: as `read_csv`.
    """
    with open_text(path) as file:
        widths = {line.count("\t") for line in file if line.strip("\r\n")}
    return _read(path, "\t", text_columns, quoted=len(widths) > 1)


def _read(path: Path, delimiter: str, text_columns: Sequence[str], *, quoted: bool) -> Dataset:
    import pyarrow as pa

    header = _header(path, delimiter)
    if not header:
        return ChunkedTable().finish()
    # Arrow takes a mark that does not close for one that closes at the end of the file.
    if quoted and _has_quotes(path) and (fault := _find_fault(path, delimiter)):
        raise fault
    size = _BLOCK
    while True:
        try:
            return _from_batches(path, header, delimiter, text_columns, quoted, size)
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and size < _LONGEST_ROW:
                size = min(8 * size, _LONGEST_ROW)
                continue
            fault = _find_fault(path, delimiter)
            raise fault or broken(
                path, "its content", f"is not well formed: {plain(str(error))}"
            ) from error


def _header(path: Path, delimiter: str) -> list[str]:
    """The names of the columns.

    Raises:
        DataError: a name that stands twice, or values between which something else stands.
    """
    csv.field_size_limit(sys.maxsize)
    with open_text(path) as file:
        header = next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
    if len(set(header)) < len(header):
        raise broken(path, "the header", "names a column twice")
    line = delimiter.join(header)
    if found := _SEPARATOR_LINE.fullmatch(line):
        anew = (
            "" if found[1] == delimiter else f", and write {_SEPARATORS[delimiter]} between values"
        )
        raise DataError(
            f"The first line is for spreadsheets alone: '{line}' is no header.",
            where=f"{path}, line 1",
            fix=f"remove that line{anew}",
        )
    if len(header) == 1:
        _require_separator(path, header[0], delimiter)
    return header


def _require_separator(path: Path, line: str, delimiter: str) -> None:
    """Refuse a header that is one column only because something else stands between its names."""
    counts = {mark: line.count(mark) for mark in _SEPARATORS if mark != delimiter}
    mark = max(counts, key=lambda one: counts[one])
    if not counts[mark]:
        return
    ending = {",": "let its name end in .csv", "\t": "let its name end in .tsv"}
    anew = f"write it with commas: pandas.read_csv(FILE, sep='{mark}').to_csv(NEW, index=False)"
    raise DataError(
        f"The values stand between {_SEPARATORS[mark]}, not {_SEPARATORS[delimiter]}: the header "
        f"is '{plain(line)}'.",
        where=f"{path}, the header",
        fix=ending.get(mark, anew),
    )


def _has_quotes(path: Path) -> bool:
    with open_bytes(path) as file:
        return any(_QUOTE in block for block in iter(lambda: file.read(_BLOCK), b""))


def _from_batches(
    path: Path,
    header: Sequence[str],
    delimiter: str,
    text_columns: Sequence[str],
    quoted: bool,
    size: int,
) -> Dataset:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    seen = {name: ColumnType(text=name in text_columns) for name in header}
    rows = ChunkedTable()
    with open_bytes(path) as file:
        reader = arrow_csv.open_csv(
            pa.PythonFile(file, mode="r"),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=size),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
        for batch in reader:
            if not batch.num_rows:
                continue
            table = pa.Table.from_batches([batch])
            table = table if quoted else _unquoted(table)
            for name, cells in seen.items():
                cells.see(table[name])
            rows.add(table)
    types = {name: kind for name, cells in seen.items() if (kind := cells.type) is not None}
    return rows.finish((lambda table: typed(table, types)) if types else None)


def _unquoted(table: pa.Table) -> pa.Table:
    """Fields that stand wholly in quotation marks, without these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in table.columns:
        whole = pc.match_substring_regex(column, r'^"(?:[^"]|"")*"$')
        inner = pc.replace_substring(pc.utf8_slice_codeunits(column, 1, -1), '""', '"')
        columns.append(pc.if_else(whole, inner, column))
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _find_fault(path: Path, delimiter: str) -> DataError | None:
    """The first line that is not well formed, by the rules of quoting; None for none."""
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        width = None
        try:
            for row in reader:
                width = width or len(row)
                if row and len(row) != width:
                    fault = f"has {len(row)} fields, the header {width}"
                    return broken(path, f"line {reader.line_num}", fault)
        except csv.Error as error:
            return broken(path, f"line {reader.line_num}", f"is not well formed: {error}")
    return None
