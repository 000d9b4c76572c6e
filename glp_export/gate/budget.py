"""`glp/budget.toml`: what an artifact has to keep, in lines that people edit.

    [cpu.fp32]
    keep = [
      "speedup_vs_unpruned >= 1.9 at 1x128",
      "size_mb <= 90",
    ]

One table for each place (`cpu` and `cuda` in ONNX Runtime, `openvino`) and precision. In a table
`unpruned = "O2"` says how the rebuilt unpruned model is optimised that speedups are over; "none"
without it. It runs in ONNX Runtime in every table.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from glp_export.artifact.optimise import LEVELS
from glp_export.artifact.variants import VARIANTS
from glp_export.core.errors import UsageError, reason_of
from glp_export.core.machine import CPU, CUDA
from glp_export.gate.budget_line import BudgetLine, read_lines
from glp_export.serve.runtimes import ONNX_RUNTIME, OPENVINO


class Place(NamedTuple):
    """Where a table's file runs: a runtime, and the provider of ONNX Runtime or what stands for it.

    OpenVINO's is the CPU.
    """

    runtime: str
    provider: str


PLACES = {
    "cpu": Place(ONNX_RUNTIME, CPU),
    "cuda": Place(ONNX_RUNTIME, CUDA),
    "openvino": Place(OPENVINO, CPU),
}
"""By the first part of a table's name."""

PRECISIONS = tuple(dict.fromkeys(variant.precision for variant in VARIANTS.values()))
OPTIMISATIONS = ("none", *LEVELS)

_FIELDS = ("keep", "unpruned")


@dataclass(frozen=True)
class BudgetTable:
    """The lines of one place and precision.

    Attributes:
        device: a key of `PLACES`.
        precision: `fp32`, …
        lines: in the order of the file.
        unpruned: how the unpruned model is optimised, `none` or a level.
    """

    device: str
    precision: str
    lines: tuple[BudgetLine, ...]
    unpruned: str = "none"

    @property
    def name(self) -> str:
        """`cpu.fp32`."""
        return f"{self.device}.{self.precision}"

    @property
    def provider(self) -> str:
        """The full name of the execution provider."""
        return PLACES[self.device].provider

    @property
    def runtime(self) -> str:
        """What runs the file."""
        return PLACES[self.device].runtime

    @property
    def is_int8_on_cpu(self) -> bool:
        """Whether it is about int8 on the CPU, whose speed and sums hang on its instructions."""
        return self.provider == CPU and self.precision.startswith("int8")


@dataclass(frozen=True)
class Budget:
    """A whole budget."""

    path: Path
    tables: tuple[BudgetTable, ...]

    @classmethod
    def load(cls, path: Path) -> Budget:
        """Read a budget.

        Raises:
            UsageError: there is no such file, it is no TOML, or it holds a key, an operator, a unit
                or a shape that is not known; the line and the nearest known name are named.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")  # some editors write a mark first
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"the budget cannot be read: {reason_of(error)}",
                where=str(path),
                fix="write one, or make the artifact again; --budget FILE names another",
            ) from error
        try:
            content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(f"the budget is no TOML: {error}", where=str(path)) from error
        reader = _Reader(path, text)
        tables = tuple(
            reader.table(device, precision, table)
            for device, precisions in content.items()
            for precision, table in reader.precisions(device, precisions).items()
        )
        if not any(table.lines for table in tables):
            raise UsageError(
                "the budget has no lines", where=str(path), fix='add keep = ["size_mb <= 90"]'
            )
        return cls(path, tables)


class _Reader:
    """Checks the parts of a parsed file, and finds their lines in its text again."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._next = 0

    def precisions(self, device: str, content: Any) -> Mapping[str, Any]:
        """The tables of a provider."""
        self._require(device, PLACES, "provider", content)
        return dict(content)

    def table(self, device: str, precision: str, content: Any) -> BudgetTable:
        """One table."""
        self._require(precision, PRECISIONS, "precision", content)
        for name in content:
            if name not in _FIELDS:
                raise self._unknown("field", name, _FIELDS)
        keep, unpruned = content.get("keep", []), content.get("unpruned", "none")
        if not isinstance(keep, list) or not all(isinstance(text, str) for text in keep):
            raise UsageError(
                "keep is no list of texts",
                where=self._where("keep"),
                fix='write keep = ["speedup_vs_unpruned >= 1.9 at 1x128"]',
            )
        if unpruned not in OPTIMISATIONS:
            raise self._unknown("level", str(unpruned), OPTIMISATIONS)
        # From the table's own head on: another table may hold the same line.
        self._next = self._number(rf"\[\s*{device}\s*\.\s*{precision}\s*\]", 0)
        lines = read_lines([(text, self._next_line(text)) for text in keep])
        return BudgetTable(device, precision, lines, unpruned)

    def _require(self, name: str, known: Any, what: str, content: Any) -> None:
        if name not in known:
            raise self._unknown(what, name, known)
        if not isinstance(content, dict):
            raise UsageError(
                f"{name} is no table", where=self._where(name), fix="begin it with [cpu.fp32]"
            )

    def _unknown(self, what: str, name: str, known: Any) -> UsageError:
        close = get_close_matches(name, known, n=1)
        fix = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
        return UsageError(f"a budget knows no {what} {name!r}", where=self._where(name), fix=fix)

    def _where(self, name: str) -> str:
        line = self._number(rf"\b{re.escape(name)}\b", 0) + 1
        return f"{self._path}, line {line}"

    def _next_line(self, text: str) -> str:
        """The place of the next line that holds a text, as TOML's plain strings have it."""
        self._next = self._number(re.escape(text), self._next)
        return f"{self._path}, line {self._next + 1}"

    def _number(self, pattern: str, start: int) -> int:
        """The first line from `start` on, comments left out, that a pattern is found in."""
        for number in range(start, len(self._lines)):
            if re.search(pattern, self._lines[number].split("#")[0]):
                return number
        return start
