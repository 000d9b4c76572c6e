"""One number a text, as STS-B's similarity from 0 to 5."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.tasks.kinds.base import (
    LabelColumn,
    TaskKind,
    encode_with_numbers,
    is_missing,
    standardise,
    value_type,
)
from glp_export.tasks.kinds.learning import imitate_scores
from glp_export.tasks.metrics import NUMBER_METRICS

if TYPE_CHECKING:
    pass

_WRITTEN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)

LARGEST = 1e18
"""Its square, and that of its inverse, is still a float32, and so is the loss."""
FINE = 0.01
"""What rounding to float32 may change, as a share of the deviation of the labels."""

# Samples keep the proportions of the tenths of the range of ranks.
STRATA = 10


@dataclass(frozen=True)
class NumberReader:
    """Labels as they are, once they are known to be numbers."""

    labels: tuple[str, ...] = ()

    def targets(self, column: LabelColumn) -> NDArray[np.float64]:
        """Numbers ``(rows,) float64``.

        Raises:
            DataError: a missing label, one that is not a finite number, or is too large.
        """
        values = _as_said(column)
        numbers = [_number(value) for value in values]
        for row, (value, number) in enumerate(zip(values, numbers, strict=True)):
            if number is None or not math.isfinite(number):
                missing = value is None or value == ""
                raise DataError(
                    "A row has no label."
                    if missing
                    else f"A regression label is a finite number; this one is {value!r}.",
                    where=column.place(row),
                    fix="correct the label or remove the row"
                    + ("" if missing else "; for classes, ask for --kind text-classification"),
                )
            if abs(number) > LARGEST:
                raise DataError(
                    f"A regression label is too large to be learned in 32 bits: {number:g}.",
                    where=column.place(row),
                    fix="correct the label, or scale all of them, by their logarithm say",
                )
        return np.asarray(numbers, dtype=np.float64)


def _as_said(column: LabelColumn) -> Sequence[Any]:
    """The labels; where a data set declares names for its ids that are numbers, those names."""
    names = column.names
    if not names or any(_number(name) is None for name in names):
        return column.values
    said = dict(enumerate(names))
    return [value if isinstance(value, str) else said.get(value) for value in column.values]


def _number(value: Any) -> float | None:
    """A number, or one in quotation marks; files write the same one in several ways."""
    if isinstance(value, str):
        return float(value) if _WRITTEN.fullmatch(value.strip()) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_numbers(column: LabelColumn, known: Sequence[str] = ()) -> NumberReader:
    """Make the reader, from training labels that differ.

    Raises:
        DataError: a label that is no number, one number for all rows, or numbers that are one in
            32 bits.
    """
    reader = NumberReader()
    targets = reader.targets(column)
    if np.ptp(targets) == 0:
        raise DataError(
            f"All {len(column.values)} training examples have the label {column.values[0]}; "
            "there is nothing to learn.",
            where=f"{column.source}, column '{column.column}'",
            fix="add examples with other values, or name another column with --label-column",
        )
    rounded = targets.astype(np.float32).astype(np.float64)
    if np.abs(rounded - targets).max() > FINE * targets.std() or targets.std() < 1 / LARGEST:
        raise DataError(
            f"The labels, from {targets.min():.12g} to {targets.max():.12g}, differ by too little "
            "to be learned: a model computes in 32 bits, where they are nearly one number.",
            where=f"{column.source}, column '{column.column}'",
            fix="subtract their mean and scale them, or name another column with --label-column",
        )
    return reader


def has_fractions(column: LabelColumn) -> bool:
    """Whether the labels are numbers of which some are not whole."""
    if column.names is not None:
        return False
    fractions = False
    for value in column.values:
        if is_missing(value):
            continue
        if not isinstance(value, int | float):
            return False
        fractions = fractions or not float(value).is_integer()
    return fractions


def tenths(targets: NDArray[Any]) -> NDArray[np.int64]:
    """In which tenth of the range of ranks each number lies, (rows,)."""
    ranks = np.empty(len(targets), dtype=np.int64)
    ranks[np.argsort(targets, kind="stable")] = np.arange(len(targets))
    return np.asarray(ranks * STRATA // max(len(targets), 1), dtype=np.int64)


def _predictions(logits: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(logits, dtype=np.float64).reshape(len(logits))


def _judge(answers: NDArray[Any], truth: Any) -> tuple[NDArray[np.float64], NDArray[Any]]:
    return _predictions(answers), np.asarray(truth)


def refit_numbers(
    seen: NDArray[Any], known: NDArray[Any], new: NDArray[Any], wanted: NDArray[Any]
) -> NDArray[np.float32]:
    """Squared error of a ridge regression, strongly regularised: features outnumber rows."""
    from sklearn.linear_model import Ridge

    seen, new = standardise(seen, new)
    head = Ridge(alpha=seen.shape[1]).fit(seen, known)
    return np.asarray((head.predict(new) - wanted) ** 2, dtype=np.float32)


REGRESSION = TaskKind(
    name="regression",
    auto_class="AutoModelForSequenceClassification",
    export_task="text-classification",
    ort_class="ORTModelForSequenceClassification",
    hub_task="text-classification",
    problem_type="regression",
    metrics=NUMBER_METRICS,
    default_metric="spearman",
    label_feature=lambda: value_type("float64"),
    recognises=has_fractions,
    reader=read_numbers,
    strata=tenths,
    encode=encode_with_numbers,
    judge=_judge,
    predictions=_predictions,
    imitation=imitate_scores,
    refit=refit_numbers,
    named=False,
    scaled=True,
)
