"""Which columns hold the text and which the label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DataError
from glp_export.core.text import plain
from glp_export.tasks.arrow_columns import Cells
from glp_export.tasks.header_row import require_header
from glp_export.tasks.kinds import Columns, TaskKind
from glp_export.tasks.raw import RawSplit

if TYPE_CHECKING:
    from datasets import Dataset

# The first that is there is the label.
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "target",
    "score",
    "category",
    "intent",
    "sentiment",
    "rating",
    "gold_label",
    "y",
)
# Columns that number the rows are neither text nor label: idx, guid, doc_id, pairID, and the
# index that pandas writes beside the data.
KEY = re.compile(
    r"(?i:(.*[_ -])?(id|idx|index|guid|uid|uuid))|.*[a-z]ID|__index_level_0__|(Unnamed: 0)?"
)

PAIRS = (
    ("premise", "hypothesis"),
    ("text", "text_pair"),
    ("text", "hypothesis"),
    ("context", "response"),
    ("claim", "evidence"),
    ("anchor", "positive"),
    ("first", "second"),
    ("left", "right"),
    ("q", "a"),
    *(
        (first, second)
        for first in ("question", "query")
        for second in ("sentence", "answer", "passage", "context", "document", "paragraph")
    ),
)
"""Pairs of texts whose names say which comes first, however a file orders its columns."""
_NUMBERED = re.compile(r"(.*?)[ _-]?([12ab])")
_BESIDE = re.compile(
    r"(.*[ _-])?(source|origin|domain|lang|language|locale|url|uri|link|href|date|time|timestamp|"
    r"datetime|created[ _-]?at|updated[ _-]?at|author|user[ _-]?name|annotator|split|fold|"
    r"data[ _-]?set|file|file[ _-]?name|path|country|city|license|version)"
)
"""Where a text comes from, by the names that people give it: seldom what a model reads."""
_LOOKED_AT = 1000
_DIFFERENT = 0.5
"""Share of different values, in the first rows, below which a second text may name a group."""


def columns_of(
    kind: TaskKind, split: RawSplit, text: Sequence[str] = (), label: str | None = None
) -> Columns:
    """The columns that a kind of task reads, those that are named among them.

    Raises:
        DataError: the data does not have its form; it lists the columns that are there.
    """
    if kind.columns is None:
        usual = find_columns(split, text, label, paired=kind.pairs)
        if kind.pairs and len(usual.text) != 2:
            there = " and ".join(usual.text)
            raise _fault(split, f"{kind.name} reads two columns of text, not {there}")
        return usual
    _require_named(split, text, label)
    found = kind.columns(split, text, label)
    if found is None:
        raise _fault(split, f"This is no data for {kind.name}, which needs {kind.needs}")
    return found


def find_columns(
    split: RawSplit,
    text: Sequence[str] | None = None,
    label: str | None = None,
    *,
    paired: bool = False,
) -> Columns:
    """Take the columns that are named, and infer the others from names and content.

    Args:
        split: the training examples.
        text: one or two columns of text, if the user or the task names them.
        label: the label's column, if it is named.
        paired: whether two texts are wanted, whatever they are called.

    Returns:
        The text columns and the label column.

    Raises:
        DataError: a column that is not there, text that is no text, or no way to tell; it lists
            the columns that are there.
    """
    _require_named(split, text or (), label)
    for name in text or ():
        if not is_text(split.rows, name):
            fault = f"Column '{name}' holds {_type(split.rows, name)}, not text"
            raise _fault(split, fault)
    found = label or _infer_label(split, text or ())
    texts = tuple(text or _infer_text(split, found, paired=paired))
    if label is None and _key(found) not in LABEL_NAMES:
        require_header(split, () if text else texts, found)
    return Columns(texts, found)


def _require_named(split: RawSplit, text: Sequence[str], label: str | None) -> None:
    there = split.rows.column_names
    for name in (*text, *([label] if label else ())):
        if name not in there:
            like = next((f"; there is '{one}'" for one in there if _key(one) == _key(name)), "")
            raise _fault(split, f"There is no column '{name}'{like}")


def _infer_label(split: RawSplit, text: Sequence[str]) -> str:
    rows = split.rows
    names: list[str] = [name for name in rows.column_names if name not in text]
    by_name = {_key(name): name for name in reversed(names)}
    usual = [by_name[name] for name in LABEL_NAMES if name in by_name]
    if usual:
        return usual[0]
    other = [name for name in names if not is_text(rows, name) and not is_key(name)]
    if len(other) != 1:
        raise _fault(split, "No column can be told to be the label")
    return other[0]


def _infer_text(split: RawSplit, label: str, *, paired: bool) -> list[str]:
    """The columns of text: the only one, or two that are a pair.

    Columns that say where a text comes from are left out beside others. Two of which one has few
    different values are a pair where their names say so, or the task is one of pairs.
    """
    every = _texts_beside(split, label)
    names = every if len(every) == 1 else [name for name in every if not is_beside(name)]
    if paired and len(names) < 2:
        names = every
    if not 1 <= len(names) <= 2:
        many = "More than two" if len(every) > 2 else "Two"
        raise _fault(
            split, f"{many if every else 'No'} column{'s hold' if every else ' holds'} text"
        )
    _refuse_doubtful(split, names, label)
    if len(names) == 2 and not (paired or are_pair(names)):
        for name in names:
            _refuse_groups(split, name)
    return in_pair_order(names)


def _refuse_groups(split: RawSplit, name: str) -> None:
    """Refuse a second text whose few values look like the names of groups.

    Raises:
        DataError: so it is.
    """
    values = Cells(split.rows, name)[:_LOOKED_AT]
    different = len(set(values))
    if different < _DIFFERENT * len(values):
        raise _fault(
            split,
            f"Column '{name}' may be one of two texts, or name groups: it has {different} "
            f"different values in {len(values)} rows",
        )


def _texts_beside(split: RawSplit, label: str) -> list[str]:
    """The columns of text that are neither the label, nor its words, nor numbers of rows."""
    names = [
        name
        for name in split.rows.column_names
        if name != label and not is_key(name) and is_text(split.rows, name)
    ]
    if len(names) > 1 and label:
        names = [name for name in names if not _renames(split.rows, name, label)]
    return names


def texts_in_words(split: RawSplit, columns: Columns) -> tuple[str, ...]:
    """What a user should know of the columns of text, of which nobody named any."""
    read = [f"'{plain(name)}'" for name in columns.text]
    unread = [name for name in _texts_beside(split, columns.label) if name not in columns.text]
    if not unread:
        if len(read) != 2 or are_pair(columns.text):
            return ()
        one = plain(columns.text[0])
        return (f"{' and '.join(read)} are read as a pair; --text-columns {one} reads one",)
    others = ", ".join(f"'{plain(name)}'" for name in unread)
    more = f"; --text-columns {plain(columns.text[0])} {plain(unread[0])} reads a pair"
    not_read = f"{others} {'are' if len(unread) > 1 else 'is'} not read"
    alone = len(columns.text) == 1
    return (f"the text is {' and '.join(read)}, and {not_read}{more if alone else ''}",)


def _refuse_doubtful(split: RawSplit, names: Sequence[str], label: str) -> None:
    """Refuse a pair of texts of which one may be a second label, or the other text once more.

    Raises:
        DataError: the two differ in letter case or spaces alone, or one has the name of a label.
    """
    if len(names) != 2:
        return
    if _key(names[0]) == _key(names[1]):
        raise _fault(split, f"Columns '{names[0]}' and '{names[1]}' have one name but for its case")
    second = next((name for name in names if _key(name) in LABEL_NAMES), None)
    if second is not None:
        raise _fault(split, f"Column '{second}' may be a label too, beside '{label}', or a text")


def _key(name: str) -> str:
    """A name without the spaces and the letter case that writers differ in."""
    return name.strip().lower()


def in_pair_order(names: Sequence[str]) -> list[str]:
    """Two columns of text with the first text first, where their names say which that is.

    Writers that sort columns by name turn a pair round, and a model reads it the other way then.
    """
    return list(names[::-1] if len(names) == 2 and _is_ordered(names[::-1]) else names)


def are_pair(names: Sequence[str]) -> bool:
    """Whether the names of two columns say that they are a pair, in whichever order."""
    return _is_ordered(names) or _is_ordered(names[::-1])


def _is_ordered(names: Sequence[str]) -> bool:
    """Whether two names are those of a pair, the first text's first."""
    one, other = (_key(name) for name in names)
    first, second = (_NUMBERED.fullmatch(name) for name in (one, other))
    numbered = first and second and first[1] == second[1] and first[2] < second[2]
    return (one, other) in PAIRS or bool(numbered)


