"""Whether each target was kept, by which file and by how much, for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from glp_export.config.targets import (
    DepthLatency,
    LatencyBudget,
    OpenedFile,
    SpeedupTarget,
    Targets,
    files_reached,
    nearest_file,
)

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile

ROUNDING = 1e-9
PLAIN = "model.onnx"


@dataclass(frozen=True)
class TargetOutcome:
    """What became of one target.

    Attributes:
        target: as it was asked for, `1.5x at 1x32`.
        kept: by the measured value.
        unit: `x`, `ms`, `points` or `MB`.
        value: that was reached; None where nothing was measured.
        low: lower end of its 95 % interval, where there is one.
        high: upper end.
        file: that reached it.
    """

    target: str
    kept: bool
    unit: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    file: str | None = None

    def __str__(self) -> str:
        words = f"target: {self.target}: {'kept' if self.kept else 'missed'}"
        if self.value is None:
            return f"{words}, not measured"
        return ", ".join(part for part in (words, self.reached, self.file) if part)

    @property
    def reached(self) -> str:
        """`2.73x (2.66-2.85)`, `4.1 ms`, or what was lost on dev; empty for nothing."""
        if self.value is None:
            return ""
        if self.unit == "ms":
            return f"{self.value:.3g} ms"
        if self.unit == "MB":
            return f"{self.value:.2f} MB"
        if self.unit == "points":
            return f"{self.value:.3f} lost on dev"
        span = f" ({self.low:.2f}-{self.high:.2f})" if self.low and self.high else ""
        return f"{self.value:.2f}x{span}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def outcomes(
    targets: Targets,
    benchmark: BenchmarkFile,
    *,
    spent: float | None = None,
    contender: str = "pruned",
    opened: OpenedFile | None = None,
) -> tuple[TargetOutcome, ...]:
    """What a model's files reach of each target.

    All targets of time are judged on one file: the one that misses fewest, the fastest of those.

    Args:
        targets: of one model.
        benchmark: with that model's files alone among those of the contender.
        spent: metric points that pruning costs on dev; None where that is not known.
        contender: whose files are looked at.
        opened: the file that `load` opens; None where that is not known.
    """
    found = of_rows(targets, files_reached(targets, benchmark, contender))
    if targets.max_drop is not None and spent is not None:
        kept = spent <= targets.max_drop + ROUNDING
        asked = f"a drop of {targets.max_drop:g} at most"
        found = (*found, TargetOutcome(asked, kept, "points", spent, file=PLAIN))
    if targets.size is not None and opened is not None:
        most, taken = targets.size.megabytes, opened.megabytes
        asked = f"{most:g} MB at most"
        found = (*found, TargetOutcome(asked, taken <= most, "MB", taken, file=opened.name))
    return found


def of_rows(
    targets: Targets, files: Mapping[str, Sequence[DepthLatency]]
) -> tuple[TargetOutcome, ...]:
    """The same for the targets of time alone, from rows by the name of their file."""
    file = nearest_file(targets, files)
    rows = {row.shape: row for row in files[file]} if file else {}
    return tuple(_of_time(target, rows.get(target.shape), file) for target in targets.timed)


def _of_time(
    target: SpeedupTarget | LatencyBudget, row: DepthLatency | None, file: str | None
) -> TargetOutcome:
    at = target.shape.name
    if isinstance(target, SpeedupTarget):
        alone, asked, unit = Targets((target,)), f"{target.value:g}x at {at}", "x"
    else:
        alone, asked, unit = Targets(latency=target), f"{target.milliseconds:g} ms at {at}", "ms"
    if row is None:
        return TargetOutcome(asked, kept=False, unit=unit)
    kept = not alone.misses([row], surely=False)
    if unit == "ms":
        return TargetOutcome(asked, kept, unit, row.p50_ms, file=file)
    return TargetOutcome(
        asked, kept, unit, row.speedup, row.speedup_low, row.speedup_high, file=file
    )
