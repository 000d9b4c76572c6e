"""The normalised label column of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from glp_export.tasks.kinds import TaskKind

if TYPE_CHECKING:
    from datasets import Dataset


def add_labels(rows: Dataset, targets: NDArray[Any], kind: TaskKind) -> Dataset:
    """Rows with the column ``label`` beside them, of the type that the kind gives it."""
    values = targets.tolist() if targets.dtype == object else targets
    return rows.add_column("label", values, feature=kind.label_feature())
