"""Texts that occur more than once: among the training examples, and in training and test both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset


def repeats_in_words(
    fit: Dataset, select: Dataset, tests: Mapping[str, Dataset]
) -> tuple[str, ...]:
    """What a user should know of rows whose whole text occurs elsewhere; nothing is dropped.

    Args:
        fit: normalised rows.
        select: likewise.
        tests: likewise, by what a set is called.
    """
    fitted, chosen = (digests(_texts(rows)) for rows in (fit, select))
    seen = np.concatenate([fitted, chosen])
    known = np.unique(seen)
    notes = []
    for name, rows in tests.items():
        leaked = int(np.isin(digests(_texts(rows)), known).sum())
        if leaked:
            notes.append(
                f"{leaked} of {len(rows)} {name} examples repeat the text of a training example: "
                f"part of the score on {name} may be remembered, not learned"
            )
    repeated = len(seen) - len(known)
    if repeated:
        notes.append(
            f"{repeated} of {len(seen)} training examples repeat the text of another"
            + (", so select holds texts that fit has too" if np.isin(chosen, fitted).any() else "")
        )
    return tuple(notes)


def imitated_in_words(texts: Dataset, held: Mapping[str, Dataset]) -> tuple[str, ...]:
    """What a user should know of held-out texts that pruned models imitate their teacher on.

    Args:
        texts: without labels.
        held: normalised rows, by what a set is called.
    """
    seen = digests(texts)
    notes = []
    for name, rows in held.items():
        if not set(texts.column_names) <= set(rows.column_names):
            continue
        there = int(np.isin(digests(rows.select_columns(texts.column_names)), seen).sum())
        if there:
            notes.append(
                f"{there} of {len(rows)} {name} examples stand among the texts of --unlabeled, on "
                f"which pruned models imitate the unpruned one: on {name} they are nearer to it "
                "than on other texts"
            )
    return tuple(notes)


def _texts(rows: Dataset) -> Dataset:
    return rows.remove_columns(["label"])


def digests(texts: Dataset) -> NDArray[np.int64]:
    """A number for the texts of each row, (rows,); among millions, different texts share none.

    Words in a list are the text that they make with spaces. The numbers are 64 bits: two of a
    million texts share one once in forty million data sets.
    """
    found = np.empty(len(texts), dtype=np.int64)
    done = 0
    for batch in texts.iter(1000):
        together = zip(*batch.values(), strict=True)
        numbers = [hash(repr([_joined(cell) for cell in row])) for row in together]
        found[done : done + len(numbers)] = numbers
        done += len(numbers)
    return found


def _joined(cell: Any) -> Any:
    return " ".join(map(str, cell)) if isinstance(cell, list) else cell
