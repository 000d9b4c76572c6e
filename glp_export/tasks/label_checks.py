"""Labels that are one word each, or only look so: lists and numbers that were written as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from glp_export.core.errors import DataError
from glp_export.core.text import plain
from glp_export.tasks.kinds.base import LabelColumn

_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[-+]?\d{1,6})?", re.IGNORECASE)
_QUOTED = re.compile(r"""\s*[\[({]\s*(['"].*['"]|-?\d+([\s,]+-?\d+)*|)[\s,]*[\])}]\s*""", re.DOTALL)
_ITEM = r"""(?:'[^']*'|"[^"]*"|“[^”]*”)"""
_TAG = r"(?:O|[BIESLU]-\S+)"
_LISTS = (
    _QUOTED,
    re.compile(r"\s*\[[^\[\]]*[,;|][^\[\]]*\]\s*"),  # [a, b]
    re.compile(r"\s*\w*[\[({]\s*[\[({].*[\])}].*[\])}]\s*", re.DOTALL),  # array([…]), [[…]]
    re.compile(rf"\s*{_ITEM}(\s*[,;|]\s*{_ITEM})+\s*"),  # 'a', 'b'
    re.compile(r"(__label__\S+\s+)+__label__\S+"),
    re.compile(rf"({_TAG}\s+)+{_TAG}"),
)
"""What is a list, whatever stands in other rows."""

_BRACKETS = re.compile(r"\s*(\[.*\]|\{.*\}|\(.*\))\s*", re.DOTALL)
_SEVERAL = re.compile(r"\s*[\[{].*\S[\s,;|]+\S.*|.*[,;|].*", re.DOTALL)
_BITS = re.compile(r"[01](?:\.0)?(?:[\s,;|]+[01](?:\.0)?)+")
_BIT_STRING = re.compile(r"[01]{3,}")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")
_STRONG, _WEAK = "|;,", ("\n", "\t", " ", "/", "+", "&", "#", ">")
_ENOUGH = 200_000
"""Different labels past which a column is no label, as another check says."""

_AS_LISTS = (
    'write lists, such as ["bad", "cat"], in every row, or give the data as .jsonl; if each is '
    "one label, ask for --kind text-classification"
)


def check_words(column: LabelColumn) -> tuple[str, ...]:
    """Refuse labels of which it is not sure what they are; each is taken for one class else.

    Returns:
        What a user should know of labels that could be something else, in sentences.

    Raises:
        DataError: lists that were written as text, or a number in two spellings.
    """
    words = {value for value in column.values if isinstance(value, str) and value}
    if not words or len(words) > _ENOUGH or column.names is not None:
        return ()
    listed = _list_as_text(words)
    if listed is not None:
        raise DataError(
            f"A label looks like a list that was written as text: {plain(listed)}",
            where=_place(column, listed),
            fix=_AS_LISTS,
        )
    one, other = _spelled_twice(words)
    if one:
        raise DataError(
            f"Labels '{plain(one)}' and '{plain(other)}' are two spellings of one number.",
            where=_place(column, other),
            fix="write it in one way; or say what the labels are: --kind regression for numbers, "
            "--kind text-classification for words",
        )
    if all(_NUMBER.fullmatch(word) for word in words) and any(_has_fraction(w) for w in words):
        return (
            f"the labels are numbers that were written as text, such as "
            f"'{plain(min(words))}', and are taken for classes; --kind regression takes them for "
            "numbers",
        )
    return ()


def _list_as_text(words: set[str]) -> str | None:
    """A label that looks like a list: by its brackets or quotes, or as it is made of others."""
    found = {word for word in words if any(form.fullmatch(word) for form in _LISTS)}
    if all(map(_BRACKETS.fullmatch, words)):
        found |= set(filter(_SEVERAL.fullmatch, words))
    if all(map(_BITS.fullmatch, words)) or _are_bit_strings(words):
        found |= words
    return min(found, default=None) or _separated(words)


def _are_bit_strings(words: set[str]) -> bool:
    """Whether all are as many zeros and ones without anything between, as `010` beside `110`."""
    alike = len({len(word) for word in words}) == 1 and all(map(_BIT_STRING.fullmatch, words))
    return alike and any(word.startswith("0") for word in words)


def _separated(words: set[str]) -> str | None:
    """A label that is made of others, as `a|b` beside `a` or `b|c`.

    Between bars, semicolons and commas without a space may stand nothing else; words and signs that
    names are made of as well have to part what are all labels by themselves.
    """
    for mark in _STRONG:
        parts = {word: _parts(word, mark) for word in words if not _THOUSANDS.fullmatch(word)}
        several = {word for word, own in parts.items() if len(own) > 1}
        if not several:
            continue
        seen = Counter(part for own in parts.values() for part in set(own))
        shared = {word for word in several if all(seen[part] > 1 for part in parts[word])}
        beside = {word for word in several if not words.isdisjoint(parts[word])}
        tight = all(not re.search(r"\s", word) for word in several)
        if tight or beside or 2 * len(shared) > len(several):
            return min(beside or shared or several)
    for mark in _WEAK:
        parts = {word: _parts(word, mark) for word in words}
        several = {word for word, own in parts.items() if len(own) > 1}
        if several and all(words.issuperset(parts[word]) for word in several):
            return min(several)
    return None


def _parts(word: str, mark: str) -> Sequence[str]:
    return [part for one in word.split(mark) if (part := one.strip())]


def _spelled_twice(words: set[str]) -> tuple[str, str]:
    """Two spellings of one number; two empty texts where each has one."""
    spelling: dict[Decimal, str] = {}
    for word in sorted(words):
        if _NUMBER.fullmatch(word):
            first = spelling.setdefault(Decimal(word), word)
            if first != word:
                return first, word
    return "", ""


def _has_fraction(word: str) -> bool:
    number = Decimal(word)
    return number != number.to_integral_value()


def _place(column: LabelColumn, word: str) -> str:
    return column.place(next(row for row, value in enumerate(column.values) if value == word))
