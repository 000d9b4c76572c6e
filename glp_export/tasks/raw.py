"""A user's data as it was found, before anything is read into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """All splits of a data set, with the name and the source that reports show."""

    name: str
    source: str
    train: RawSplit
    test: RawSplit
    others: Mapping[str, RawSplit] = field(default_factory=dict)
    hub: HubData | None = None
