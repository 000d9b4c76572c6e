"""What is supported, as the tests found it: `docs/support.json`, and `docs/support.md` made of it.

A test whose outcome belongs into a table says so in one line, before it does anything else:

    def test_it_exports(family, record_support):
        record_support("families", family, "export")

The cell is "yes" if all tests that name it pass; `says="refused: …"` puts other words there, and
`with_=("fastembed", "transformers")` the versions of packages beside it. A test that is skipped
puts its reason under the table. Tests on every stack (major of transformers) fill cells of their
own, so the same tests are run in both environments:

    make support

or in one of them, for some tests, with the cells of all others left as they are:

    python -m pytest tests/encoder --support=docs/support.json
    python -m tests.support docs/support.json docs/support.md

A new table is a row in `TABLES`; rows and columns stand in the order in which they were first seen.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

TABLES: dict[str, str] = {
    "families": "Families of encoders",
    "tasks": "Tasks by family",
    "consumers": "What loads an artifact",
}
"""Name of a table to its heading; tables stand in this order."""

PACKAGES = ("torch", "transformers", "optimum-onnx", "onnx", "onnxruntime")

YES, REFUSED_PREFIX = "yes", "refused"
_PROPERTY = "support"


@dataclass(frozen=True)
class Cell:
    """One cell as one stack filled it.

    Attributes:
        table: key of `TABLES`.
        row: such as a family.
        column: such as a check.
        stack: major of transformers, "transformers 5".
        outcome: "passed", "failed" or "skipped"; of several tests the worst.
        says: what the cell shows if the tests pass.
        note: why a test was skipped.
        tests: how many stand behind it.
    """

    table: str
    row: str
    column: str
    stack: str
    outcome: str
    says: str = YES
    note: str = ""
    tests: int = 1

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.table, self.row, self.column, self.stack

    def joined(self, other: Cell) -> Cell:
        """Both tests behind one cell."""
        order = ("passed", "skipped", "failed")
        if self.outcome == other.outcome == "passed":
            said = self.says if other.says in (YES, self.says) else other.says
            return Cell(*self.key, "passed", said, "", self.tests + other.tests)
        # A check of which some layers are left out for a reason was still made.
        if {self.outcome, other.outcome} == {"passed", "skipped"}:
            passed, skipped = (self, other) if self.outcome == "passed" else (other, self)
            return Cell(*self.key, "passed", passed.says, skipped.note, self.tests + other.tests)
        worst = max((self, other), key=lambda cell: order.index(cell.outcome))
        return Cell(*self.key, worst.outcome, worst.says, worst.note, self.tests + other.tests)


Record = Callable[..., None]


@pytest.fixture
def record_support(request: pytest.FixtureRequest) -> Record:
    """Name the cell that this test stands behind: `record_support(table, row, column)`."""

    def record(
        table: str, row: str, column: str, *, says: str = YES, with_: Sequence[str] = ()
    ) -> None:
        assert table in TABLES, f"{table} is no table of {__name__}.TABLES"
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in with_)
        said = f"{says}: {versions}" if versions else says
        cell = {"table": table, "row": row, "column": column, "says": said}
        # Properties of a report reach the process that writes, from workers too. A later call for
        # the same cell replaces what it says.
        place = (table, row, column)
        properties = request.node.user_properties
        properties[:] = [
            (name, value)
            for name, value in properties
            if name != _PROPERTY or (value["table"], value["row"], value["column"]) != place
        ]
        properties.append((_PROPERTY, cell))

    return record


class Recorder:
    """Gathers the cells of a run and writes them when it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells: dict[tuple[str, str, str, str], Cell] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not (report.when == "setup" and not report.passed):
            return
        note = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
        for name, value in report.user_properties:
            if name == _PROPERTY:
                cell = Cell(**value, stack=stack(), outcome=report.outcome, note=note)
                known = self.cells.get(cell.key)
                self.cells[cell.key] = cell if known is None else known.joined(cell)

    def pytest_sessionfinish(self) -> None:
        if self.cells:
            write(self.path, stack(), versions(), self.cells.values())


