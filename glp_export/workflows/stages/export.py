"""The stage that exports: each contender's plain graph, its fastest correct one, and the proof.

All contenders get the same care: the same exporter, the same optimisations tried, the same choice
among them, the same check.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    levels_to_try,
    relocate,
    require_fusions,
)
from glp_export.artifact.parity_report import FileParity
from glp_export.artifact.reference import Reference
from glp_export.bench import Contender, Timing, Workload, fastest, pytorch_contender, shape_grid
from glp_export.bench.contenders import EAGER, PYTORCH
from glp_export.config.sections import ExportOptions
from glp_export.core.errors import ModelError
from glp_export.core.progress import Meter, Progress
from glp_export.precision.job import LowerPrecision
from glp_export.precision.record import PrecisionEntry
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.stages.timing_progress import watch
from glp_export.workflows.stages.trained import Trained

AUTO, PLAIN = "auto", "none"
OPTIMISED = "fp32-optimized"

SHIPPED_SAMPLES = 256
"""Real rows in the parity check of a file that ships."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """A contender's ONNX files.

    Attributes:
        plain: standard operators, for every consumer.
        chosen: the fastest of fp32 that passed; the plain one unless an optimised one beat it.
        parity: of all files.
        lower: files of lower precision.
        entries: every precision that was to be made, those that were left out too.
        reference: the answers of its PyTorch model that files were held against.
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
    reference: Reference | None = field(default=None, compare=False, repr=False)

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

    Args:
        execution: the wishes and the machine.
        trained: the contender.
        layout: where its files go.
        work: scratch.
        progress: shows what came of it.

    Raises:
        ModelError: its architecture cannot be exported, or lacks a fusion that is required.
        ParityError: the plain file, or the level that was asked for, computes something else.
    """
    with progress.stage(f"export {trained.label}") as meter:
        reference = Reference(
            trained.checkpoint, execution.kind.auto_class, threads=execution.threads
        )
        plain = export_onnx(
            trained.checkpoint,
            layout.onnx_model,
            export_task=execution.kind.export_task,
            opset=execution.export.opset,
            exporter=execution.export.exporter,
            threads=execution.threads,
            module=reference.module,
            run=False,
        )
        parity = check(execution, trained, [plain], reference=reference)
        parity.require()
        work.mkdir(parents=True, exist_ok=True)
        built = candidates(plain, _levels(execution.export), work, trained.checkpoint)
        if execution.export.require_fusion:
            _require_fusion(trained, built)
        asked = execution.export.optimize != AUTO
        chosen, found = _first_right(
            execution,
            trained,
            [plain, *(built[:1] if asked else built)],
            reference,
            lambda files: _fastest(execution, trained, files, meter, progress),
        )
        if found is not None:
            chosen = relocate(chosen, layout.variant(OPTIMISED), move=True)
            named = replace(found, variant=chosen.variant)
            parity = ParityReport((*parity.files, named))
    progress.say(describe_choice(chosen, execution.export.optimize))
    return Exported(trained, plain, chosen, parity, reference=reference)


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


_CHOICE_ROUNDS = 10
"""Of a choice among files: of two equals one is ahead in all of them by chance twice in 1000."""


def quick_timing(seconds: float, execution: ExecutionContext) -> Timing:
    """Enough to tell files of one model apart, not to report: short runs and short pauses.

    A pause lasts until no thread spins any more, however short it is at least.
    """
    timing = timing_of(min(seconds, execution.benchmark.bench_seconds), execution)
    rounds = min(_CHOICE_ROUNDS, timing.min_rounds)
    return replace(timing, min_rounds=rounds, long_run_s=0.1, pause_s=0.01)


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


def _first_right(
    execution: ExecutionContext,
    trained: Trained,
    files: Sequence[OnnxFile],
    reference: Reference,
    pick: Callable[[Sequence[OnnxFile]], OnnxFile],
) -> tuple[OnnxFile, FileParity | None]:
    """The first that is picked and computes what PyTorch does, with what was found of it.

    Files are picked before they are proved: one that is no faster does not ship, and what it
    computes is nothing to anyone. None was found of the plain file, which was proved before.

    Args:
        execution: the wishes and the machine.
        trained: whose files they are.
        files: the plain one and its rivals.
        reference: the PyTorch model.
        pick: the best of those that are left.

    Raises:
        ParityError: the level that was asked for computes something else.
    """
    left = list(files)
    while (file := pick(left)).optimisation != PLAIN:
        report = check(execution, trained, [file], reference=reference)
        if execution.export.optimize != AUTO:
            report.require()
        (found,) = report.files
        if found.passed:
            return file, found
        logger.warning("%s is left out: %s", file.optimisation, "; ".join(found.failures))
        left.remove(file)
    return file, None


def _fastest(
    execution: ExecutionContext,
    trained: Trained,
    files: Sequence[OnnxFile],
    meter: Meter,
    progress: Progress,
) -> OnnxFile:
    """The level that was asked for, or what is faster than the plain file; else the plain file."""
    if len(files) == 1 or execution.export.optimize != AUTO:
        return files[-1]
    workloads = choice_workloads(execution, trained)
    seconds = min(3.0, execution.benchmark.bench_seconds)
    with progress.paused():
        choice = fastest(
            files,
            trained.checkpoint,
            workloads,
            provider=execution.provider,
            threads=execution.threads,
            auto_class=execution.kind.auto_class,
            timing=quick_timing(seconds, execution),
            required={shape.name for shape in execution.targets.shapes},
            progress=watch(meter, 1, seconds),
        )
    return choice.winner


def choice_workloads(execution: ExecutionContext, trained: Trained) -> list[Workload]:
    """Every shape that is reported: a graph may gain at one and lose at another."""
    return fixed_shapes([as_pytorch(execution, trained)], execution)


def check(
    execution: ExecutionContext,
    trained: Trained,
    files: Sequence[OnnxFile],
    runtime: str = ONNX_RUNTIME,
    *,
    reference: Reference | None = None,
) -> ParityReport:
    """Compare files of a contender with its PyTorch model, on its test rows, in a runtime.

    Args:
        execution: the wishes and the machine.
        trained: the contender.
        files: of it.
        runtime: that runs them.
        reference: its PyTorch model, where it has answered before.
    """
    longest = as_pytorch(execution, trained).max_length
    report = check_parity(
        files,
        reference or trained.checkpoint,
        trained.test,
        trained.tokenizer,
        auto_class=execution.kind.auto_class,
        max_length=min(execution.max_length, longest, trained.tokenizer.model_max_length),
        threads=execution.threads,
        provider=execution.provider,
        atol=execution.export.atol,
        rtol=execution.export.rtol,
        samples=SHIPPED_SAMPLES,
        runtime=runtime,
    )
    if reference is not None:
        reference.release()  # the answers stay: weights of every contender would be too much
    return report


def _levels(wanted: ExportOptions) -> list[str]:
    if wanted.optimize == PLAIN:
        return []
    return levels_to_try(wanted.atol) if wanted.optimize == AUTO else [wanted.optimize]
