"""The table of latencies, throughputs and speedups, by shape and provider."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.measurements import (
    Speedup,
    all_measurements,
    model_name,
    providers,
    shape_title,
    shape_words,
    shapes,
    speedup_of,
)
from glp_export.report.table import device_name

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile, Row


@dataclass(frozen=True)
class SpeedCell:
    """One model at one shape; None stands for what was not measured."""

    latency: str
    throughput: str
    over_onnxruntime: Speedup
    over_pytorch: Speedup
    fastest: bool


@dataclass(frozen=True)
class SpeedRow:
    """One model in one runtime from one file."""

    model: str
    runtime: str
    megabytes: str
    own: bool
    starts: bool
    cells: tuple[SpeedCell | None, ...]


@dataclass(frozen=True)
class SpeedTable:
    """All of them on one provider."""

    name: str
    device: str
    shapes: tuple[tuple[str, str], ...]
    rows: tuple[SpeedRow, ...]


def speed_tables(benchmark: BenchmarkFile) -> list[SpeedTable]:
    """One table for each provider that was measured."""
    return [_table(benchmark, provider) for provider in providers(benchmark)]


def _table(benchmark: BenchmarkFile, provider: str) -> SpeedTable:
    names = [
        name
        for name in shapes(benchmark)
        if any((row.provider, row.shape) == (provider, name) for row in benchmark.rows)
    ]
    winners = {
        (winner.plan_id, winner.shape, winner.runtime, winner.variant)
        for winner in benchmark.winners
        if winner.provider == provider
    }
    rows, previous = [], ""
    for measurement in all_measurements(benchmark, provider):
        model = model_name(benchmark, measurement.any)
        rows.append(
            SpeedRow(
                model=model,
                runtime=measurement.words,
                megabytes=numbers.megabytes(measurement.any.bytes),
                own=measurement.any.contender == "pruned",
                starts=model != previous,
                cells=tuple(_cell(measurement.rows.get(name), winners) for name in names),
            )
        )
        previous = model
    return SpeedTable(
        name=provider,
        device=device_name(benchmark, provider),
        shapes=tuple((shape_title(name), shape_words(benchmark, name)) for name in names),
        rows=tuple(rows),
    )


def _cell(row: Row | None, winners: AbstractSet[tuple[str, str, str, str]]) -> SpeedCell | None:
    if row is None:
        return None
    return SpeedCell(
        latency=numbers.milliseconds(row.p50_ms),
        throughput=_throughput(row.sequences_per_second),
        over_onnxruntime=speedup_of(row.speedup.vs_onnxruntime_unpruned),
        over_pytorch=speedup_of(row.speedup.vs_pytorch_unpruned),
        fastest=row.contender == "pruned"
        and (row.plan_id, row.shape, row.runtime, row.variant) in winners,
    )


def _throughput(value: float) -> str:
    """Sequences a second with three digits that count: `12.3`, `1,240`."""
    return f"{value:,.0f}" if value >= 100 else numbers.milliseconds(value)
