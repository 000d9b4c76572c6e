"""Stratified, seeded sampling of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """What is drawn whole: single rows, or groups of them.

    Attributes:
        strata: (units,): what a sample keeps the proportions of.
        members: (rows,): the unit that each row is of; None where each row is one.
    """

    strata: Rows
    members: Rows | None = None

    def sample(self, count: int | None, seed: int) -> Rows:
        """Row numbers, ascending, of about `count` rows; see `sample`."""
        if count is not None and self.members is not None:
            count = max(1, round(count * len(self.strata) / len(self.members)))
        return self._rows(sample(self.strata, count, seed))

    def hold_back(self, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Row numbers to fit on and to select by; see `hold_back`."""
        fit, select = hold_back(self.strata, fraction, seed)
        return self._rows(fit), self._rows(select)

    def _rows(self, units: Rows) -> Rows:
        if self.members is None:
            return units
        return np.flatnonzero(np.isin(self.members, units)).astype(np.int64)


def allocate(sizes: Rows, count: int, least: Rows, most: Rows) -> Rows:
    """Share `count` rows among groups in proportion to their sizes, by largest remainder.

    Args:
        sizes: ``(groups,)`` rows in each group.
        count: rows to share out.
        least: ``(groups,)`` rows that a group gets in any case.
        most: ``(groups,)`` rows that a group can give.

    Returns:
        ``(groups,)`` rows of each; their sum is `count`, as near as `least` and `most` allow.
    """
    quota = sizes * (count / sizes.sum())
    taken: Rows = np.clip(np.floor(quota), least, most).astype(np.int64)
    while taken.sum() < count and (taken < most).any():
        taken[np.argmax(np.where(taken < most, quota - taken, -np.inf))] += 1
    while taken.sum() > count and (taken > least).any():
        taken[np.argmin(np.where(taken > least, quota - taken, np.inf))] -= 1
    return taken


def _draw(strata: Rows, groups: Rows, taken: Rows, seed: int) -> Rows:
    """Random rows of each group, in the order in which they stand in the data."""
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(strata == group))[:number]
        for group, number in zip(groups, taken, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def sample(strata: Rows, count: int | None, seed: int) -> Rows:
    """Choose `count` rows that keep the proportions of the strata, and each stratum if they can.

    Args:
        strata: ``(rows,)`` group of each row.
        count: rows to keep; None, or as many as there are, keeps them all.
        seed: the same seed chooses the same rows.

    Returns:
        Row numbers, ascending.
    """
    if count is None or count >= len(strata):
        return np.arange(len(strata), dtype=np.int64)
    groups, sizes = np.unique(strata, return_counts=True)
    least = np.full(len(groups), int(count >= len(groups)))
    return _draw(strata, groups, allocate(sizes, count, least, sizes), seed)


def drawn(rows: Dataset, count: int | None, seed: int = 0) -> Dataset:
    """So many rows at random, in their order; all of them for None.

    The first ones would not stand for all: many files are sorted by their labels.
    """
    if count is None or count >= len(rows):
        return rows
    return rows.select(sample(np.zeros(len(rows), dtype=np.int64), count, seed))


def hold_back(strata: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Split rows into those to fit on and the `fraction` to select by, in the same proportions.

    Every stratum leaves at least one row to fit on, so one with a single row is never held back;
    a negative one is only fitted on.

    Returns:
        Row numbers to fit on and row numbers to select by, both ascending. The second is empty
        only if no stratum can spare a row.
    """
    groups, sizes = np.unique(strata, return_counts=True)
    spare = np.where(groups < 0, 0, sizes - 1)
    count = max(1, round(fraction * len(strata)))
    taken = allocate(sizes, count, np.zeros_like(sizes), spare)
    select = _draw(strata, groups, taken, seed)
    return np.setdiff1d(np.arange(len(strata)), select).astype(np.int64), select