def is_beside(name: str) -> bool:
    """Whether a column of that name says where a text comes from."""
    return _BESIDE.fullmatch(_key(name)) is not None


def is_key(name: str) -> bool:
    """Whether a column of that name numbers the rows."""
    return KEY.fullmatch(name) is not None


def is_text(rows: Dataset, name: str) -> bool:
    """Whether a column holds texts."""
    return getattr(rows.features[name], "dtype", "") in ("string", "large_string")


def _renames(rows: Dataset, name: str, label: str) -> bool:
    """Whether a column only spells the label out, as ``label_text`` beside ``label`` does."""
    label_of: dict[Any, str] = {}
    value_of: dict[str, Any] = {}
    for value, other in zip(Cells(rows, name), map(str, Cells(rows, label)), strict=True):
        # Of a column of texts the first few rows say that it is none, however many there are.
        if label_of.setdefault(value, other) != other or value_of.setdefault(other, value) != value:
            return False
    return len(label_of) < len(rows)


def _type(rows: Dataset, name: str) -> Any:
    feature = rows.features[name]
    return getattr(feature, "dtype", type(feature).__name__.lower())


def _fault(split: RawSplit, fault: str) -> DataError:
    rows = split.rows
    there = ", ".join(f"{name} ({_type(rows, name)})" for name in rows.column_names)
    return DataError(
        f"{fault}; the columns are {there}.",
        where=split.source,
        fix="name them with --text-columns ONE [TWO] and --label-column NAME",
    )
