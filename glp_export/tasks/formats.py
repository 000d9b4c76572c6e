"""File formats of local data. A broken file is refused with the row at which it breaks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DataError
from glp_export.core.text import plain
from glp_export.tasks.chunked_table import PIECE_BYTES, PIECE_ROWS, ChunkedTable, pieces
from glp_export.tasks.csv_reader import read_csv, read_tsv
from glp_export.tasks.file_open import GZIP, broken, name_and_ending, open_bytes, open_text
from glp_export.tasks.json_values import NotJsonError, decode

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_POINTER = b"version https://git-lfs.github.com/spec/"


def read_rows(path: Path, text_columns: Sequence[str] = ()) -> Dataset:
    """Read a file by its ending, in the order of its rows.

    The columns that are named hold text, also where all of a CSV column's cells are digits.

    A small file is taken into memory, another is mapped from a copy on the disk (`ChunkedTable`); a
    JSON document has to be in memory while it is read, which one object a line does not.

    Raises:
        DataError: an unknown ending, or content that is not what the ending says.
    """
    reader = FORMATS.get(name_and_ending(path)[1])
    if reader is None:
        raise DataError(
            f"Files ending in '{path.suffix}' are not understood.",
            where=str(path),
            fix=f"convert it to one of {ENDINGS}",
        )
    if isinstance(reader, _Untyped):
        return _explained(path, partial(reader.read, text_columns=text_columns))
    return _explained(path, reader)


def read_lines(path: Path, column: str) -> Dataset:
    """Read a text a line into one column; lines of nothing but spaces are left out.

    Raises:
        DataError: the file cannot be read, or is not UTF-8 text.
    """

    def reader(path: Path) -> Dataset:
        import pyarrow as pa

        chunks = ChunkedTable()
        with open_text(path) as file:
            lines = (line.rstrip("\r\n") for line in file if line.strip())
            for piece in pieces((line, len(line)) for line in lines):
                chunks.add(pa.table({column: piece}))
        return chunks.finish()

    return _explained(path, reader)


def _explained(path: Path, reader: Callable[[Path], Dataset]) -> Dataset:
    """Read a file, and say what is wrong with one that cannot be read."""
    try:
        _refuse_pointer(path)
        return reader(path)
    except UnicodeDecodeError as error:
        raise DataError(
            "The file is not UTF-8 text.", where=str(path), fix="save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The file cannot be read: {getattr(error, 'strerror', None) or error}.",
            where=str(path),
            fix="check its rights and that it is whole",
        ) from error


def _refuse_pointer(path: Path) -> None:
    """Name what stands in a checkout for a file that Git LFS has not fetched.

    Raises:
        DataError: it is such a pointer.
    """
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise DataError(
                "The file is a Git LFS pointer, not the data itself.",
                where=str(path),
                fix="fetch the data: git lfs pull",
            )


def _read_jsonl(path: Path) -> Dataset:
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


def _read_json(path: Path) -> Dataset:
    """An array of objects, the same under ``data``, or one object a line."""
    with open_bytes(path) as file:
        content = file.read()
    try:
        document = decode(content) if content.strip() else []
    except NotJsonError as error:
        if error.syntax and not content.lstrip().startswith(b"["):
            return _read_jsonl(path)
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


def _read_parquet(path: Path) -> Dataset:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks = ChunkedTable()
    try:
        with pq.ParquetFile(path) as file:
            _require_different(path, file.schema_arrow.names)
            metadata = file.schema_arrow.metadata  # `datasets` keeps the names of labels there
            for batch in file.iter_batches(batch_size=_rows_of_a_piece(file.metadata)):
                table = pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
                chunks.add(_plain(table))
    except pa.ArrowException as error:
        raise broken(path, "the file", f"is not Parquet: {error}") from error
    return chunks.finish()


def _require_different(path: Path, names: Sequence[str]) -> None:
    """Refuse columns of one name, of which a reader may take any."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise broken(path, "the schema", f"names the column '{plain(twice)}' twice")


def _rows_of_a_piece(metadata: Any) -> int:
    """How many rows of a Parquet file make a piece, by what they take on the average."""
    size = sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )
    return max(1, min(PIECE_ROWS, PIECE_BYTES * metadata.num_rows // max(1, size)))


def _plain(table: pa.Table) -> pa.Table:
    """The table with pandas' categories as their values, and with every text as `string`.

    Writers have several types for text (views, bytes that are UTF-8), which mean the same here. A
    column that `datasets` has no type for, as a month or a union, is nothing that a task reads.
    """
    for field in table.schema:
        kinds = (_plain_type(field.type), _bytes_of(field.type), _number_of(field.type))
        for kind in kinds:
            cast = None if kind == field.type else _cast(table, field.name, kind)
            if cast is not None:
                table = cast
                break
        if not _is_known(table.schema.field(field.name).type):
            table = table.drop_columns([field.name])
    return table


def _cast(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table | None:
    """The table with a column of another type; None where its values are of another kind."""
    import pyarrow as pa

    index = table.schema.get_field_index(name)
    try:
        column = table.column(index).cast(kind)
    except pa.ArrowException:  # bytes of another kind, or what no version casts
        return None
    return table.set_column(index, table.schema.field(index).with_type(kind), column)


def _bytes_of(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


def _number_of(kind: pa.DataType) -> pa.DataType:
    """What decimals, as databases write them, are as plain numbers."""
    import pyarrow as pa

    if not pa.types.is_decimal(kind):
        return kind
    return pa.float64() if kind.scale > 0 else pa.int64()


def _is_known(kind: pa.DataType) -> bool:
    from datasets.features.features import generate_from_arrow_type

    try:
        generate_from_arrow_type(kind)
    except (ValueError, NotImplementedError):
        return False
    return True


def _plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_string_view(kind) or types.is_large_string(kind):
        return pa.string()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.string()
    if types.is_fixed_size_binary(kind):
        return pa.string()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


@dataclass(frozen=True)
class _Untyped:
    """How a format is read that has no types of its own, so that named columns are told."""

    read: Callable[..., Dataset]

    def __call__(self, path: Path) -> Dataset:
        return self.read(path)


_TEXT: dict[str, Callable[[Path], Dataset]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _Untyped(read_csv),
    ".tsv": _Untyped(read_tsv),
}
FORMATS: dict[str, Callable[[Path], Dataset]] = {
    **_TEXT,
    ".parquet": _read_parquet,
    **{ending + GZIP: reader for ending, reader in _TEXT.items()},
}
"""How a file of each ending is read."""

ENDINGS = f"{', '.join(_TEXT)} (each also with {GZIP}) or .parquet"
"""The endings of `FORMATS`, for people."""
