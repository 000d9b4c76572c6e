"""Columns of words and tags, and the tags that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.tasks.kinds.base import NO_LABEL, Columns, LabelColumn
from glp_export.tasks.kinds.classification import in_order, label_name, listing
from glp_export.tasks.kinds.lists import is_list_of
from glp_export.tasks.kinds.units import ragged

if TYPE_CHECKING:
    from glp_export.tasks.raw import RawSplit

WORD_COLUMNS = ("tokens", "words", "token", "text")
TAG_COLUMNS = ("ner_tags", "tags", "labels", "label", "pos_tags", "chunk_tags")
"""Names that such columns usually have; the first that is there is taken."""

NO_TAG = str(NO_LABEL)
STRINGS = ("string", "large_string")
IDS = ("int64", "int32", "int16", "int8")


@dataclass(frozen=True)
class TagReader:
    """Tags to ids.

    Attributes:
        labels: in the order of their ids.
        seen: those that the training examples have; no other can be learned.
    """

    labels: tuple[str, ...]
    seen: frozenset[str]

    def targets(self, column: LabelColumn) -> NDArray[Any]:
        """Ids of every word, a list for each row.

        Raises:
            DataError: a tag that is missing, or that the training examples lack.
        """
        ids = {label: index for index, label in enumerate(self.labels) if label in self.seen}
        rows = []
        for row, names in enumerate(_names(column)):
            unknown = [name for name in names if name not in ids]
            if unknown:
                raise DataError(
                    f"Tag '{unknown[0]}' does not occur in the training examples.",
                    where=column.place(row),
                    fix="correct it, remove the row, or add training examples that have it; "
                    f"training has {listing(sorted(self.seen))}",
                )
            rows.append([ids[name] for name in names])
        return ragged(rows)


def _names(column: LabelColumn) -> list[list[str]]:
    """Every row's tags as strings.

    Raises:
        DataError: a row without tags, or a word without one.
    """
    rows: list[list[str]] = []
    for row, values in enumerate(column.values):
        names = [label_name(value, column.names) for value in values or ()]
        if None in names or values is None:
            raise DataError(
                "A word has no tag.",
                where=column.place(row),
                fix="tag the word, or remove the row",
            )
        if NO_TAG in names:
            raise DataError(
                f"A word has the tag {NO_TAG}, which stands for a token without one.",
                where=column.place(row),
                fix="give the words with their tags, as they were before they were cut into tokens",
            )
        rows.append([str(name) for name in names])
    return rows


def read_tags(column: LabelColumn, known: Sequence[str] = ()) -> TagReader:
    """Find the tags of the training examples; ids follow a declaration, else the alphabet.

    Raises:
        DataError: a word without a tag, or one tag for all words.
    """
    seen = frozenset(name for names in _names(column) for name in names)
    if len(seen) < 2:
        raise DataError(
            f"All words of the training examples have the tag {listing(sorted(seen))}; "
            "there is nothing to tell apart.",
            where=f"{column.source}, column '{column.column}'",
            fix="add examples with other tags, or name another column with --label-column",
        )
    return TagReader(column.names or in_order(seen), seen)


def find_word_columns(split: RawSplit, text: Sequence[str], label: str | None) -> Columns | None:
    """A column of word lists and one of tag lists that are as long.

    Raises:
        DataError: a row has another number of tags than of words.
    """
    rows = split.rows
    lists = [name for name in rows.column_names if is_list_of(rows, name, *STRINGS, *IDS)]
    words = [name for name in text or WORD_COLUMNS if name in lists]
    if not words or len(text) > 1 or not is_list_of(rows, words[0], *STRINGS):
        return None
    others = [name for name in lists if name != words[0]]
    wanted = (label,) if label else TAG_COLUMNS
    usual = [name for name in wanted if name in others]
    if not usual and (label or len(others) != 1):
        return None
    tags = (usual or others)[0]
    counts = [list(map(_length, rows[name][:])) for name in (words[0], tags)]
    differing = [row for row, (one, other) in enumerate(zip(*counts, strict=True)) if one != other]
    if differing:
        if not (text or label) and len(differing) > len(rows) / 2:
            return None  # lists of another meaning
        row = differing[0]
        raise DataError(
            f"The row has {counts[0][row]} words and {counts[1][row]} tags.",
            where=f"{split.source}, row {row + 1}, columns '{words[0]}' and '{tags}'",
            fix="give every word one tag, or remove the row",
        )
    return Columns((words[0],), tags)


def _length(values: Any) -> int:
    return -1 if values is None else len(values)
