"""Rows on their way from a file to a data set: past the first piece they go through the disk."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

PIECE_ROWS = 10_000
PIECE_BYTES = 2**24
"""Rows, and bytes of the file, that are in memory together while it is read."""

Item = TypeVar("Item")
Change = Callable[["pa.Table"], "pa.Table"]


def pieces(items: Iterable[tuple[Item, int]]) -> Iterator[list[Item]]:
    """Group what is read of a file so that each group fits into memory.

    Args:
        items: each with its size in bytes, or about that.
    """
    piece: list[Item] = []
    filled = 0
    for item, size in items:
        piece.append(item)
        filled += size
        if len(piece) >= PIECE_ROWS or filled >= PIECE_BYTES:
            yield piece
            piece, filled = [], 0
    if piece:
        yield piece


class ChunkedTable:
    """Takes tables one after the other and makes one data set of their rows.

    A single table stays in memory. As soon as there is a second one, all are written to a file of
    Arrow's, which the data set maps: memory holds one table at a time, however long the file is.
    It lies with the temporary files of `datasets` and goes with them when the process ends.

    A column that some tables lack is null there; whole numbers and others make numbers. That
    may show only at the last table, and then the file is written once more.
    """

    def __init__(self) -> None:
        self._schema: pa.Schema | None = None
        self._only: pa.Table | None = None
        self._parts: list[Path] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._written: pa.Schema | None = None

    def add(self, table: pa.Table) -> None:
        """Take a table.

        Raises:
            pyarrow.ArrowException: the type of a column cannot be reconciled with the one that it
                had before.
        """
        import pyarrow as pa

        if self._schema is None:
            self._schema, self._only = table.schema, table
            return
        self._schema = pa.unify_schemas([self._schema, table.schema], promote_options="permissive")
        if self._only is not None:
            self._write(_fitted(self._only, self._schema))
            self._only = None
        self._write(_fitted(table, self._schema))

    def finish(self, change: Change | None = None) -> Dataset:
        """The data set of all rows.

        Args:
            change: what is still to be done to every table, if anything; it gives all of them the
                same schema.
        """
        from datasets import Dataset
        from datasets.table import InMemoryTable

        if self._schema is None:
            return Dataset.from_dict({})
        if self._only is not None:
            return Dataset(InMemoryTable(change(self._only) if change else self._only))
        self._close()
        if change is not None or len(self._parts) > 1:
            parts, self._parts = self._parts, []
            for part in parts:
                for table in _tables(part):
                    whole = _fitted(table, self._schema)
                    self._write(change(whole) if change else whole)
                part.unlink()
            self._close()
        return Dataset.from_file(str(self._parts[0]))

    def _write(self, table: pa.Table) -> None:
        """Write a table to the last part, or begin another where it has another schema."""
        import pyarrow as pa

        if self._writer is None or table.schema != self._written:
            self._close()
            self._parts.append(_new_file())
            self._writer = pa.ipc.new_stream(str(self._parts[-1]), table.schema)
            self._written = table.schema
        self._writer.write_table(table)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with the columns and types of a schema that was unified with their own."""
    import pyarrow as pa

    if table.schema == schema:
        return table
    columns = [
        table[field.name].cast(field.type, safe=False)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _tables(path: Path) -> Iterator[pa.Table]:
    """What was written to a file, table by table."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])


def _new_file() -> Path:
    """A path below the directory that `datasets` removes at the end of the process."""
    from datasets.fingerprint import get_temporary_cache_files_directory

    return Path(get_temporary_cache_files_directory()) / f"rows-{uuid.uuid4().hex}.arrow"
