"""Names of labels: which mean the same, in whatever order and letter case they stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_NUMBERED = re.compile(r"(label_)?(\d+)")
_WHOLE = re.compile(r"(-?\d+)\.0*")

Verdict = Literal["same", "other", "overlapping", "unnamed"]


@dataclass(frozen=True)
class LabelMatch:
    """How the labels of a checkpoint relate to those of data.

    Attributes:
        verdict: `same` where each label of the one is a label of the other; `other` where they
            have nothing in common, or unnamed labels are of another number; `overlapping` where
            they share some; `unnamed` where as many numbers stand for what the data has words for.
        rows: of `same`, the checkpoint's id of each of the data's labels.
    """

    verdict: Verdict
    rows: tuple[int, ...] = ()


def match_labels(checkpoint: Sequence[str], data: Sequence[str]) -> LabelMatch:
    """Compare the labels of a checkpoint with those of data, each in the order of their ids.

    `LABEL_n` and n are one label where both sides number theirs from 0 on. What `LABEL_n` means in
    words is never guessed.
    """
    rows = places_in(checkpoint, data)
    if rows is not None:
        return LabelMatch("same", rows)
    named, wanted = _numbers(checkpoint), _numbers(data)
    alike = len(checkpoint) == len(data)
    if named and wanted and alike:
        return LabelMatch("same", tuple(named.index(number) for number in wanted))
    if named and alike and any(not name.isdecimal() for name in checkpoint):
        return LabelMatch("unnamed")
    common = {label_key(name) for name in checkpoint} & {label_key(name) for name in data}
    if common and (alike or not named):
        return LabelMatch("overlapping")
    return LabelMatch("other")


def places_in(known: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    """Where each of `names` stands in `known`; None unless both are the same set of labels.

    Letter case counts only where it has to: where two labels differ in nothing else.
    """
    if len(known) != len(names):
        return None
    for read in (str, label_key):
        place = {read(name): index for index, name in enumerate(known)}
        found = [place.get(read(name)) for name in names]
        ids = [index for index in found if index is not None]
        if len(set(ids)) == len(known):
            return tuple(ids)
    return None


def label_key(name: str) -> str:
    """What the spellings of one label have in common: `Good`, `good ` and `GOOD`; `1` and `1.0`."""
    plain = unicodedata.normalize("NFC", name).strip().casefold()
    whole = _WHOLE.fullmatch(plain)
    return whole[1] if whole else plain


def near_duplicates(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of labels that differ in letter case or spaces around them alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(label_key(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The numbers of labels called 0, 1, … or LABEL_0, LABEL_1, …; None where they are not."""
    found = [_NUMBERED.fullmatch(label_key(name)) for name in names]
    numbers = [int(match[2]) for match in found if match]
    return numbers if sorted(numbers) == list(range(len(names))) else None
