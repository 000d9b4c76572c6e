"""Parquet files as tables, with texts and numbers in the types that tasks read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.text import plain
from glp_export.tasks.chunked_table import PIECE_BYTES, PIECE_ROWS, ChunkedTable
from glp_export.tasks.file_open import broken

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def read_parquet(path: Path) -> Dataset:
    """Read a file piece by piece.

    Raises:
        DataError: it is not Parquet, or has two columns of one name.
    """
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
