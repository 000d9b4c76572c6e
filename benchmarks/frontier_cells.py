"""What the frontier has measured so far, kept on disk after every cell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cells import read_kept, write_whole


@dataclass(frozen=True)
class Cell:
    """One row of one task, seed and target.

    Attributes:
        target: speedup that was asked for; 1 for the unpruned model.
        value: of the test metric, by the file that is timed.
        dev: of the metric on dev.
        label: the model's shape, for people.
        predicted: speedup by the latency table.
        search_seconds: that choosing took, the teacher's training apart.
        megabytes: of the file that is timed.
        parameters: of the model as it is served.
        chance: of the unpruned model's test set; whether it beats it stands in `significant`.
    """

    task: str
    metric: str
    train_rows: int
    seed: int
    target: float
    row: str
    value: float
    low: float
    high: float
    dev: float
    label: str
    plan_id: str
    predicted: float | None
    seconds: float
    search_seconds: float
    megabytes: float | None = None
    parameters: int | None = None
    chance: float | None = None
    significant: bool | None = None

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.group}|{self.target:g}|{self.row}"

    @property
    def group(self) -> str:
        """The task, its rows and the seed."""
        return f"{self.task}|{self.train_rows}|{self.seed}"


class Results:
    """The finished cells and timings, in a file that is written after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = read_kept(path)
        self.cells: dict[str, Cell] = {
            key: Cell(**one) for key, one in kept.get("cells", {}).items()
        }
        self.timings: dict[str, dict[str, Any]] = kept.get("timings", {})
        self.differences: dict[str, list[float]] = kept.get("differences", {})

    def add(self, cell: Cell) -> None:
        """Keep a cell."""
        self.cells[cell.key] = cell
        self.save()

    def save(self) -> None:
        """Write everything."""
        cells = {key: asdict(cell) for key, cell in self.cells.items()}
        kept = {"cells": cells, "timings": self.timings, "differences": self.differences}
        write_whole(self._path, kept)
