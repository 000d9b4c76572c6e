"""One line of a budget, such as `speedup_vs_unpruned >= 1.9 at 1x128`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from glp_export.core.batch_size import require_batch
from glp_export.core.errors import UsageError

Kind = Literal["size", "latency", "accuracy"]

_LINE = re.compile(
    r"(?P<key>[^\s<>=!]+)\s*(?P<operator>[<>=!]+)\s*(?P<number>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*"
    r"(?P<unit>(?!at\b)\S+)?(?:\s*\bat\s+(?P<shape>\S+))?",
    re.IGNORECASE,
)
_SHAPE = re.compile(r"([1-9]\d*)\s*[x×]\s*([1-9]\d*)")


@dataclass(frozen=True)
class Key:
    """Something that a budget can bound.

    Attributes:
        kind: which part of the gate looks at it.
        operator: the side on which the bound is kept.
        meaning: for the comments of a budget file.
        of_reference: whether it compares with the artifact that is given with --against.
        share: whether a bound may be written in percent.
    """

    kind: Kind
    operator: Literal[">=", "<="]
    meaning: str
    of_reference: bool = False
    share: bool = False


KEYS: dict[str, Key] = {
    "speedup_vs_unpruned": Key(
        "latency", ">=", "times as fast as the unpruned model, both in ONNX Runtime"
    ),
    "speedup_vs_reference": Key(
        "latency", ">=", "times as fast as the artifact given with --against", of_reference=True
    ),
    "p99_over_p50": Key("latency", "<=", "the slowest percent of the runs, over the median"),
    "size_mb": Key("size", "<=", "the ONNX file with its sidecar, in 10^6 bytes"),
    "metric_drop": Key("accuracy", "<=", "points of the metric below the unpruned model's"),
    "changed_predictions": Key(
        "accuracy",
        "<=",
        "share of the rows for which the artifact given with --against predicts another label",
        of_reference=True,
        share=True,
    ),
}


@dataclass(frozen=True)
class BudgetLine:
    """What is to be kept.

    Attributes:
        text: as it is written.
        key: one of `KEYS`.
        bound: a plain number, in the key's own unit.
        shape: batch size and length in tokens; None where the key has none.
        where: file and line.
    """

    text: str
    key: str
    bound: float
    shape: tuple[int, int] | None
    where: str

    @property
    def kind(self) -> Kind:
        """Which part of the gate looks at it."""
        return KEYS[self.key].kind

    @property
    def shape_name(self) -> str | None:
        """`1x128`."""
        return self.shape and f"{self.shape[0]}x{self.shape[1]}"


def read_lines(texts: Sequence[tuple[str, str]]) -> tuple[BudgetLine, ...]:
    """Read the lines of one table; a latency line without a shape takes the table's first one.

    Args:
        texts: every line with its place.

    Raises:
        UsageError: a line cannot be read, or none of the table says a shape.
    """
    lines = [read_line(text, where) for text, where in texts]
    first = next((line.shape for line in lines if line.shape), None)
    complete = []
    for line in lines:
        if line.kind == "latency" and line.shape is None:
            if first is None:
                raise UsageError(
                    f"{line.text!r} does not say for which batch and length",
                    where=line.where,
                    fix="add `at 1x128`: batch size 1, 128 tokens",
                )
            line = replace(line, shape=first)
        complete.append(line)
    return tuple(complete)


def read_line(text: str, where: str) -> BudgetLine:
    """Read one line.

    Raises:
        UsageError: an unknown key, operator, unit or shape; the nearest known one is named.
    """
    match = _LINE.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"{text!r} is no line of a budget",
            where=where,
            fix="write it like `speedup_vs_unpruned >= 1.9 at 1x128`",
        )
    name, key = match["key"], _key(match["key"], where)
    if match["operator"] != key.operator:
        raise UsageError(
            f"{name} is kept on the other side: {match['operator']!r} cannot be its operator",
            where=where,
            fix=f"write {name} {key.operator} {match['number']}",
        )
    percent = key.share and match["unit"] == "%"
    if match["unit"] and not percent:
        raise UsageError(
            f"{name} has no unit, {match['unit']!r} is none of it",
            where=where,
            fix=f"write the number alone, {key.meaning}: {name} {key.operator} {match['number']}",
        )
    bound = _number(match["number"], where) / (100 if percent else 1)
    if key.share and not 0 <= bound < 1:
        raise UsageError(
            f"{name} is a share: {match['number']}{match['unit'] or ''} is none that can be kept "
            "and broken",
            where=where,
            fix=f"write a bound from 0 % to less than 100 %: {name} {key.operator} 2 %",
        )
    return BudgetLine(text.strip(), name, bound, _shape(match, key, where), where)


def _key(name: str, where: str) -> Key:
    if name in KEYS:
        return KEYS[name]
    if name.endswith("_ms"):
        fix = "milliseconds belong to one machine; bound the ratio, speedup_vs_unpruned >= 1.9"
    else:
        close = get_close_matches(name, KEYS, n=1, cutoff=0.5)
        fix = f"did you mean {close[0]}?" if close else f"one of {', '.join(KEYS)}"
    raise UsageError(f"a budget knows no {name!r}", where=where, fix=fix)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no number", where=where, fix="write it like 1.9") from error
    if math.isinf(number):
        raise UsageError(f"{text} bounds nothing", where=where, fix="write it like 1.9")
    return number


def _shape(match: re.Match[str], key: Key, where: str) -> tuple[int, int] | None:
    text = match["shape"]
    if text is None:
        return None
    if key.kind != "latency":
        raise UsageError(
            f"{match['key']} is the same at every shape",
            where=where,
            fix=f"leave out `at {text}`",
        )
    sizes = _SHAPE.fullmatch(text)
    if not sizes:
        raise UsageError(
            f"{text!r} is no shape", where=where, fix="write batch × tokens, `at 1x128`"
        )
    shape = int(sizes[1]), int(sizes[2])
    require_batch(*shape, where)
    return shape
