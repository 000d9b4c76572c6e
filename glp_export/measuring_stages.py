"""The stages after training: export, optimise, verify, score and time every contender.

All contenders get the same care: the same exporter, the same optimisations tried, the same choice
among them, the same check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import (
    LEVELS,
    ArtifactLayout,
    OnnxFile,
    ParityReport,
    candidates,
    check_parity,
    export_onnx,
    open_session,
    predict_onnx,
    relocate,
)
from glp_export.bench import (
    Benchmark,
    Contender,
    ContenderName,
    MetricRow,
    Timing,
    Workload,
    benchmark,
    fastest,
    ladder,
    onnx_contender,
    pytorch_contender,
    task_workloads,
)
from glp_export.config import RunConfig
from glp_export.progress import Meter, Progress
from glp_export.report import OtherScore
from glp_export.setup import Place
from glp_export.tasks import score, score_interval
from glp_export.training_stages import Trained

if TYPE_CHECKING:
    from datasets import Dataset

AUTO, PLAIN = "auto", "none"
OPTIMISED = "fp32-optimized"

SHIPPED_SAMPLES, QUICK_SAMPLES = 256, 64
"""Real rows in the parity check of a file that ships, and of one that may."""


@dataclass(frozen=True)
class Exported:
    """A contender's ONNX files.

    Attributes:
        plain: standard operators, for every consumer.
        chosen: the fastest that passed; the plain one unless an optimised one beat it.
        parity: of the files above.
    """

    trained: Trained
    plain: OnnxFile
    chosen: OnnxFile
    parity: ParityReport

    @property
    def files(self) -> tuple[OnnxFile, ...]:
        """The files that ship: one or two."""
        return (self.plain,) if self.chosen == self.plain else (self.plain, self.chosen)


def export_contender(
    place: Place, trained: Trained, layout: ArtifactLayout, work: Path, progress: Progress
) -> Exported:
    """Export one contender below `layout`, keep its fastest correct file and prove both right.

    Raises:
        ModelError: its architecture cannot be exported.
        ParityError: the plain file, or the level that was asked for, computes something else.
    """
    with progress.stage(f"export {trained.label}") as meter:
        plain = export_onnx(
            trained.checkpoint,
            layout.onnx_model,
            export_task=place.kind.export_task,
            opset=place.config.opset,
            exporter=place.config.exporter,
            threads=place.threads,
        )
        levels = _levels(place.config.optimize)
        work.mkdir(parents=True, exist_ok=True)
        built = candidates(plain, levels, work, trained.checkpoint)
        chosen = _choose(place, trained, plain, built, meter)
        if chosen != plain:
            chosen = relocate(chosen, layout.variant(OPTIMISED))
        shipped = (plain,) if chosen == plain else (plain, chosen)
        parity = _check(place, trained, shipped)
        parity.require()
    progress.say(describe_choice(chosen))
    return Exported(trained, plain, chosen, parity)


def describe_choice(chosen: OnnxFile) -> str:
    """One line on the file that is deployed, with the fusions that fired."""
    if chosen.optimisation == PLAIN:
        return "plain graph kept: no optimised one passed parity and was surely faster"
    fused = ", ".join(f"{count} {name}" for name, count in chosen.fusions.items())
    return f"optimised at {chosen.optimisation}: {fused or 'nothing fused'}"


@dataclass(frozen=True)
class Scored:
    """What a contender's file answers on the test sets.

    Attributes:
        exported: the contender with its files.
        row: the metric on the test set, for benchmark.json.
        logits: on the test set, (examples, labels).
        others: the metric on further test sets.
    """

    exported: Exported
    row: MetricRow
    logits: NDArray[np.float32]
    others: tuple[OtherScore, ...]

    @property
    def contender(self) -> ContenderName:
        """`unpruned`, `pruned` or `distilled`."""
        return self.row.contender

    @property
    def layers(self) -> int:
        """How many it has."""
        return self.row.layers


def score_contender(place: Place, exported: Exported) -> Scored:
    """Compute the task's metric with the very file that is timed."""
    trained, file = exported.trained, exported.chosen
    session = open_session(file.path, provider=place.provider, threads=place.threads)

    def measure(rows: Dataset) -> tuple[NDArray[np.float32], dict[str, Any]]:
        logits = predict_onnx(session, rows, trained.tokenizer)
        labels = rows["labels"][:]
        low, high = score_interval(place.task, logits, labels)
        value = score(place.task, logits, labels)
        return logits, {"value": value, "low": low, "high": high, "samples": len(labels)}

    logits, values = measure(trained.test)
    row = MetricRow(
        contender=trained.contender, precision=file.precision, layers=trained.layers, **values
    )
    others = tuple(
        OtherScore(name, trained.contender, **measure(rows)[1])
        for name, rows in trained.other_tests.items()
    )
    return Scored(exported, row, logits, others)


