"""Several labels a text, or none: a list of them stands beside the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.tasks.kinds.base import (
    Choices,
    LabelColumn,
    TaskKind,
    encode_with_numbers,
    standardise,
)
from glp_export.tasks.kinds.classification import in_order, label_name, listing
from glp_export.tasks.kinds.learning import imitate_chances
from glp_export.tasks.kinds.lists import list_of
from glp_export.tasks.metrics import AGREEMENT, Counts, Metric, ratio

if TYPE_CHECKING:
    pass

NAME = "multi-label-classification"


@dataclass(frozen=True)
class LabelsReader:
    """Lists of labels to ones and zeros.

    Attributes:
        labels: in the order of their ids.
        seen: those that the training examples have; no other can be learned.
        width: of rows that hold a 0 or 1 for every label; 0 where they list their labels.
    """

    labels: tuple[str, ...]
    seen: frozenset[str]
    width: int = 0

    def targets(self, column: LabelColumn) -> NDArray[np.float32]:
        """``(rows, labels)``: 1 where a text has the label, else 0.

        Raises:
            DataError: a label that the training examples lack, or a row whose labels are missing.
        """
        ids = {label: index for index, label in enumerate(self.labels) if label in self.seen}
        targets = np.zeros((len(column.values), len(self.labels)), dtype=np.float32)
        for row, names in enumerate(_names(column, self.width)):
            for name in names:
                if name not in ids:
                    raise DataError(
                        f"Label '{name}' does not occur in the training examples.",
                        where=column.place(row),
                        fix="correct the label, remove the row, or add training examples that "
                        f"have it; training has {listing(sorted(self.seen))}",
                    )
                targets[row, ids[name]] = 1
        return targets


def _names(column: LabelColumn, width: int = 0) -> list[list[str]]:
    """Every row's labels as strings; a row may have none of them, but must say so.

    Args:
        column: of lists.
        width: of rows that hold a 0 or 1 for every label; 0 where they list their labels.

    Raises:
        DataError: a row without a list, a label that is empty or a fraction, or a row of another
            width.
    """
    rows: list[list[str]] = []
    for row, values in enumerate(column.values):
        if width and not _is_indicator(values, width):
            raise DataError(
                f"A row is no list of {width} zeros and ones, as the training examples are.",
                where=column.place(row),
                fix="write every row alike: a 0 or 1 for every label, or the labels that it has",
            )
        if width:
            rows.append([str(label) for label, value in enumerate(values) if int(value)])
            continue
        is_list = isinstance(values, list | tuple)
        names = [label_name(value, column.names) for value in values] if is_list else []
        if not is_list or None in names:
            raise DataError(
                "A label is empty." if is_list else "A row has no list of labels.",
                where=column.place(row),
                fix='give a list, such as ["bad", "cat"], in a CSV file too; [] for a text that '
                "has no label",
            )
        if any(isinstance(value, float) and not value.is_integer() for value in values):
            raise DataError(
                f"A label is a fraction: {values!r:.80}",
                where=column.place(row),
                fix="list the labels that a text has, or write a 0 or 1 for every label",
            )
        if column.names is None and _holds_values(values):
            raise DataError(
                f"A row is neither a list of ids nor one of zeros and ones: {values!r:.80}",
                where=column.place(row),
                fix="list the ids of the labels that a text has, each once, or write a 0 or 1 for "
                "every label in every row; remove rows whose labels are not known (-1)",
            )
        rows.append([str(name) for name in names])
    return rows


def _holds_values(values: Sequence[Any]) -> bool:
    """Whether numbers are no ids: one is negative, or stands twice."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return min(numbers, default=0) < 0 or len(set(numbers)) < len(numbers)


def _is_indicator(values: Any, width: int) -> bool:
    """Whether a row holds a 0 or 1 for each of so many labels."""
    known = isinstance(values, list | tuple) and len(values) == width
    return known and set(values) <= {0, 1, "0", "1"}


def _indicators(column: LabelColumn) -> int:
    """How many labels the rows hold a 0 or 1 for; 0 where they list the labels that they have.

    Ids of labels do not stand twice in a row, and one list for all rows tells nothing apart: rows
    of two or more zeros and ones that are all as long can be nothing else.
    """
    first = next(iter(column.values), None)
    width = len(first) if isinstance(first, list | tuple) else 0
    if width < 2 or column.names is not None:
        return 0
    return width if all(_is_indicator(values, width) for values in column.values) else 0


def read_label_lists(column: LabelColumn, known: Sequence[str] = ()) -> LabelsReader:
    """Find the labels of the training examples; ids follow a declaration, else the alphabet.

    Where rows hold a 0 or 1 for every label, as transformers' own training reads them, the labels
    are the numbers of the places.

    Raises:
        DataError: labels that are missing, or one for all or for none of the texts.
    """
    width = _indicators(column)
    names = _names(column, width)
    counts = Counter(name for row in names for name in set(row))
    if not any(count < len(names) for count in counts.values()):
        raise DataError(
            f"All {len(names)} training examples have the labels {listing(sorted(counts))}; "
            "there is nothing to tell apart."
            if counts
            else "No training example has a label.",
            where=f"{column.source}, column '{column.column}'",
            fix="add other examples, or name another column with --label-column",
        )
    if width:
        return LabelsReader(tuple(map(str, range(width))), frozenset(counts), width)
    known_order = tuple(known) if counts.keys() <= set(known) else in_order(counts)
    return LabelsReader(column.names or known_order, frozenset(counts))


