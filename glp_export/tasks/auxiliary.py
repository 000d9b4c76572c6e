"""Auxiliary data: rows of another task, which a model with little data of its own learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.tasks.checksum import rows_checksum
from glp_export.tasks.duplicates import digests
from glp_export.tasks.encoding import quiet_datasets
from glp_export.tasks.files import read_alone, read_training_file
from glp_export.tasks.load import read_labelled
from glp_export.tasks.raw import RawData
from glp_export.tasks.reading import TEXT_COLUMNS
from glp_export.tasks.sources import read_source
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.task import Task
from glp_export.tasks.texts_alone import label_name

if TYPE_CHECKING:
    from datasets import Dataset

LEAST_ROWS = 2
"""Fewer teach nothing."""

_FIX = (
    "give a directory with a train file, one file of rows with labels, or a hub id; its columns "
    "are found as those of --dataset are"
)


@dataclass(frozen=True)
class AuxiliaryData:
    """The rows of an auxiliary task.

    Attributes:
        task: what it is.
        rows: in columns ``text``[, ``text_pair``] and ``label``.
        source: as it was named.
        checksum: sha256 over task and rows.
        dropped: rows that were left out because the run is judged by their text.
    """

    task: Task
    rows: Dataset
    source: str
    checksum: str
    dropped: int = 0


def load_auxiliary(name: str, spec: DataSpec, limit: int, *held: Dataset) -> AuxiliaryData:
    """Read the training rows of an auxiliary task, of any kind that its columns tell.

    Its own test rows are not looked at, and rows with a text that the run is judged by are left
    out: nothing is learned from them.

    Args:
        name: a directory with a train file, a file, or a hub id.
        spec: of the run: its seed, and how the hub is reached.
        limit: rows that are kept at most, in the proportions of their labels.
        held: the normalised rows of the run that choose or are reported on: dev, and every test
            set.

    Raises:
        DataError: it cannot be read, has no rows or no labels, or its kind cannot be told.
    """
    where = f"--auxiliary {name}"
    try:
        with quiet_datasets():
            raw = _read(name, spec)
            if raw.train.source.endswith(".txt") or _unlabelled(raw):
                raise DataError("The rows have no labels.", where=raw.train.source)
            task, rows = read_labelled(raw, replace(_bare(spec), dataset=name), limit)
            kept = rows.select(np.flatnonzero(unseen(rows, *held)))
    except DataError as error:
        at = where if error.where in (None, where) else f"{where}: {error.where}"
        raise DataError(error.what, where=at, fix=_FIX) from error
    if len(kept) < LEAST_ROWS:
        left = "besides those of dev and test" if len(rows) > len(kept) else "in it"
        raise DataError(f"There are too few rows {left}.", where=where, fix=_FIX)
    checksum = rows_checksum({"kind": task.kind, "labels": task.labels}, {"": kept})
    return AuxiliaryData(task, kept, name, checksum, len(rows) - len(kept))


def _bare(spec: DataSpec) -> DataSpec:
    """Nothing of the run's own data: what an auxiliary task is stands in its columns."""
    return DataSpec(
        seed=spec.seed,
        offline=spec.offline,
        cache_dir=spec.cache_dir,
        token=spec.token,
        trust_remote_code=spec.trust_remote_code,
    )


def _read(name: str, spec: DataSpec) -> RawData:
    path = Path(name).expanduser()
    if path.is_dir():
        return read_training_file(path)
    if path.is_file():
        return read_alone(path)
    return read_source(replace(_bare(spec), dataset=name), None)


def _unlabelled(raw: RawData) -> bool:
    """Whether the text is the only column, so that no label can be told."""
    return len(raw.train.rows.column_names) < 2 and label_name(raw.train) is None


def unseen(rows: Dataset, *others: Dataset) -> NDArray[np.bool_]:
    """(rows,): whether no text of a row is one of another data set's."""
    found = np.zeros(len(rows), dtype=bool)
    for column in set(TEXT_COLUMNS).intersection(rows.column_names):
        own = digests(rows.select_columns([column]))
        for other in others:
            for name in set(TEXT_COLUMNS).intersection(other.column_names):
                found |= np.isin(own, digests(other.select_columns([name])))
    return ~found
