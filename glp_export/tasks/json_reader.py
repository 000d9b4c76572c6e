"""JSON files as tables: an array of objects, or one object a line; a fault names its row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DataError
from glp_export.core.text import plain
from glp_export.tasks.chunked_table import ChunkedTable, pieces
from glp_export.tasks.file_open import broken, open_bytes
from glp_export.tasks.json_values import NotJsonError, decode

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def read_jsonl(path: Path) -> Dataset:
    """Read one object a line.

    Raises:
        DataError: a line is no JSON object, or its values are unlike those of other rows.
    """
    with open_bytes(path) as file:
        return _from_records(path, _json_lines(path, file))


def _json_lines(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """The objects of a file with one a line, and how long each is."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = decode(line)
        except NotJsonError as error:
            raise broken(path, f"row {number}", error.fault) from error
        if isinstance(record, list):
            raise DataError(
                f"The file is broken: row {number} is a JSON array, not an object.",
                where=f"{path}, row {number}",
                fix="write one object a line; a file that is one array has a name ending in .json",
            )
        if not isinstance(record, dict):
            raise broken(path, f"row {number}", "is not a JSON object")
        yield record, len(line)


def read_json(path: Path) -> Dataset:
    """Read an array of objects, the same under ``data``, or one object a line.

    Raises:
        DataError: it is not JSON, holds columns, or a row is no object or unlike the others.
    """
    with open_bytes(path) as file:
        content = file.read()
    try:
        document = decode(content) if content.strip() else []
    except NotJsonError as error:
        if error.syntax and not content.lstrip().startswith(b"["):
            return read_jsonl(path)
        place = f"line {error.line}" if error.syntax else "its content"
        raise broken(path, place, error.fault) from error
    if isinstance(document, dict):
        _refuse_columns(path, document)
        document = document.get("data", [document])
    if not isinstance(document, list):
        raise broken(path, "its top level", "is not an array of objects")
    for number, record in enumerate(document, start=1):
        if not isinstance(record, dict):
            raise broken(path, f"row {number}", "is not a JSON object")
    return _from_records(path, ((record, 0) for record in document))


def _refuse_columns(path: Path, document: Mapping[str, Any]) -> None:
    """Say how to write rows, where a document has columns: pandas' own way of writing a frame.

    Raises:
        DataError: every value holds a whole column.
    """
    values = list(document.values())
    kinds = (dict, list)
    if len(values) > 1 and any(
        all(isinstance(value, kind) and len(value) > 1 for value in values)
        and len({len(value) for value in values}) == 1
        for kind in kinds
    ):
        raise DataError(
            f"The document holds columns ({', '.join(map(plain, list(document)[:4]))}), not rows.",
            where=str(path),
            fix="write an object for each row: frame.to_json(FILE, orient='records', lines=True)",
        )


def _from_records(path: Path, records: Iterable[tuple[dict[str, Any], int]]) -> Dataset:
    columns = _Columns(path)
    for piece in pieces(records):
        # A dictionary keeps the columns in the order in which the file brings them up.
        names = dict.fromkeys(name for record in piece for name in record)
        columns.add({name: [row.get(name) for row in piece] for name in names}, len(piece))
    return columns.chunks.finish()


class _Columns:
    """Columns of Python values on their way into a table; a fault is reported with its row."""

    def __init__(self, path: Path) -> None:
        self.chunks = ChunkedTable()
        self._path = path
        self._rows = 0
        self._first: dict[str, Any] = {}

    def add(self, columns: Mapping[str, Sequence[Any]], rows: int) -> None:
        """Take the columns of the next so many rows.

        Raises:
            DataError: values of different types in a column, or one that cannot be stored.
        """
        import pyarrow as pa

        arrays = {name: self._array(name, values) for name, values in columns.items()}
        try:
            self.chunks.add(pa.table(arrays))
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise self._unlike_before(columns) from error
        self._rows += rows
        for name in columns.keys() - self._first.keys():
            present = next((value for value in columns[name] if value is not None), None)
            if present is not None:
                self._first[name] = present

    def _array(self, name: str, values: Sequence[Any]) -> pa.Array:
        import pyarrow as pa

        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise self._unstorable(name, values) or self._mixed(name, values) from error

    def _unlike_before(self, columns: Mapping[str, Sequence[Any]]) -> DataError:
        """The first column that is of another type than in the rows before."""
        import pyarrow as pa

        for name in filter(self._first.__contains__, columns):
            try:
                pa.array([self._first[name], *columns[name]])
            except pa.ArrowException:
                return self._mixed(name, columns[name])
        fault = "or one soon after has columns unlike those before"
        return broken(self._path, f"row {self._rows + 1}", fault)

    def _unstorable(self, name: str, values: Sequence[Any]) -> DataError | None:
        """The first value that cannot be stored, not even alone."""
        import pyarrow as pa

        for row, value in enumerate(values):
            try:
                pa.array([value])
            except UnicodeEncodeError:
                return DataError(
                    "A text holds half a character (a lone surrogate), which is no Unicode.",
                    where=self._place(row, name),
                    fix=r"correct it, or write the file anew: where JSON escapes a character as "
                    r"two \u… the two belong together",
                )
            except (pa.ArrowException, OverflowError):
                return DataError(
                    f"A value cannot be stored in a table: {value!r:.60}",
                    where=self._place(row, name),
                    fix="write it as text, in quotation marks",
                )
        return None

    def _mixed(self, name: str, values: Sequence[Any]) -> DataError:
        present = [(row, value) for row, value in enumerate(values) if value is not None]
        first = self._first.get(name, present[0][1])
        row, odd = next(
            ((row, value) for row, value in present if _kind(value) is not _kind(first)),
            present[0],
        )
        return DataError(
            f"Column '{name}' holds values of different types: {type(first).__name__} and "
            f"{type(odd).__name__}.",
            where=self._place(row, name),
            fix="make them all of one type",
        )

    def _place(self, row: int, name: str) -> str:
        return f"{self._path}, row {self._rows + row + 1}, column '{name}'"


def _kind(value: Any) -> type:
    """The type that a column takes from a value; whole numbers and others go together."""
    return float if type(value) is int else type(value)
