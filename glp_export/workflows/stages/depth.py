"""The stage that finds how deep a model may be and still be fast enough, before any training.

Latency does not depend on what the weights have learned, so each depth is exported as it is.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from glp_export.artifact import ArtifactLayout, describe, export_onnx
from glp_export.bench import (
    Contender,
    DepthTiming,
    measure_depth,
    onnx_contender,
    shape_grid,
)
from glp_export.config.targets import DepthLatency, LatencyBudget, Shape, SpeedupTarget, Tail
from glp_export.core.errors import UsageError
from glp_export.core.numbers import layers_in_words
from glp_export.core.progress import Meter, Progress
from glp_export.core.sharing import SharingMonitor
from glp_export.encoder import remove_layers, save_checkpoint
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.depth_choice import deepest_fast_enough, impossible, settled
from glp_export.workflows.stages.export import timing_of


def fast_enough_depth(
    context: RunContext, work: Path, progress: Progress
) -> tuple[int, list[DepthLatency]]:
    """Find the deepest model, at least one layer shallower, that is significantly fast enough.

    Of each depth the top layers are missing. Which ones are missing matters only to a family
    whose layers are not all alike.

    Args:
        context: with a speedup or a latency among its targets.
        work: where exported depths and measured rows are kept; a resumed run takes them from
            there, and so comes to the same depth.
        progress: shows where the stage is.

    Returns:
        The number of layers to keep, and every row that was measured.

    Raises:
        LatencyError: not even the shallowest is fast enough.
        UsageError: a target's shape is longer than what the model reads.
        ModelError: the architecture cannot be exported.
    """
    with progress.stage("find a depth that is fast enough") as meter:
        probes = _Probes(context, work, meter, progress)
        depth, rows = deepest_fast_enough(
            possible_depths(context), probes, context.execution.targets
        )
    shutil.rmtree(probes.files, ignore_errors=True)
    progress.say(
        f"{depth} of {context.stack.num_layers} layers are fast enough: "
        f"{_words([row for row in rows if row.layers == depth])}"
    )
    return depth, rows


def possible_depths(context: RunContext) -> range:
    """The numbers of layers that pruning may leave: at least one goes, and one stays."""
    layers = context.stack.num_layers
    return range(max(1, layers - len(context.stack.removable)), layers)


def require_shape(target: SpeedupTarget | LatencyBudget, longest: int) -> None:
    """Check that a target can be measured on a model that reads `longest` tokens.

    Raises:
        UsageError: its shape is longer.
    """
    shape = target.shape
    if shape.sequence_length > longest:
        raise UsageError(
            f"the model reads at most {longest} tokens, so {shape.name} cannot be measured",
            where=str(target),
            fix=f"name another shape: @{shape.batch_size}x{longest}",
        )


class _Measured(BaseModel):
    """`depth_latency.json`: the rows of an interrupted run, and what they were measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    threads: int
    rows: tuple[DepthLatency, ...] = ()


