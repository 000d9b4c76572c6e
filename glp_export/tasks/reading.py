"""How the rows of data are read: their kind of task, columns, labels and metric."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks.arrow_columns import Cells
from glp_export.tasks.columns import columns_of, find_columns, is_text, texts_in_words
from glp_export.tasks.glue import GLUE_TASKS, GlueTask
from glp_export.tasks.kinds import KINDS, Columns, LabelColumn, LabelReader, TaskKind
from glp_export.tasks.kinds.classification import TEXT_CLASSIFICATION
from glp_export.tasks.label_checks import check_words
from glp_export.tasks.label_names import match_labels, places_in
from glp_export.tasks.labels import add_labels
from glp_export.tasks.own_metric import is_own
from glp_export.tasks.raw import RawData, RawSplit
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

TEXT_COLUMNS = ("text", "text_pair")


@dataclass(frozen=True)
class Reading:
    """How the rows of this data are read: settled on the training examples, used on all splits."""

    task: Task
    kind: TaskKind
    reader: LabelReader
    notes: tuple[str, ...] = ()

    def examples(self, split: RawSplit) -> tuple[Dataset, NDArray[Any]]:
        """Normalised rows of a split, and their targets."""
        columns_of(self.kind, split, self.task.text_columns, self.task.label_column)
        targets = self.reader.targets(label_column(split, self.task.label_column))
        names = dict(zip(self.task.text_columns, TEXT_COLUMNS, strict=False))
        check_texts(split, self.task.text_columns)
        if self.kind.check is not None:
            self.kind.check(split, self.task.text_columns, self.task.label_column)
        rows = split.rows.select_columns(list(names))
        rows = rows.rename_columns({old: new for old, new in names.items() if old != new})
        return add_labels(rows, targets, self.kind), targets


def understand(
    raw: RawData, spec: DataSpec, glue: GlueTask | None, labels: Sequence[str]
) -> Reading:
    """Tell how data is read from what was named and from its training rows.

    Args:
        raw: the data.
        spec: what the user named.
        glue: the task of GLUE that it is of, if it is.
        labels: in the order of the ids that they shall have, if they are these.

    Raises:
        DataError: kind, columns or labels cannot be told or used.
        UsageError: the metric does not fit.
    """
    text = spec.text_columns or (glue.text_columns if glue else ())
    label = spec.label_column or (glue.label_column if glue else None)
    asked = spec.kind or (glue.kind if glue else None)
    kind, columns = _recognised(raw.train, text, label, asked)
    column = label_column(raw.train, columns.label)
    notes = check_words(column) if not asked and kind is TEXT_CLASSIFICATION else ()
    if not text and kind.columns is None:
        notes = (*texts_in_words(raw.train, columns), *notes)
    known = glue.labels if glue else ()
    reader = in_order_of(kind.reader(column, known), labels or known)
    usual = glue.metric if glue and glue.kind == kind.name else kind.metric_for(reader.labels)
    metric = spec.metric or usual
    positive = positive_id(spec.task, reader.labels)
    task = Task(raw.name, kind.name, columns.text, columns.label, reader.labels, metric, positive)
    check_metric(task)
    return Reading(task, kind, reader, notes)


def positive_id(task: str | None, labels: Sequence[str]) -> int:
    """The id of the class that F1 is of: 1, or that of GLUE's own one in an order of a model's."""
    glue = GLUE_TASKS.get(task or "")
    known = glue.labels if glue else ()
    places = places_in(labels, known) if len(known) == 2 else None
    return places[1] if places else 1


def in_order_of(reader: LabelReader, known: Sequence[str]) -> LabelReader:
    """A reader with ids in a known order, where its labels are the same ones."""
    match = match_labels(known, reader.labels)
    if not reader.labels or match.verdict != "same":
        return reader
    by_id = dict(zip(match.rows, reader.labels, strict=True))
    ordered: LabelReader = replace(
        cast(Any, reader), labels=tuple(by_id[index] for index in range(len(by_id)))
    )
    return ordered


def _recognised(
    split: RawSplit, text: Sequence[str], label: str | None, name: str | None
) -> tuple[TaskKind, Columns]:
    """The kind that was named, or the first whose form the data has, and its columns."""
    if name:
        return KINDS[name], columns_of(KINDS[name], split, text, label)
    unasked = [kind for kind in KINDS.values() if not kind.asked]
    for kind in unasked:
        if kind.columns and (columns := kind.columns(split, text, label)):
            return kind, columns
    columns = find_columns(split, text, label)
    column = label_column(split, columns.label)
    kinds = (kind for kind in unasked if not kind.columns and kind.recognises(column))
    return next(kinds), columns


def check_metric(task: Task) -> None:
    """Check that the metric of a task can score it.

    Raises:
        UsageError: it does not fit.
    """
    if is_own(task.metric):
        KINDS[task.kind].metric(task.metric)  # it says what does not fit
        return
    fitting = [metric.name for metric in KINDS[task.kind].metrics_for(task.labels)]
    if task.metric in fitting:
        return
    labels = f" with {len(task.labels)} labels" if task.labels else ""
    raise UsageError(
        f"The metric '{task.metric}' does not fit {task.kind}{labels}.",
        where=f"--metric {task.metric}, for task '{task.name}'",
        fix=f"take --metric {' or '.join(fitting)}",
    )


def label_column(split: RawSplit, name: str) -> LabelColumn:
    """The labels of a split with what the file says of them.

    Args:
        split: of the data.
        name: of the column; empty for a kind of task without labels.
    """
    if not name:
        return LabelColumn([None] * len(split.rows), None, name, split.source)
    feature = split.rows.features[name]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    values = Cells(split.rows, name)
    return LabelColumn(values, tuple(names) if names else None, name, split.source)


def check_texts(split: RawSplit, columns: Collection[str]) -> None:
    """Check that every row has a text, and that not all are empty.

    Raises:
        DataError: it names the row or the column.
    """
    for name in columns:
        if split.rows.data.column(name).null_count:
            row = next(row for row, text in enumerate(Cells(split.rows, name)) if text is None)
            raise DataError(
                "A row has no text.",
                where=f"{split.source}, row {row + 1}, column '{name}'",
                fix="fill it in or remove the row; an empty text is allowed",
            )
        if (lacking := _lacks_word(split.rows, name)) is not None:
            raise DataError(
                "A word of a row is missing.",
                where=f"{split.source}, row {lacking + 1}, column '{name}'",
                fix="fill it in, or remove the row",
            )
    # One empty text is an input like any other; a column of them is the wrong column.
    if len(split.rows) > 1 and not any(_has_words(split.rows, name) for name in columns):
        raise DataError(
            "All texts are empty.",
            where=f"{split.source}, column '{next(iter(columns), '')}'",
            fix="name another column with --text-columns, or fill them in",
        )


def _lacks_word(rows: Dataset, name: str) -> int | None:
    """The first row whose list of words has an empty place; None of none, and of texts."""
    if is_text(rows, name):
        return None
    cells = Cells(rows, name)
    return next((row for row, words in enumerate(cells) if words and None in words), None)


def _has_words(rows: Dataset, name: str) -> bool:
    """Whether any text has what can be seen; the words of a text may stand in a list."""
    return any(
        any(map(_is_seen, cell)) if isinstance(cell, str) else cell is not None and len(cell)
        for cell in Cells(rows, name)
    )


def _is_seen(letter: str) -> bool:
    """Whether a letter is more than space, control or format."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Zl", "Zp", "Zs")
