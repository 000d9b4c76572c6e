"""Whether each target was kept, by which file and by how much, for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glp_export.bench.target_outcome import TargetOutcome
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


def outcomes(
    targets: Targets,
    benchmark: BenchmarkFile,
    *,
    spent: float | None = None,
    contender: str = "pruned",
    opened: OpenedFile | None = None,
    plan_id: str = "",
) -> tuple[TargetOutcome, ...]:
    """What a model's files reach of each target.

    All targets of time are judged on one file: the one that misses fewest, the fastest of those.

    Args:
        targets: of one model.
        benchmark: with that model's files alone among those of the contender.
        spent: metric points that pruning costs on dev; None where that is not known.
        contender: whose files are looked at.
        opened: the file that `load` opens; None where that is not known.
        plan_id: of the model, where it was pruned.
    """
    found = of_rows(targets, files_reached(targets, benchmark, contender))
    if targets.max_drop is not None and spent is not None:
        kept = spent <= targets.max_drop + ROUNDING
        asked = f"a drop of {targets.max_drop:g} at most"
        found = (
            *found,
            TargetOutcome(target=asked, kept=kept, unit="points", value=spent, file=PLAIN),
        )
    if targets.size is not None and opened is not None:
        most, taken = targets.size.megabytes, opened.megabytes
        asked = f"{most:g} MB at most"
        size = TargetOutcome(
            target=asked, kept=taken <= most, unit="MB", value=taken, file=opened.name
        )
        found = (*found, size)
    return tuple(one.model_copy(update={"plan_id": plan_id}) for one in found)


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
    if isinstance(target, SpeedupTarget):
        if row is None:
            return TargetOutcome(target=target.words, kept=False, unit="x")
        return TargetOutcome(
            target=target.words,
            kept=not Targets((target,)).misses([row], surely=False),
            unit="x",
            value=row.speedup,
            low=row.speedup_low,
            high=row.speedup_high,
            file=file,
        )
    reached = row.at(target.percentile) if row else None
    if row is None or reached is None:
        return TargetOutcome(target=target.words, kept=False, unit="ms")
    return TargetOutcome(
        target=target.words,
        kept=not Targets(latency=target).misses([row], surely=False),
        unit="ms",
        value=reached.milliseconds,
        file=file,
    )
