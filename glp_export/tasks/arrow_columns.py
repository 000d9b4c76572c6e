"""Columns of a data set without a Python object for every row of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset

_BATCH = 1000


class Cells(Sequence[Any]):
    """The values of a column, made as they are asked for.

    What `datasets` gives for a column is a list of all its values in some versions, and slow to go
    through in others.
    """

    def __init__(self, rows: Dataset, name: str) -> None:
        self._rows = rows.select_columns([name])
        self._name = name

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._rows.iter(_BATCH):
            yield from batch[self._name]

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> list[Any]: ...
    def __getitem__(self, row: int | slice) -> Any:
        return self._rows[row][self._name]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = numbers(self._rows, self._name)
        return values if dtype is None else values.astype(dtype, copy=False)


def numbers(rows: Dataset, name: str) -> NDArray[Any]:
    """A column of numbers as an array (rows,), in the type that it is stored in."""
    column = rows.select_columns([name]).with_format("arrow")[:].column(name)
    return np.asarray(column.to_numpy())
