"""Whether what ships keeps each target, by which file and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.bench.target_outcome import TargetOutcome
from glp_export.config.targets import (
    PERCENTILES,
    DepthLatency,
    LatencyBudget,
    SpeedupTarget,
    Tail,
    Targets,
)
from glp_export.core.errors import LatencyError
from glp_export.core.numbers import ROUNDING

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import Row

PLAIN = "model.onnx"


@dataclass(frozen=True)
class OpenedFile:
    """The ONNX file of an artifact that `load` opens.

    Attributes:
        name: below `onnx/`.
        megabytes: it, its sidecar and tokenizer.json, in 10^6 bytes.
    """

    name: str
    megabytes: float


def check_shipped(
    targets: Targets,
    benchmark: BenchmarkFile,
    opened: OpenedFile | None = None,
    *,
    doubtful_table: bool = False,
) -> None:
    """Hold the shipped files, as they were measured in the end, to the targets of time and size.

    One of the pruned ONNX files has to meet them all, by the measured value: the margin for noise
    was taken when the depth was chosen. The size is that of the file which `load` opens.

    Args:
        targets: of one model.
        benchmark: of it alone.
        opened: the file that `load` opens.
        doubtful_table: whether others used the machine while the latency table was measured that
            the model was chosen by. A resumed run keeps the choice, so only a new one helps.

    Raises:
        LatencyError: none does.
    """
    most = targets.size
    if most is not None and (opened is None or opened.megabytes > most.megabytes):
        raise LatencyError(
            "what would ship is too large: "
            + (f"{opened.name} takes {opened.megabytes:.2f} MB" if opened else "no file"),
            where=str(most),
            fix="add --precision int8, vocabulary or layers to what goes, or ask for more",
        )
    if not targets.fast_enough_asked:
        return
    reached = files_reached(targets, benchmark)
    nearest = nearest_file(targets, reached)
    missed = targets.misses(reached[nearest] if nearest else [], surely=False)
    if not missed:
        return
    raise LatencyError(
        f"what would ship is not fast enough: {nearest or 'no file'}: {'; '.join(missed)}",
        where=targets.asked_of_time,
        fix="run again with --overwrite on an idle machine: others used it while the latency table "
        "was measured, so the choice itself may be wrong"
        if doubtful_table
        else "measure on an idle machine with more --bench-rounds, or ask for less",
    )


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


def files_reached(
    targets: Targets, benchmark: BenchmarkFile, contender: str = "pruned"
) -> dict[str, list[DepthLatency]]:
    """What each ONNX file of a contender reaches at the targets' shapes, by its name."""
    files: dict[str, list[Row]] = {}
    for row in benchmark.rows:
        if row.contender == contender and row.runtime == "onnxruntime":
            files.setdefault(row.variant, []).append(row)
    return {variant: _latencies(targets, rows) for variant, rows in files.items()}


def nearest_file(targets: Targets, reached: Mapping[str, Sequence[DepthLatency]]) -> str | None:
    """The file that misses fewest targets, the fastest of those; None of none."""

    def distance(name: str) -> tuple[int, float]:
        missed = targets.misses(reached[name], surely=False)
        return len(missed), sum(row.p50_ms for row in reached[name])

    return min(reached, key=distance, default=None)


def _latencies(targets: Targets, rows: Sequence[Row]) -> list[DepthLatency]:
    """The rows of benchmark.json that targets are about."""
    by_shape = {row.shape: row for row in rows}
    found = []
    for shape in targets.shapes:
        row = by_shape.get(shape.name)
        speedup = row.speedup.vs_onnxruntime_fp32_unpruned if row else None
        if row and speedup:
            found.append(
                DepthLatency(
                    row.layers,
                    shape,
                    row.p50_ms,
                    None,
                    speedup.value,
                    speedup.low,
                    speedup.high,
                    tails=tuple(
                        Tail(percentile, milliseconds)
                        for percentile in PERCENTILES[1:]
                        if (milliseconds := getattr(row, f"p{percentile}_ms")) is not None
                    ),
                )
            )
    return found
