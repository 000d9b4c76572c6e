"""File formats of local data. A broken file is refused with the row at which it breaks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.core.errors import DataError
from glp_export.tasks.chunked_table import ChunkedTable, pieces
from glp_export.tasks.csv_reader import read_csv, read_tsv
from glp_export.tasks.file_open import GZIP, name_and_ending, open_text
from glp_export.tasks.json_reader import read_json, read_jsonl
from glp_export.tasks.parquet_reader import read_parquet

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class _Untyped:
    """How a format is read that has no types of its own, so that named columns are told."""

    read: Callable[..., Dataset]

    def __call__(self, path: Path) -> Dataset:
        return self.read(path)


_TEXT: dict[str, Callable[[Path], Dataset]] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": _Untyped(read_csv),
    ".tsv": _Untyped(read_tsv),
}
FORMATS: dict[str, Callable[[Path], Dataset]] = {
    **_TEXT,
    ".parquet": read_parquet,
    **{ending + GZIP: reader for ending, reader in _TEXT.items()},
}
"""How a file of each ending is read."""

ENDINGS = f"{', '.join(_TEXT)} (each also with {GZIP}) or .parquet"
"""The endings of `FORMATS`, for people."""
