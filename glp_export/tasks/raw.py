"""A user's data as it was found, before anything is read into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from glp_export.tasks.task import HubData

if TYPE_CHECKING:
    from datasets import Dataset

# A split that tests, by the names that people give it; the first that is there is taken.
TEST_SPLITS = ("validation", "dev", "valid", "test")


@dataclass(frozen=True)
class RawSplit:
    """One split with its own columns, and the file or hub split that it was read from."""

    rows: Dataset
    source: str


@dataclass(frozen=True)
class RawData:
    """All splits of a data set, with the name and the source that reports show.

    Attributes:
        test: None where there is one file alone, which has to be split.
        labelled: further rows with labels, beside texts that have none.
    """

    name: str
    source: str
    train: RawSplit
    test: RawSplit | None
    others: Mapping[str, RawSplit] = field(default_factory=dict)
    hub: HubData | None = None
    labelled: RawSplit | None = None

    @property
    def splits(self) -> tuple[RawSplit, ...]:
        """All of them, the training examples first."""
        found = (self.train, self.test, self.labelled, *self.others.values())
        return tuple(split for split in found if split is not None)

    @property
    def tested(self) -> RawSplit:
        """The test rows.

        Raises:
            ValueError: they were not cut from a single file yet.
        """
        if self.test is None:
            raise ValueError("a single file has to be split first")
        return self.test

    def with_text(self, columns: Sequence[str]) -> RawData:
        """The same with whole numbers as text in these columns."""
        return replace(
            self,
            train=_with_text(self.train, columns),
            test=self.test and _with_text(self.test, columns),
            others={name: _with_text(split, columns) for name, split in self.others.items()},
        )


def is_number(rows: Dataset, column: str) -> bool:
    """Whether a column is there and holds whole numbers or others, and no ids of names."""
    feature = rows.features.get(column)
    number = str(getattr(feature, "dtype", "")).startswith(("int", "uint", "float"))
    return number and not hasattr(feature, "names")


def _with_text(split: RawSplit, columns: Sequence[str]) -> RawSplit:
    from datasets import Value

    rows = split.rows
    for name in columns:
        if is_number(rows, name) and "int" in rows.features[name].dtype:
            rows = rows.cast_column(name, Value("string"))
    return replace(split, rows=rows)