def pytest_addoption(parser: pytest.Parser) -> None:
    """For tests/conftest.py: the flag."""
    parser.addoption(
        "--support",
        type=Path,
        metavar="JSON",
        help="run the tests that stand behind the support table alone, and record them there",
    )


def pytest_configure(config: pytest.Config) -> None:
    """For tests/conftest.py: the recorder, in the process that sees all reports."""
    path = config.getoption("--support")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(path), "support-recorder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For tests/conftest.py: with the flag, only tests that record anything."""
    if config.getoption("--support") is None:
        return
    recording = [item for item in items if "record_support" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in recording])
    items[:] = recording


def stack() -> str:
    """The stack that this process runs on, by the major of transformers."""
    major, minor, *_ = importlib.metadata.version("transformers").split(".")
    return f"transformers {major}.{minor}" if major == "4" else f"transformers {major}"


def versions() -> dict[str, str]:
    """What the tests ran with."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(path: Path, ran_on: str, with_: Mapping[str, str], cells: Iterable[Cell]) -> None:
    """Put the cells of a run into the file; those that the run did not touch stay."""
    record: dict[str, Any] = {"stacks": {}, "cells": []}
    if path.is_file():
        record = json.loads(path.read_text(encoding="utf-8"))
    merged = {cell.key: cell for cell in (Cell(**value) for value in record["cells"])}
    merged |= {cell.key: cell for cell in cells}
    stacks = {**record["stacks"], ran_on: dict(with_)}
    kept = {"stacks": dict(sorted(stacks.items())), "cells": [asdict(c) for c in merged.values()]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def render(record: Mapping[str, Any]) -> str:
    """The Markdown of a record."""
    cells = [Cell(**value) for value in record["cells"]]
    lines = [
        "# What is supported",
        "",
        "Every cell is the outcome of tests on tiny real models; none is written by hand. "
        "`make support` runs them again and writes this file from `support.json`.",
        "",
        "| stack | versions |",
        "|---|---|",
    ]
    for name, with_ in record["stacks"].items():
        listed = ", ".join(f"{package} {version}" for package, version in with_.items())
        lines.append(f"| {name} | {listed} |")
    for table, heading in TABLES.items():
        own = [cell for cell in cells if cell.table == table]
        if own:
            lines += ["", f"## {heading}", "", *_table(own, list(record["stacks"]))]
    return "\n".join(lines) + "\n"


def _table(cells: Sequence[Cell], stacks: Sequence[str]) -> list[str]:
    rows = list(dict.fromkeys(cell.row for cell in cells))
    columns = list(dict.fromkeys(cell.column for cell in cells))
    by_key = {(cell.row, cell.column, cell.stack): cell for cell in cells}
    notes: dict[str, int] = {}
    lines = [
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for row in rows:
        shown = []
        for column in columns:
            found = {name: by_key.get((row, column, name)) for name in stacks}
            shown.append(_shown(found, notes))
        lines.append(f"| {row} | {' | '.join(shown)} |")
    if notes:
        lines += ["", *(f"{number}. {note}" for note, number in notes.items())]
    return lines


def _shown(found: Mapping[str, Cell | None], notes: dict[str, int]) -> str:
    """One cell of the table: one word where all stacks agree, else one for each."""
    words = {name: _words(cell, notes) for name, cell in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "<br>".join(f"{name.removeprefix('transformers ')}: {w}" for name, w in words.items())


def _words(cell: Cell | None, notes: dict[str, int]) -> str:
    if cell is None:
        return "—"
    word = {"passed": cell.says, "skipped": "no", "failed": "**fails**"}[cell.outcome]
    if not cell.note:
        return word
    return f"{word} ({notes.setdefault(cell.note, len(notes) + 1)})"


def main(source: str, target: str) -> None:
    """Write the Markdown of a record."""
    record = json.loads(Path(source).read_text(encoding="utf-8"))
    Path(target).write_text(render(record), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