def _holds_lists(column: LabelColumn) -> bool:
    present = [value for value in column.values if value is not None]
    return bool(present) and all(isinstance(value, list | tuple) for value in present)


def _strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Rows by the rarest label that they have, and those that have none."""
    rarity = np.where(targets > 0, targets.sum(axis=0), np.inf)
    return np.where(targets.any(axis=1), rarity.argmin(axis=1), targets.shape[1]).astype(np.int64)


def _predictions(answers: NDArray[Any]) -> NDArray[np.float32]:
    """1 for every label whose chance is more than one half: whose logit is above 0."""
    return (answers > 0).astype(np.float32)


def _judge(answers: NDArray[Any], truth: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    return _predictions(answers), np.asarray(truth)


def _choices(answers: NDArray[Any], mask: NDArray[Any]) -> Choices:
    """Of each label whether a text has it."""
    flat = answers.reshape(-1)
    rows = np.repeat(np.arange(len(answers)), answers.shape[1])
    return Choices(np.stack([np.zeros_like(flat), flat], axis=-1), rows)


def _refit(seen: Any, known: Any, new: Any, wanted: Any) -> NDArray[np.float32]:
    """Mean cross-entropy of a logistic regression a label, strongly regularised."""
    from sklearn.linear_model import LogisticRegression

    seen, new = standardise(seen, new)
    losses = np.zeros(len(new))
    for labels, truth in zip(np.asarray(known).T, np.asarray(wanted).T, strict=True):
        if len(set(labels)) == 1:  # nothing to fit: all alike, as likely as all but one
            chances = np.full(len(new), (labels.sum() + 1) / (len(labels) + 2))
        else:
            head = LogisticRegression(C=0.01, max_iter=300).fit(seen, labels)
            chances = head.predict_proba(new)[:, 1]
        chances = np.clip(chances, 1e-6, 1 - 1e-6)
        losses -= truth * np.log(chances) + (1 - truth) * np.log(1 - chances)
    return np.asarray(losses / np.shape(wanted)[1], dtype=np.float32)


def _f1(average: str) -> Any:
    def compute(predictions: NDArray[Any], labels: NDArray[Any]) -> float:
        from sklearn.metrics import f1_score

        # scikit-learn takes one column for two classes, of which micro F1 is the accuracy.
        only = np.shape(labels)[1] == 1
        how = "binary" if only else average
        return float(f1_score(labels, predictions, average=how, zero_division=0.0))

    return compute


def _tally(predictions: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Label by label, of every text: whether both say it, the model does, the truth does."""
    both = [predictions * labels, predictions, labels]
    return np.concatenate([side.T for side in both]).astype(np.int8)


def _counted(tally: NDArray[Any], counts: Counts) -> list[Counts]:
    return [counts @ side.astype(np.float64).T for side in np.split(tally, 3)]


def _micro_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    hits, predicted, actual = (side.sum(axis=1) for side in _counted(tally, counts))
    return ratio(2 * hits, predicted + actual)


def _macro_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    hits, predicted, actual = _counted(tally, counts)
    return ratio(2 * hits, predicted + actual).mean(axis=1)


def _equal(predictions: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Of every text whether all its labels are the same ones, (1, texts)."""
    return (predictions == labels).all(axis=1)[None]


def _agreement(predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    return float(_equal(predictions, labels).mean())


def _agreement_tallied(tally: NDArray[Any], counts: Counts) -> Counts:
    return ratio(counts @ tally[0].astype(np.float64), counts.sum(axis=1))


METRICS = (
    Metric("micro_f1", NAME, _f1("micro"), _micro_tallied, tally=_tally),
    Metric("macro_f1", NAME, _f1("macro"), _macro_tallied, tally=_tally),
    Metric(AGREEMENT, NAME, _agreement, _agreement_tallied, tally=_equal, of_model=True),
)
"""Predictions and labels are ones and zeros, (texts, labels)."""

MULTI_LABEL = TaskKind(
    name=NAME,
    auto_class="AutoModelForSequenceClassification",
    export_task="text-classification",
    ort_class="ORTModelForSequenceClassification",
    hub_task="text-classification",
    problem_type="multi_label_classification",
    metrics=METRICS,
    default_metric="micro_f1",
    label_feature=lambda: list_of("float32"),
    recognises=_holds_lists,
    reader=read_label_lists,
    strata=_strata,
    encode=encode_with_numbers,
    judge=_judge,
    choices=_choices,
    predictions=_predictions,
    imitation=imitate_chances,
    refit=_refit,
)
