"""The stage that exports: each contender's plain graph, its fastest correct one, and the proof.

All contenders get the same care: the same exporter, the same optimisations tried, the same choice
among them, the same check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glp_export.artifact import (
    LEVELS,
    ArtifactLayout,
    OnnxFile,
    ParityReport,
    candidates,
    check_parity,
    describe_fusions,
    export_onnx,
    relocate,
    require_fusions,
)
from glp_export.bench import Contender, Timing, Workload, fastest, pytorch_contender, shape_grid
from glp_export.bench.contenders import EAGER, PYTORCH
from glp_export.core.errors import ModelError
from glp_export.core.progress import Meter, Progress
from glp_export.precision.job import LowerPrecision
from glp_export.precision.record import PrecisionEntry
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.workflows.context import ExecutionContext
from glp_export.workflows.stages.timing_progress import watch
from glp_export.workflows.stages.training import Trained

AUTO, PLAIN = "auto", "none"
OPTIMISED = "fp32-optimized"

SHIPPED_SAMPLES, QUICK_SAMPLES = 256, 64
"""Real rows in the parity check of a file that ships, and of one that may."""


@dataclass(frozen=True)
class Exported:
    """A contender's ONNX files.

    Attributes:
        plain: standard operators, for every consumer.
        chosen: the fastest of fp32 that passed; the plain one unless an optimised one beat it.
        parity: of all files.
        lower: files of lower precision.
        entries: every precision that was to be made, those that were left out too.
        elsewhere: by another runtime than ONNX Runtime, the files that it computes rightly, each
            with the precision that it computes them in.
    """

    trained: Trained
    plain: OnnxFile
    chosen: OnnxFile
    parity: ParityReport
    lower: tuple[LowerPrecision, ...] = ()
    entries: tuple[PrecisionEntry, ...] = ()
    elsewhere: Mapping[str, tuple[OnnxFile, ...]] = field(default_factory=dict)

    @property
    def best(self) -> tuple[OnnxFile, ...]:
        """The file of each precision that is run: the fastest of fp32, and the lower ones."""
        return (self.chosen, *(one.file for one in self.lower))

    @property
    def files(self) -> tuple[OnnxFile, ...]:
        """All files, the plain one first."""
        return self.best if self.chosen == self.plain else (self.plain, *self.best)


def export_contender(
    execution: ExecutionContext,
    trained: Trained,
    layout: ArtifactLayout,
    work: Path,
    progress: Progress,
) -> Exported:
    """Export one contender below `layout`, keep its fastest correct file and prove both right.

    Raises:
        ModelError: its architecture cannot be exported, or lacks a fusion that is required.
        ParityError: the plain file, or the level that was asked for, computes something else.
    """
    with progress.stage(f"export {trained.label}") as meter:
        plain = export_onnx(
            trained.checkpoint,
            layout.onnx_model,
            export_task=execution.kind.export_task,
            opset=execution.export.opset,
            exporter=execution.export.exporter,
            threads=execution.threads,
        )
        levels = _levels(execution.export.optimize)
        work.mkdir(parents=True, exist_ok=True)
        built = candidates(plain, levels, work, trained.checkpoint)
        if execution.export.require_fusion:
            _require_fusion(trained, built)
        chosen = _choose(execution, trained, plain, built, meter, progress)
        if chosen != plain:
            chosen = relocate(chosen, layout.variant(OPTIMISED))
        shipped = (plain,) if chosen == plain else (plain, chosen)
        parity = check(execution, trained, shipped)
        parity.require()
    progress.say(describe_choice(chosen, execution.export.optimize))
    return Exported(trained, plain, chosen, parity)


def describe_choice(chosen: OnnxFile, asked: str = AUTO) -> str:
    """One line on the file that is deployed, with the fusions that fired."""
    if asked == PLAIN:
        return "plain graph, as --optimize none asks for"
    if chosen.optimisation == PLAIN:
        return "plain graph kept: no optimised one passed parity and was significantly faster"
    if LEVELS[chosen.optimisation].graph_pass:
        return f"{chosen.optimisation} graph: the same numbers, with less computed for them"
    return f"optimised at {chosen.optimisation}: {describe_fusions(chosen)}"


def fixed_shapes(contenders: Sequence[Contender], execution: ExecutionContext) -> list[Workload]:
    """The grid of batch sizes and lengths, and what targets are measured on beside it."""
    longest = shared_length(contenders)
    lengths = readable(contenders, execution.benchmark.seq_lens)
    workloads = shape_grid(contenders, execution.benchmark.batch_sizes, lengths)
    named = {workload.shape.name for workload in workloads}
    for shape in execution.targets.shapes:
        if shape.name not in named and shape.sequence_length <= longest:
            workloads += shape_grid(contenders, [shape.batch_size], [shape.sequence_length])
    return workloads


def as_pytorch(execution: ExecutionContext, trained: Trained, way: str = EAGER) -> Contender:
    """A contender as PyTorch runs it, in one of the ways of `PYTORCH`."""
    return pytorch_contender(
        trained.contender,
        trained.checkpoint,
        execution.device,
        execution.threads,
        auto_class=execution.kind.auto_class,
        **PYTORCH[way],
    )


def timing_of(seconds: float, execution: ExecutionContext) -> Timing:
    """At least so many seconds a shape, and the rounds that the run asks for."""
    return Timing.lasting(seconds, execution.benchmark.bench_rounds, execution.seed)


def readable(contenders: Sequence[Contender], lengths: Sequence[int]) -> list[int]:
    """The lengths that every contender reads; where there is none, the longest that all do."""
    longest = shared_length(contenders)
    return [length for length in lengths if length <= longest] or [longest]


def shared_length(contenders: Sequence[Contender]) -> int:
    """The longest input in tokens that all of them read."""
    return min(contender.max_length for contender in contenders)


def _require_fusion(trained: Trained, built: Sequence[OnnxFile]) -> None:
    """Check that the fused file has every fusion in every layer.

    Raises:
        ModelError: it has not, or there is none; what was missed is named.
    """
    fused = [file for file in built if LEVELS[file.optimisation].fusions]
    if not fused:
        raise ModelError(
            f"no fused file of {trained.label} could be made",
            where="--require-fusion",
            fix="use --optimize auto, O2 or O3, or leave --require-fusion out",
        )
    require_fusions(fused[0], trained.layers, trained.checkpoint)


def _choose(
    execution: ExecutionContext,
    trained: Trained,
    plain: OnnxFile,
    built: Sequence[OnnxFile],
    meter: Meter,
    progress: Progress,
) -> OnnxFile:
    """The level that was asked for, or the fastest of those that pass parity."""
    if not built:
        return plain
    if execution.export.optimize != AUTO:
        return built[0]
    workloads = choice_workloads(execution, trained)
    seconds = min(3.0, execution.benchmark.bench_seconds)
    report = check(execution, trained, built, samples=QUICK_SAMPLES)
    passing = [file for file, found in zip(built, report.files, strict=True) if found.passed]
    with progress.paused():
        choice = fastest(
            [plain, *passing],
            trained.checkpoint,
            workloads,
            provider=execution.provider,
            threads=execution.threads,
            auto_class=execution.kind.auto_class,
            timing=timing_of(seconds, execution),
            progress=watch(meter, len(workloads), seconds),
        )
    return choice.winner


def choice_workloads(execution: ExecutionContext, trained: Trained) -> list[Workload]:
    """Every shape that is reported: a graph may gain at one and lose at another."""
    return fixed_shapes([as_pytorch(execution, trained)], execution)


def check(
    execution: ExecutionContext,
    trained: Trained,
    files: Sequence[OnnxFile],
    samples: int = SHIPPED_SAMPLES,
    runtime: str = ONNX_RUNTIME,
) -> ParityReport:
    """Compare files of a contender with its PyTorch model, on its test rows, in a runtime."""
    longest = as_pytorch(execution, trained).max_length
    return check_parity(
        files,
        trained.checkpoint,
        trained.test,
        trained.tokenizer,
        auto_class=execution.kind.auto_class,
        max_length=min(execution.max_length, longest, trained.tokenizer.model_max_length),
        threads=execution.threads,
        provider=execution.provider,
        atol=execution.export.atol,
        rtol=execution.export.rtol,
        samples=samples,
        runtime=runtime,
    )


def _levels(wanted: str) -> list[str]:
    if wanted == PLAIN:
        return []
    return list(LEVELS) if wanted == AUTO else [wanted]
