"""The stages that measure: every contender's file is scored, then all are timed side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import open_session, predict_onnx
from glp_export.bench import (
    Benchmark,
    Contender,
    ContenderName,
    MetricRow,
    benchmark,
    onnx_contender,
    task_workloads,
)
from glp_export.export_stages import Exported, as_pytorch, fixed_shapes, longest_input, timing_of
from glp_export.progress import Progress
from glp_export.report import OtherScore
from glp_export.setup import Place
from glp_export.tasks import score, score_interval

if TYPE_CHECKING:
    from datasets import Dataset


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
        for contender in (as_pytorch(place, one.trained), *_onnx(place, one))
    ]
    config = place.config
    first = exported[0].trained
    own: dict[str, tuple[Any, Any]] = {
        one.trained.contender: (one.trained.test, one.trained.tokenizer)
        for one in exported
        if one.trained.tokenizer is not first.tokenizer
    }
    wanted = {*config.seq_lens, *(shape.sequence_length for shape in config.targets.shapes)}
    for length in sorted(length for length in wanted if length > longest_input(contenders)):
        progress.say(f"length {length} is left out: a contender reads {longest_input(contenders)}")
    workloads = [
        *fixed_shapes(contenders, config),
        *task_workloads(first.test, first.tokenizer, config.batch_sizes, own=own),
    ]
    with progress.stage("benchmark") as meter:
        return benchmark(
            contenders,
            workloads,
            metrics,
            task=place.task.name,
            metric=place.task.metric,
            timing=timing_of(config.bench_seconds, config),
            memory=not config.skip_memory,
            progress=lambda stage, done, total: meter.update(done, total, stage),
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
