"""`glp/transfer.json`: which auxiliary tasks were learned from, for what, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from glp_export.core.records import Record

TRANSFER = Path("glp") / "transfer.json"

_USED = {
    "before": "the unpruned model learned it before the task",
    "joint": "the unpruned model learned it beside the task",
    "structure": "its texts calibrated what is removed",
    "recovery": "pruned models learned it beside their recovery",
}


class AuxiliaryRecord(Record):
    """One auxiliary task.

    Attributes:
        name: as it was named.
        kind: of task.
        rows: that are learned from.
        checksum: sha256 of task and rows.
        kept: whether it was used.
        difference: of the loss on train rows held out in turns, less that without it; null where
            nothing was tried.
        low: lower end of its interval.
        high: upper end; below 0 the task is kept.
    """

    name: str
    kind: str
    rows: int = Field(ge=1)
    checksum: str
    kept: bool
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        tried = ""
        if self.difference is not None:
            tried = (
                f", loss in cross-validation on train {self.difference:+.3f} "
                f"({self.low:+.3f} to {self.high:+.3f}) against none"
            )
        verdict = "used" if self.kept else "not used"
        return f"auxiliary task {self.name} ({self.kind}, {self.rows} rows): {verdict}{tried}"


class TransferRecord(Record):
    """What auxiliary tasks are used for in a run.

    Attributes:
        schema_version: of the file.
        uses: `before`, `joint`, `structure`, `recovery`; none where no task was kept.
        weight: of auxiliary losses beside the task's own.
        decided: why they are used or not, in words.
        alone: loss in cross-validation without any; null where nothing was tried.
        tasks: all that were named.
    """

    schema_version: Literal[1] = 1
    uses: tuple[str, ...]
    weight: float
    decided: str
    alone: float | None = None
    tasks: tuple[AuxiliaryRecord, ...]

    @property
    def kept(self) -> tuple[AuxiliaryRecord, ...]:
        """The tasks that are used."""
        return tuple(task for task in self.tasks if task.kept)

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        used = "; ".join(_USED[use] for use in self.uses)
        return (*map(str, self.tasks), f"{self.decided}{': ' if used else ''}{used}")

    def save(self, path: Path) -> None:
        """Write it."""
        self.write(path)


def read_transfer(root: Path) -> TransferRecord | None:
    """The record of an artifact; None where no auxiliary task was named.

    Raises:
        DataError: it is broken.
    """
    fix = "make the artifact again"
    return TransferRecord.read_optional(root / TRANSFER, what="the transfer", fix=fix)
