"""What a gate found, line by line, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from glp_export.core.errors import AccuracyError, GlpError, LatencyError, ParityError
from glp_export.core.notebook import table_html
from glp_export.core.records import Record
from glp_export.gate.budget_line import BudgetLine

Part = Literal["integrity", "size", "latency", "accuracy"]
Outcome = Literal["kept", "broken", "undecided", "not asked"]
Undecided = Literal["pass", "fail"]

SCHEMA_VERSION: Literal[1] = 1


class LineResult(Record):
    """One thing that was checked."""

    part: Part
    check: str = Field(description="a line of the budget as it is written, or checksums, parity")
    table: str = Field(default="", description="cpu.fp32; empty where it belongs to none")
    key: str = ""
    shape: str | None = None
    outcome: Outcome
    value: float | None = Field(default=None, description="what was measured")
    bound: float | None = None
    low: float | None = Field(default=None, description="of an interval valid at every look")
    high: float | None = None
    rounds: int = 0
    seconds: float = 0.0
    reason: str = Field(default="", description="what there is to say about the outcome")
    where: str = Field(default="", description="file and line of the budget")

    @classmethod
    def of_line(cls, table: str, line: BudgetLine, outcome: Outcome, **measured: Any) -> LineResult:
        """What came of a line of the budget; `measured` are further fields."""
        return cls(
            part=line.kind,
            check=line.text,
            table=table,
            key=line.key,
            shape=line.shape_name,
            outcome=outcome,
            bound=line.bound,
            where=line.where,
            **measured,
        )

    @property
    def name(self) -> str:
        """The check with its table, for people."""
        return f"{self.table}: {self.check}" if self.table else self.check


class GateReport(Record):
    """All findings of one gate."""

    schema_version: Literal[1] = SCHEMA_VERSION
    artifact: str
    reference: str = Field(description="what speedups are over; empty where none was needed")
    budget: str
    threads: int
    undecided: Undecided
    files: dict[str, str] = Field(
        default_factory=dict, description="name of the file that is judged, by table of the budget"
    )
    findings: tuple[LineResult, ...]
    notes: tuple[str, ...] = ()
    seconds: float

    def file_of(self, result: LineResult) -> str:
        """The file that a finding is about; empty for the artifact as a whole."""
        if result.table:
            return self.files.get(result.table, "")
        return Path(result.where).name if result.check.startswith("parity of") else ""

    def __repr__(self) -> str:
        found = [one.outcome for one in self.findings]
        counted = ", ".join(f"{found.count(one)} {one}" for one in dict.fromkeys(found))
        return f"GateReport({self.artifact}: {self.outcome}; {counted})"

    def _repr_html_(self) -> str:
        head = ("file", "check", "measured", "interval", "outcome")
        rows = (
            (
                self.file_of(one),
                one.check,
                "" if one.value is None else f"{one.value:.4g}",
                interval_words(one),
                one.outcome,
            )
            for one in self.findings
        )
        return table_html(f"gate of {self.artifact}: {self.outcome}", head, rows)

    @property
    def failures(self) -> tuple[LineResult, ...]:
        """What the gate fails for, in the order of severity: integrity, accuracy, the rest."""
        failing = {"broken", "undecided"} if self.undecided == "fail" else {"broken"}
        order = ("integrity", "accuracy", "size", "latency")
        found = [result for result in self.findings if result.outcome in failing]
        return tuple(sorted(found, key=lambda result: order.index(result.part)))

    @property
    def outcome(self) -> Outcome:
        """Of the whole: broken before undecided before kept."""
        found = {result.outcome for result in self.findings}
        return next((one for one in ("broken", "undecided") if one in found), "kept")

    @property
    def exit_code(self) -> int:
        """0, or 3, 4 or 5 for the most severe failure."""
        error = self.error()
        return error.exit_code if error else 0

    def error(self) -> GlpError | None:
        """The failures as one error, None without any."""
        if not self.failures:
            return None
        kinds: dict[Part, type[GlpError]] = {"integrity": ParityError, "accuracy": AccuracyError}
        kind = kinds.get(self.failures[0].part, LatencyError)
        return kind(
            "the artifact does not keep what it should:\n"
            + "\n".join(f"  {sentence(result)}" for result in self.failures),
            where=next((one.where for one in self.failures if one.where), self.artifact),
            fix=_FIXES[self.failures[0].part],
        )

    def require(self) -> None:
        """Do nothing if nothing fails.

        Raises:
            ParityError: the files are not those that were verified.
            AccuracyError: an accuracy line is broken.
            LatencyError: a line of latency or size is broken, or undecided and that fails.
        """
        if error := self.error():
            raise error


_FIXES: dict[Part, str] = {
    "integrity": "copy the whole artifact again, or make it again; nothing else was looked at",
    "accuracy": "keep more layers (--max-drop), or edit the budget if this is good enough",
    "size": "deploy a smaller file, or edit the budget",
    "latency": "find what became slower; edit the budget if it is meant to be; where the "
    "interval is wide, give --max-seconds more",
}


def sentence(result: LineResult) -> str:
    """A finding in one line: what was asked, what was found, and why it is so."""
    parts = [f"{result.name}: {result.outcome}"]
    if measured := measured_words(result):
        parts.append(measured)
    if result.reason:
        parts.append(result.reason)
    return ", ".join(parts)


def measured_words(result: LineResult) -> str:
    """`measured 1.92 (1.88–1.96) in 31 rounds`, or nothing."""
    if result.value is None:
        return ""
    span = interval_words(result)
    rounds = f" in {result.rounds} rounds" if result.rounds else ""
    return f"measured {result.value:.4g}{f' ({span})' if span else ''}{rounds}"


def interval_words(result: LineResult) -> str:
    """`1.88–1.96`; nothing where there is no interval."""
    if result.low is None or result.high is None:
        return ""
    joint = " to " if result.low < 0 else "–"
    ends = (f"{end:#.3g}".rstrip(".") for end in (result.low, result.high))
    return joint.join(ends).replace("-", "−")