def time_contenders(
    place: Place,
    exported: Sequence[Exported],
    metrics: Sequence[MetricRow],
    progress: Progress,
) -> Benchmark:
    """Time all contenders side by side, in PyTorch and in ONNX Runtime."""
    contenders = [
        contender
        for one in exported
        for contender in (_pytorch(place, one.trained), *_onnx(place, one))
    ]
    config = place.config
    first = exported[0].trained
    own: dict[str, tuple[Any, Any]] = {
        one.trained.contender: (one.trained.test, one.trained.tokenizer)
        for one in exported
        if one.trained.tokenizer is not first.tokenizer
    }
    wanted = {*config.seq_lens, *(shape.sequence_length for shape in config.targets.shapes)}
    for length in sorted(length for length in wanted if length > _longest(contenders)):
        progress.say(f"length {length} is left out: a contender reads {_longest(contenders)}")
    workloads = [
        *_fixed_shapes(contenders, config),
        *task_workloads(first.test, first.tokenizer, config.batch_sizes, own=own),
    ]
    with progress.stage("benchmark") as meter:
        return benchmark(
            contenders,
            workloads,
            metrics,
            task=place.task.name,
            metric=place.task.metric,
            timing=_timing(config.bench_seconds, config),
            memory=not config.skip_memory,
            progress=lambda stage, done, total: meter.update(done, total, stage),
        )


def _choose(
    place: Place, trained: Trained, plain: OnnxFile, built: Sequence[OnnxFile], meter: Meter
) -> OnnxFile:
    """The level that was asked for, or the fastest of those that pass parity."""
    if not built:
        return plain
    if place.config.optimize != AUTO:
        return built[0]
    report = _check(place, trained, built, samples=QUICK_SAMPLES)
    passing = [file for file, found in zip(built, report.files, strict=True) if found.passed]
    choice = fastest(
        [plain, *passing],
        trained.checkpoint,
        _choice_workloads(place, trained),
        provider=place.provider,
        threads=place.threads,
        timing=_timing(min(3.0, place.config.bench_seconds), place.config),
        progress=lambda stage, done, total: meter.update(done, total, stage),
    )
    return choice.winner


def _choice_workloads(place: Place, trained: Trained) -> list[Workload]:
    """Every shape that is reported: a graph may gain at one and lose at another."""
    return _fixed_shapes([_pytorch(place, trained)], place.config)


def _fixed_shapes(contenders: Sequence[Contender], config: RunConfig) -> list[Workload]:
    """The ladder of batch sizes and lengths, and what targets are measured on beside it."""
    longest = _longest(contenders)
    lengths = [length for length in config.seq_lens if length <= longest]
    workloads = ladder(contenders, config.batch_sizes, lengths or [longest])
    named = {workload.shape.name for workload in workloads}
    for shape in config.targets.shapes:
        if shape.name not in named and shape.sequence_length <= longest:
            workloads += ladder(contenders, [shape.batch_size], [shape.sequence_length])
    return workloads


def _check(
    place: Place, trained: Trained, files: Sequence[OnnxFile], samples: int = SHIPPED_SAMPLES
) -> ParityReport:
    longest = _pytorch(place, trained).max_length
    return check_parity(
        files,
        trained.checkpoint,
        trained.test,
        trained.tokenizer,
        auto_class=place.kind.auto_class,
        max_length=min(place.config.max_length, longest, trained.tokenizer.model_max_length),
        threads=place.threads,
        provider=place.provider,
        atol=place.config.atol,
        rtol=place.config.rtol,
        samples=samples,
    )


def _pytorch(place: Place, trained: Trained) -> Contender:
    return pytorch_contender(
        trained.contender,
        trained.checkpoint,
        place.device,
        place.threads,
        auto_class=place.kind.auto_class,
    )


def _onnx(place: Place, exported: Exported) -> list[Contender]:
    """The chosen file of a contender; of the pruned one everything that ships."""
    pruned = exported.trained.contender == "pruned"
    return [
        onnx_contender(
            exported.trained.contender,
            file,
            exported.trained.checkpoint,
            place.provider,
            place.threads,
            auto_class=place.kind.auto_class,
        )
        for file in (exported.files if pruned else (exported.chosen,))
    ]


def _timing(seconds: float, config: RunConfig) -> Timing:
    return Timing.lasting(seconds, config.bench_rounds, config.seed)


def _levels(wanted: str) -> list[str]:
    if wanted == PLAIN:
        return []
    return list(LEVELS) if wanted == AUTO else [wanted]


def _longest(contenders: Sequence[Contender]) -> int:
    return min(contender.max_length for contender in contenders)
