"""Whether a target was kept, by which file and by how much: a part of benchmark.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glp_export.core import numbers
from glp_export.core.records import Record


class TargetOutcome(Record):
    """What became of one target."""

    target: str = Field(description="as it was asked for, `1.5× at 1×32`")
    kept: bool = Field(description="by the measured value")
    unit: Literal["x", "ms", "points", "MB"] = Field(
        description="of the value: times the unpruned model, milliseconds, metric points, 10^6 "
        "bytes"
    )
    value: float | None = Field(
        default=None, description="that was reached; null where nothing was measured"
    )
    low: float | None = Field(
        default=None, description="lower end of its 95 % interval; null where there is none"
    )
    high: float | None = Field(default=None, description="upper end of it")
    file: str | None = Field(default=None, description="name of the file that reached it")
    plan_id: str = Field(default="", description="of the model; empty where nothing was pruned")

    def __str__(self) -> str:
        words = f"target: {self.target}: {'kept' if self.kept else 'missed'}"
        if self.value is None:
            return f"{words}, not measured"
        return ", ".join(part for part in (words, self.reached, self.file) if part)

    @property
    def reached(self) -> str:
        """`2.73× (2.66–2.85)`, `4.1 ms`, or what was lost on dev; empty for nothing."""
        if self.value is None:
            return ""
        if self.unit == "ms":
            return f"{self.value:.3g} ms"
        if self.unit == "MB":
            return f"{self.value:.2f} MB"
        if self.unit == "points":
            return f"{self.value:.3f} lost on dev"
        span = ""
        if self.low is not None and self.high is not None:
            span = f" ({numbers.ratio_span(self.low, self.high)})"
        return f"{numbers.ratio(self.value)}{span}"
