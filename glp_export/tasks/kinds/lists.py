"""Columns that hold lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset


def element(feature: Any) -> Any:
    """The type of a list's elements; None for what is no list."""
    return getattr(feature, "feature", None)


def is_list_of(rows: Dataset, name: str, *types: str) -> bool:
    """Whether a column holds lists of one of these types; class ids with names are integers."""
    return getattr(element(rows.features[name]), "dtype", "") in types


def list_of(dtype: str) -> Any:
    """The type of a column of lists."""
    import datasets

    make = getattr(datasets, "List", None) or datasets.Sequence  # its name before version 4
    return make(datasets.Value(dtype))
