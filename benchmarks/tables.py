"""What the scripts have in common: tables, and of those on latency entries, ratios and the page."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from glp_export.bench import Contender, Samples, paired_ratio
from glp_export.bench.memory_probe import peak_resident_mb
from glp_export.core import machine

PACKAGES = (
    *("torch", "transformers", "optimum", "optimum-onnx"),
    *("onnxruntime", "onnxruntime-gpu", "openvino", "nncf"),
)


@dataclass(frozen=True)
class Entry:
    """A contender and what the table calls it."""

    name: str
    contender: Contender


@dataclass(frozen=True)
class Page:
    """A results page.

    Attributes:
        title: its heading.
        device: words on the device and its threads.
        notes: what makes the numbers doubtful.
        explanation: how they were taken.
        head: of the table; `texts` of its columns are words, the rest numbers.
        lines: of the table.
        texts: columns of words, from the left.
        wall: seconds that everything took.
    """

    title: str
    device: str
    notes: Sequence[str]
    explanation: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    texts: int
    wall: float

    def write(self, here: machine.Machine, path: Path) -> None:
        """Write the page as Markdown, and print it."""
        found = here.versions | installed("nncf")
        versions = ", ".join(f"{name} {found[name]}" for name in PACKAGES if name in found)
        command = f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".strip()
        text = "\n\n".join(
            [
                f"# {self.title}",
                f"{datetime.date.today()}. `{command}`",
                f"{self.device}, {here.memory_gb} GiB, {here.os}; Python {here.python}, "
                f"{versions}.",
                *(f"**Note: {note}.**" for note in self.notes),
                self.explanation.strip(),
                markdown([self.head, *self.lines], texts=self.texts),
                f"The whole run took {self.wall / 60:.1f} minutes and "
                f"{peak_resident_mb() / 1024:.1f} GiB at its peak, with all contenders of one base "
                "model loaded.\n",
            ]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(text)


def installed(package: str) -> dict[str, str]:
    """The version of a package by its name; nothing where it is not there."""
    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}


def markdown(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table whose first row is its head; so many columns from the left are words, not numbers."""
    head, *body = rows
    rule = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def ratio(reference: Samples | None, sample: Samples) -> str:
    """How many times faster than a reference, with its interval; 1 for the reference itself."""
    if reference is None:
        return "–"
    if reference is sample:
        return "1"
    found = paired_ratio(reference.round_medians, sample.round_medians)
    return f"{found.value:.2f} [{found.low:.2f}–{found.high:.2f}]"


def progress(stage: str, done: int, total: int) -> None:
    """Say on stderr how far a measurement is."""
    if done == total or sys.stderr.isatty():
        say(f"{stage}: {done}/{total}")


def say(line: str) -> None:
    """A line on stderr, which is not for results."""
    print(line, file=sys.stderr, flush=True)
