"""File formats of local data. A broken file is refused with the row at which it breaks."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|-?inf", re.IGNORECASE)


def read_rows(path: Path) -> Dataset:
    """Read a file by its ending, in the order of its rows, into memory.

    Raises:
        DataError: an unknown ending, or content that is not what the ending says.
    """
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"Files ending in '{path.suffix}' are not understood.",
            where=str(path),
            fix=f"convert it to one of {', '.join(FORMATS)}",
        )
    try:
        return reader(path)
    except UnicodeDecodeError as error:
        raise DataError(
            "The file is not UTF-8 text.", where=str(path), fix="save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}.",
            where=str(path),
            fix="check its rights and that it is whole",
        ) from error


def _read_jsonl(path: Path) -> Dataset:
    records = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                fault = getattr(error, "msg", "not UTF-8 text")
                raise _broken(path, f"row {number}", f"is not JSON ({fault})") from error
            if not isinstance(record, dict):
                raise _broken(path, f"row {number}", "is not a JSON object")
            records.append(record)
    return _from_records(path, records)


def _read_json(path: Path) -> Dataset:
    """An array of objects, the same under ``data``, or one object a line."""
    content = path.read_bytes()
    try:
        document = json.loads(content) if content.strip() else []
    except json.JSONDecodeError as error:
        if not content.lstrip().startswith(b"["):
            return _read_jsonl(path)
        raise _broken(path, f"line {error.lineno}", f"is not JSON ({error.msg})") from error
    if isinstance(document, dict):
        document = document.get("data", [document])
    if not isinstance(document, list):
        raise _broken(path, "its top level", "is not an array of objects")
    for number, record in enumerate(document, start=1):
        if not isinstance(record, dict):
            raise _broken(path, f"row {number}", "is not a JSON object")
    return _from_records(path, document)


def _from_records(path: Path, records: Sequence[dict[str, Any]]) -> Dataset:
    # A dictionary keeps the columns in the order in which the file brings them up.
    names = dict.fromkeys(name for record in records for name in record)
    return _from_columns(path, {name: [row.get(name) for row in records] for name in names})


def _read_csv(path: Path) -> Dataset:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return _from_table(path, _csv_rows(path, file, ","))


def _read_tsv(path: Path) -> Dataset:
    """Read tabs with or without quoting.

    GLUE's own files and many others write quotation marks as they are, unpaired ones too, over
    which a CSV reader swallows rows. So a file in which every line has as many fields as the
    header is taken line by line; only another is read by the rules of quoting.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = file.readlines()
    rows = [line.rstrip("\r\n").split("\t") for line in lines if line.strip("\r\n")]
    if len({len(row) for row in rows}) > 1:
        return _from_table(path, _csv_rows(path, lines, "\t"))
    return _from_table(path, [[_unquoted(field) for field in row] for row in rows])


def _csv_rows(path: Path, lines: Iterable[str], delimiter: str) -> list[list[str]]:
    csv.field_size_limit(sys.maxsize)  # the default refuses documents past 128 KiB
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if rows and row and len(row) != len(rows[0]):
                fault = f"has {len(row)} fields, the header {len(rows[0])}"
                raise _broken(path, f"line {reader.line_num}", fault)
            if row:
                rows.append(row)
    except csv.Error as error:
        raise _broken(path, f"line {reader.line_num}", f"is not well formed: {error}") from error
    return rows


def _unquoted(field: str) -> str:
    quoted = _QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field


def _from_table(path: Path, rows: Sequence[Sequence[str]]) -> Dataset:
    """Make columns of a header and its rows."""
    header = rows[0] if rows else ()
    if len(set(header)) < len(header):
        raise _broken(path, "the header", "names a column twice")
    columns = zip(*rows[1:], strict=True) if rows[1:] else ([] for _ in header)
    typed = {name: _typed(cells) for name, cells in zip(header, columns, strict=True)}
    return _from_columns(path, typed)


def _typed(cells: Sequence[str]) -> list[Any]:
    """Cells as whole numbers, else as numbers, if all that are not empty are such."""
    filled = [cell for cell in cells if cell]
    for pattern, kind in ((_WHOLE, int), (_DECIMAL, float)):
        if filled and all(pattern.fullmatch(cell) for cell in filled):
            return [kind(cell) if cell else None for cell in cells]
    return list(cells)


def _from_columns(path: Path, columns: dict[str, list[Any]]) -> Dataset:
    import pyarrow as pa
    from datasets import Dataset

    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise _mixed(path, name, values) from error
    return Dataset.from_dict(arrays)


def _mixed(path: Path, name: str, values: Sequence[Any]) -> DataError:
    present = [(row, value) for row, value in enumerate(values) if value is not None]
    first = type(present[0][1])
    row, odd = next(
        ((row, type(value)) for row, value in present if type(value) is not first), (0, first)
    )
    return DataError(
        f"Column '{name}' holds values of different types: {first.__name__} and {odd.__name__}.",
        where=f"{path}, row {row + 1}, column '{name}'",
        fix="make them all of one type",
    )


def _read_parquet(path: Path) -> Dataset:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset
    from datasets.table import InMemoryTable

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise _broken(path, "the file", f"is not Parquet: {error}") from error
    for index, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):  # pandas' categories
            decoded = table[column.name].cast(column.type.value_type)
            table = table.set_column(index, column.name, decoded)
    return Dataset(InMemoryTable(table))


def _broken(path: Path, place: str, fault: str) -> DataError:
    return DataError(
        f"The file is broken: {place} {fault}.",
        where=f"{path}, {place}",
        fix="correct it, or write the file anew",
    )


FORMATS: dict[str, Callable[[Path], Dataset]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
