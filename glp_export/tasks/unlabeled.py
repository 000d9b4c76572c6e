"""Texts without labels: a student can imitate its teacher on any text of the task's kind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks.arrow_columns import Cells
from glp_export.tasks.columns import LABEL_NAMES, are_pair, in_pair_order, is_key, is_text
from glp_export.tasks.encoding import quiet_datasets
from glp_export.tasks.formats import ENDINGS, read_lines, read_rows
from glp_export.tasks.kinds import KINDS
from glp_export.tasks.labels import add_labels
from glp_export.tasks.raw import RawSplit
from glp_export.tasks.task import Task
from glp_export.tasks.texts_alone import find_texts

if TYPE_CHECKING:
    from datasets import Dataset

TEXT_COLUMNS = ("text", "text_pair")
_WORDS = ("tokens", "words")
"""Columns of words in lists."""


def read_unlabeled(path: Path, task: Task) -> Dataset:
    """Read texts that a teacher will label; see `read_texts`.

    Raises:
        DataError: as of `read_texts`.
        UsageError: a teacher cannot label texts of this kind of task.
    """
    if not can_be_blank(task):
        raise UsageError(
            f"texts without labels cannot be learned from in {task.kind}",
            where=f"--unlabeled {path}",
            fix="leave it away",
        )
    return read_texts(path, task)


def can_be_blank(task: Task) -> bool:
    """Whether rows of a task can have labels that stand for none."""
    kind = KINDS[task.kind]
    return kind.predictions is not None or kind.blank


def read_texts(path: Path, task: Task) -> Dataset:
    """Read texts: a table with the task's text columns, or for one column a text a line (.txt).

    Where every text is read alone, as an embedding is made of it, a row may lack the second. Words
    in lists become a text with spaces between them.

    Returns:
        Columns ``text``[, ``text_pair``].

    Raises:
        DataError: the file cannot be read, lacks a text column or a row's text, or is empty.
    """
    kind = KINDS[task.kind]
    if not path.is_file():
        raise DataError("There is no such file.", where=str(path), fix="check the path")
    rows = (
        _lines(path, task) if path.suffix.lower() == ".txt" else read_rows(path, task.text_columns)
    )
    needed = task.text_columns[:1] if kind.lone else task.text_columns
    missing = [name for name in needed if name not in rows.column_names]
    if missing or not len(rows):
        raise DataError(
            f"The file has no column '{missing[0]}'." if len(rows) else "The file has no rows.",
            where=str(path),
            fix=f"the texts of this task stand in {' and '.join(task.text_columns)}",
        )
    there = [name for name in task.text_columns if name in rows.column_names]
    rows = _with_joined_words(rows, there)
    for name in there:
        row = next(
            (r for r, text in enumerate(Cells(rows, name)) if not isinstance(text, str)), None
        )
        if row is not None:
            raise DataError("A row has no text.", where=f"{path}, row {row + 1}, column '{name}'")
    names = dict(zip(task.text_columns, TEXT_COLUMNS, strict=False))
    kept = rows.select_columns(there)
    kept = kept.rename_columns({old: names[old] for old in there if old != names[old]})
    if len(there) == len(task.text_columns):
        return kept
    from datasets import Value

    with quiet_datasets():
        return kept.add_column(TEXT_COLUMNS[1], [None] * len(kept), feature=Value("string"))


def text_columns_of(path: Path, task: Task) -> tuple[str, ...]:
    """The columns of text in a file for a model that no data tells the columns of.

    Raises:
        DataError: the file cannot be read, or they cannot be told.
    """
    if path.suffix.lower() == ".txt" or not path.is_file():  # the latter is said where it is read
        return task.text_columns
    rows = read_rows(path)
    if not len(rows):
        return task.text_columns
    words = [name for name in _WORDS if isinstance(rows[0].get(name), list)]
    if words:
        return (words[0],)
    names = [name for name in rows.column_names if is_text(rows, name) and not is_key(name)]
    texts = [name for name in names if name not in LABEL_NAMES]
    pairs = [pair for pair in combinations(texts, 2) if are_pair(pair)]
    if len(pairs) == 1:
        return tuple(in_pair_order(pairs[0]))
    return (texts[0],) if len(texts) == 1 else find_texts(RawSplit(rows, str(path)), ())


def _with_joined_words(rows: Dataset, names: Sequence[str]) -> Dataset:
    lists = [name for name in names if isinstance(rows[0][name], list)]
    if not lists:
        return rows

    def join(words: Any) -> Any:
        return " ".join(map(str, words)) if isinstance(words, list) else words

    with quiet_datasets():
        return rows.map(lambda row: {name: join(row[name]) for name in lists})


def with_labels(texts: Dataset, labels: NDArray[Any], task: Task) -> Dataset:
    """Give texts the labels that a teacher found for them, as the task's own rows have them."""
    with quiet_datasets():
        return add_labels(texts, labels, KINDS[task.kind])


def blank_labels(texts: Dataset, task: Task) -> NDArray[Any]:
    """Labels that stand for none, for a model that only answers."""
    if KINDS[task.kind].blank:
        return np.zeros(len(texts))
    return labels_of(np.zeros((len(texts), KINDS[task.kind].width or task.num_labels)), task)


def labels_of(answers: NDArray[Any], task: Task) -> NDArray[Any]:
    """The labels that a teacher's answers to texts come down to.

    Raises:
        ValueError: a kind of task whose texts no teacher labels; `read_unlabeled` refuses it.
    """
    label = KINDS[task.kind].predictions
    if label is None:
        raise ValueError(f"answers of {task.kind} are no labels")
    return label(answers)


def _lines(path: Path, task: Task) -> Dataset:
    if len(task.text_columns) > 1 and not KINDS[task.kind].lone:
        raise DataError(
            "A file of lines holds one text a row, and this task reads two.",
            where=str(path),
            fix=f"write it as {ENDINGS} with {' and '.join(task.text_columns)}",
        )
    return read_lines(path, task.text_columns[0])
