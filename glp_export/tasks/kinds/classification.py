"""One label a text: two classes to hundreds."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.core.numbers import few
from glp_export.tasks.kinds.base import (
    NO_LABEL,
    Choices,
    LabelColumn,
    TaskKind,
    cross_entropy,
    encode_text,
    is_missing,
    standardise,
    value_type,
)
from glp_export.tasks.kinds.learning import imitate_logits
from glp_export.tasks.metrics import CLASS_METRICS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A column in which nearly every row has a value of its own is an identifier or a measurement;
# below this many rows nothing can be said.
ENOUGH_ROWS_TO_TELL = 50
MOST_LABELS_PER_ROW = 0.5

NUMBER = re.compile(r"-?\d+(\.\d+)?")
UNNAMED = "LABEL_"


@dataclass(frozen=True)
class ClassReader:
    """Labels to ids.

    Attributes:
        labels: in the order of their ids.
        seen: those that the training examples have; no other can be learned.
    """

    labels: tuple[str, ...]
    seen: frozenset[str]

    def targets(self, column: LabelColumn) -> NDArray[np.int64]:
        """Ids ``(rows,) int64``.

        Raises:
            DataError: a missing label, or one that the training examples lack.
        """
        ids = {label: index for index, label in enumerate(self.labels) if label in self.seen}
        targets = np.empty(len(column.values), dtype=np.int64)
        for row, name in enumerate(_names(column)):
            if name not in ids:
                raise DataError(
                    f"Label '{name}' does not occur in the training examples.",
                    where=column.place(row),
                    fix="correct the label, remove the row, or add training examples that have it; "
                    f"training has {listing(sorted(self.seen))}",
                )
            targets[row] = ids[name]
        return targets


def _names(column: LabelColumn) -> Iterator[str]:
    """Every row's label as a string, the same from whichever file format it was read."""
    for row, value in enumerate(column.values):
        if not isinstance(value, str | bool | int | float | None):
            raise DataError(
                f"A label is a {type(value).__name__}; it has to be a string or a number.",
                where=column.place(row),
                fix="name another column with --label-column",
            )
        name = label_name(value, column.names)
        if name == str(NO_LABEL):
            raise DataError(
                f"A label is {NO_LABEL}, with which transformers marks what is not to be learned.",
                where=column.place(row),
                fix="label the row or remove it",
            )
        if name is None:
            raise DataError(
                "A row has no label.",
                where=column.place(row),
                fix="label the row or remove it",
            )
        yield name


def label_name(
    value: str | bool | int | float | None, declared: Sequence[str] | None = None
) -> str | None:
    """A label as a string, or None where it is missing.

    1 and 1.0 are one label, since some formats know only floats. Where the data set declares the
    names of its ids, an id beyond them is missing: hub data sets write -1 for a withheld label.
    """
    if is_missing(value):
        return None
    if declared is not None and isinstance(value, int):
        return declared[value] if 0 <= value < len(declared) else None
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Numbers by value, and what transformers calls them, `LABEL_10`; anything else as strings."""
    ordered = sorted(names)
    numbers = [name.removeprefix(UNNAMED) for name in ordered]
    if all(map(NUMBER.fullmatch, numbers)):
        ordered.sort(key=lambda name: float(name.removeprefix(UNNAMED)))
    return tuple(ordered)


def listing(names: Sequence[str]) -> str:
    """Names in quotation marks; of many the first few, and how many more."""
    return few([f"'{name}'" for name in names])


def read_classes(column: LabelColumn, known: Sequence[str] = ()) -> ClassReader:
    """Find the classes of the training labels.

    Their ids follow the data set's declaration, else the task's known labels where these cover
    the data, else the numeric or alphabetic order.

    Raises:
        DataError: a missing label, a single class, or a column that is no label.
    """
    counts = Counter(_names(column))
    rows = len(column.values)
    if len(counts) < 2:
        raise DataError(
            f"All {rows} training examples have the label {listing(list(counts))}; "
            "there is nothing to tell apart.",
            where=f"{column.source}, column '{column.column}'",
            fix="add examples of other classes, or name another column with --label-column",
        )
    if rows >= ENOUGH_ROWS_TO_TELL and len(counts) > MOST_LABELS_PER_ROW * rows:
        raise DataError(
            f"{rows} training examples have {len(counts)} different labels: "
            "that is an identifier or a measurement, not a class.",
            where=f"{column.source}, column '{column.column}'",
            fix="name another column with --label-column, or ask for --kind regression",
        )
    known_order = tuple(known) if counts.keys() <= set(known) else in_order(counts)
    return ClassReader(column.names or known_order, frozenset(counts))


def _encode(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    labels = np.asarray(batch["label"], dtype=np.int64)
    return {**encode_text(batch, tokenizer, max_length), "labels": labels}


def _predictions(logits: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(np.argmax(logits, axis=-1), dtype=np.int64)


def _judge(answers: NDArray[Any], truth: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    return _predictions(answers), np.asarray(truth)


def _choices(answers: NDArray[Any], mask: NDArray[Any]) -> Choices:
    return Choices(answers, np.arange(len(answers)))


def _refit(
    seen: NDArray[Any], known: NDArray[Any], new: NDArray[Any], wanted: NDArray[Any]
) -> NDArray[np.float32]:
    """Cross-entropy of a logistic regression, strongly regularised: features outnumber rows."""
    from sklearn.linear_model import LogisticRegression

    seen, new = standardise(seen, new)
    with warnings.catch_warnings():  # many classes are no sign of a regression here
        warnings.filterwarnings("ignore", "The number of unique classes")
        head = LogisticRegression(C=0.01, max_iter=300).fit(seen, known)
    losses = cross_entropy(head.classes_, head.predict_log_proba(new), wanted)
    return np.asarray(losses, dtype=np.float32)


TEXT_CLASSIFICATION = TaskKind(
    name="text-classification",
    auto_class="AutoModelForSequenceClassification",
    export_task="text-classification",
    ort_class="ORTModelForSequenceClassification",
    hub_task="text-classification",
    problem_type="single_label_classification",
    metrics=CLASS_METRICS,
    default_metric="accuracy",
    label_feature=lambda: value_type("int64"),
    recognises=lambda column: True,
    reader=read_classes,
    strata=lambda targets: targets,
    encode=_encode,
    judge=_judge,
    choices=_choices,
    predictions=_predictions,
    imitation=imitate_logits,
    refit=_refit,
    shift_axis=-1,
)
