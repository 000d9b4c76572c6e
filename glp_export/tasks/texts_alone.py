"""Data of texts alone: which it is, its texts, and how one file is split.

A fine-tuned model needs no more: its own answers are what a smaller one imitates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from glp_export.core.errors import DataError
from glp_export.tasks.columns import LABEL_NAMES, is_key, is_text
from glp_export.tasks.duplicates import digests
from glp_export.tasks.header_row import require_header
from glp_export.tasks.kinds import KINDS
from glp_export.tasks.raw import RawData, RawSplit
from glp_export.tasks.spec import NO_LABELS, DataSpec
from glp_export.tasks.splits import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset

TEST_FRACTION = 0.15
"""Share of a single file that is held out for the report."""

_USUAL = ("text", "text_pair")


def lacks_labels(raw: RawData, spec: DataSpec) -> bool:
    """Whether the training rows have no label, and the kind of task is one that wants some.

    That is so where it is said, and where no column has a name or the form of a label. Of a
    directory, whose rows are expected to have labels, the text must be the only column besides
    numbers of rows: what a forgotten label would be is not passed over.

    Raises:
        DataError: a single file that has labels.
    """
    alone, blank = raw.test is None, bool(spec.kind) and KINDS[str(spec.kind)].blank
    if spec.label_column == NO_LABELS and not blank:
        return True
    named = spec.task or spec.label_column or label_name(raw.train)
    if alone and named:
        raise DataError(
            f"One file is not both learned from and tested on where it has labels ({named}).",
            where=raw.train.source,
            fix="give --train-file FILE and --validation-file FILE; where that is no label: "
            f"--label-column {NO_LABELS}",
        )
    if named or blank:
        return False
    others = [name for name in raw.train.rows.column_names if not is_key(name)]
    texts = [name for name in others if is_text(raw.train.rows, name)]
    return alone or (len(texts) == len(others) == 1)


def find_texts(split: RawSplit, named: Sequence[str]) -> tuple[str, ...]:
    """The columns of text: those that are named, those with the usual names, or the only one.

    Raises:
        DataError: there is none, or several could be meant.
    """
    rows = split.rows
    for name in named:
        if name not in rows.column_names:
            raise _no_texts(split, f"There is no column '{name}'")
        if not is_text(rows, name):
            raise _no_texts(split, f"Column '{name}' is no text")
    texts = [name for name in rows.column_names if is_text(rows, name) and not is_key(name)]
    found = list(named) or [name for name in _USUAL if name in texts] or texts
    if len(found) != 1 and not (named or found == list(_USUAL)):
        raise _no_texts(split, f"{'Several columns hold' if found else 'No column holds'} text")
    if not named:
        require_header(split, found)
    return tuple(found)


def _no_texts(split: RawSplit, what: str) -> DataError:
    return DataError(
        f"{what}; the columns are {', '.join(split.rows.column_names)}.",
        where=split.source,
        fix="name one or two with --text-columns",
    )


def cut_test(raw: RawData, columns: Sequence[str], seed: int) -> RawData:
    """A single file as training and test rows; equal texts are on one side.

    Raises:
        DataError: too few different texts.
    """
    rows = raw.train.rows
    kept, held = groups_of(rows, columns).hold_back(TEST_FRACTION, seed)
    if not len(held) or not len(kept):
        raise DataError(
            "There are too few different texts to hold some out.",
            where=raw.train.source,
            fix="give more texts",
        )
    return replace(
        raw,
        train=replace(raw.train, rows=rows.select(kept)),
        test=RawSplit(rows.select(held), f"{raw.train.source}, held out"),
    )


def groups_of(rows: Dataset, columns: Sequence[str]) -> Units:
    """Rows with equal texts as units that are drawn whole."""
    found = digests(rows.select_columns(list(columns)))
    _, first, members = np.unique(found, return_index=True, return_inverse=True)
    # Numbered as they come: digests are others in every process.
    number = np.argsort(np.argsort(first))
    return Units(np.zeros(len(first), dtype=np.int64), number[members].astype(np.int64))


def label_name(split: RawSplit) -> str | None:
    """The column that has a name or a form of labels; None where there is none."""
    rows = split.rows
    usual = [name for name in rows.column_names if name.lower() in LABEL_NAMES]
    forms = (kind.columns(split, (), None) for kind in KINDS.values() if kind.columns)
    found = next((one for one in forms if one is not None and one.label), None)
    return next(iter(usual), found.label if found else None)