class _Probes:
    """Exports and measures a depth, unless an interrupted run has done so."""

    def __init__(self, context: RunContext, work: Path, meter: Meter, progress: Progress) -> None:
        self.files = work / "depths"
        self._setup = context
        self._meter = meter
        self._progress = progress
        self._record = work / "depth_latency.json"
        self._measured = self._kept()

    def __call__(self, layers: int) -> list[DepthLatency]:
        """The rows of a depth, one for each shape of the targets."""
        rows = [row for row in self._measured.rows if row.layers == layers]
        if not rows:
            rows = self._measure(layers)
            if any(row.disturbed for row in rows):
                self._progress.say(
                    f"{layers_in_words(layers)}: other processes used this machine every time; "
                    "the slowest measurement counts, and a resumed run measures again"
                )
            self._keep(rows)
            shutil.rmtree(self._directory(layers))  # a large model's depths would fill the disk
        self._meter.advance(f"{layers} layers: {_words(rows)}")
        return rows

    def _measure(self, layers: int) -> list[DepthLatency]:
        execution = self._setup.execution
        for target in execution.targets.timed:
            require_shape(target, self._unpruned.max_length)
        pair = (self._unpruned, self._contender(layers))
        workloads = [
            workload
            for shape in execution.targets.shapes
            for workload in shape_grid(pair, [shape.batch_size], [shape.sequence_length])
        ]

        def measured(longer: int) -> list[DepthLatency]:
            timing = timing_of(longer * execution.benchmark.bench_seconds, execution)
            monitor = SharingMonitor()
            timed = measure_depth(*pair, workloads, timing=timing)
            return [row_of(one, disturbed=bool(monitor.notes())) for one in timed]

        with self._progress.paused():
            return settled(measured, self._setup.stack.num_layers)

    @cached_property
    def _unpruned(self) -> Contender:
        return self._contender(self._setup.stack.num_layers)

    def _contender(self, layers: int) -> Contender:
        return depth_contender(self._setup, layers, self._directory(layers))

    def _directory(self, layers: int) -> Path:
        return self.files / f"{layers}-layers"

    def _kept(self) -> _Measured:
        """The rows on disk that may be relied on.

        None if they are of another device or number of threads, or broken; none that was measured
        while others used the machine, or that cannot be true.
        """
        execution, total = self._setup.execution, self._setup.stack.num_layers
        fresh = _Measured(provider=execution.provider, threads=execution.threads)
        try:
            kept = _Measured.model_validate_json(self._record.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            return fresh
        if (kept.provider, kept.threads) != (fresh.provider, fresh.threads):
            return fresh
        doubtful = {row.layers for row in kept.rows if row.disturbed or impossible(row, total)}
        rows = tuple(row for row in kept.rows if row.layers not in doubtful)
        return fresh.model_copy(update={"rows": rows})

    def _keep(self, rows: list[DepthLatency]) -> None:
        together = (*self._measured.rows, *rows)
        self._measured = self._measured.model_copy(update={"rows": together})
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.write_text(self._measured.model_dump_json(indent=2) + "\n", encoding="utf-8")


def depth_contender(context: RunContext, layers: int, directory: Path) -> Contender:
    """The plain ONNX file of a depth, exported into a directory unless it lies there.

    Raises:
        ModelError: the architecture cannot be exported.
    """
    execution = context.execution
    path = ArtifactLayout(directory).onnx_model
    if not path.is_file():
        _export(context, layers, directory, path)
    return onnx_contender(
        "unpruned" if layers == context.stack.num_layers else "pruned",
        describe(path),
        directory,
        execution.provider,
        execution.threads,
        auto_class=execution.kind.auto_class,
    )


def _export(context: RunContext, layers: int, directory: Path, path: Path) -> None:
    execution = context.execution
    from_the_top = context.stack.removable[::-1]
    model = remove_layers(context.pretrained(), from_the_top[: context.stack.num_layers - layers])
    save_checkpoint(model, context.tokenizer, directory)
    export_onnx(
        directory,
        path,
        export_task=execution.kind.export_task,
        opset=execution.export.opset,
        exporter=execution.export.exporter,
        threads=execution.threads,
    )


def row_of(timed: DepthTiming, *, disturbed: bool = False) -> DepthLatency:
    """What was measured, as targets are held against it."""
    shape, speedup = timed.shape, timed.speedup
    return DepthLatency(
        layers=timed.layers,
        shape=Shape(shape.batch_size, shape.sequence_length),
        p50_ms=timed.p50_ms,
        p50_high_ms=timed.p50_high_ms,
        speedup=speedup.value,
        speedup_low=speedup.low,
        speedup_high=speedup.high,
        disturbed=disturbed,
        tails=tuple(Tail(*tail) for tail in timed.tails),
    )


def _words(rows: list[DepthLatency]) -> str:
    return "; ".join(
        f"{row.speedup_words}, {row.latency_words} at {row.shape.name}" for row in rows
    )
