"""The normalised label column of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from glp_export.tasks.kinds import TaskKind

if TYPE_CHECKING:
    from datasets import Dataset


def add_labels(rows: Dataset, targets: NDArray[Any], kind: TaskKind) -> Dataset:
    """Rows with the column ``label`` beside them, of the type that the kind gives it."""
    from datasets import Dataset, Features, concatenate_datasets

    feature = kind.label_feature()
    if targets.dtype != object and targets.ndim == 1:
        return rows.add_column("label", targets, feature=feature)
    labels = Dataset.from_dict({"label": targets.tolist()}, Features({"label": feature}))
    return concatenate_datasets([rows, labels], axis=1)
