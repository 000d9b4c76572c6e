"""Measuring a checkpoint that nothing was removed from: does it have to be pruned at all?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from glp_export.artifact import ArtifactLayout, resolve_exporter
from glp_export.artifact.modules import load_fp32
from glp_export.bench import BenchmarkFile
from glp_export.bench.benchmark_rows import Row
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.config.files import resolve
from glp_export.config.outcomes import outcomes
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import AccuracyError, ModelError, ParityError
from glp_export.core.progress import Progress
from glp_export.core.scratch import scratch_directory
from glp_export.encoder import (
    ModelSource,
    load_tokenizer,
    mark_kind,
    match_inputs,
    random_rows,
    require_model,
    task_of_model,
)
from glp_export.encoder.block_sparse_file import copy_dense
from glp_export.precision.selection import Wanted
from glp_export.report.measurements import headline_shape
from glp_export.tasks import KINDS, Task, kind_of_config
from glp_export.workflows.execution import (
    ExecutionContext,
    execution_context,
    on_device,
    with_length,
)
from glp_export.workflows.stages.benchmark import time_contenders
from glp_export.workflows.stages.export import Exported, export_contender
from glp_export.workflows.stages.precision import add_precisions
from glp_export.workflows.stages.runtimes import add_runtimes
from glp_export.workflows.stages.trained import Trained

QUICK: Mapping[str, Any] = {"bench_seconds": 2.0, "skip_memory": True}
"""An answer in about a minute, where nobody says otherwise."""

EMBEDDINGS = "sentence-embeddings"
"""What a model without a head is measured as: its vectors need no training."""


def benchmark_checkpoint(
    checkpoint: Path, settings: Mapping[str, Any], progress: Progress
) -> BenchmarkFile:
    """Measure a checkpoint in PyTorch and in ONNX Runtime, in fp32 and where it pays in int8.

    Nothing is trained and nothing is left: files are made in a scratch directory. Accuracy is not
    looked at.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    config = resolve(settings)
    given = config.benchmark.model_fields_set
    config = config.updated(**{name: one for name, one in QUICK.items() if name not in given})
    made_here = ArtifactLayout(checkpoint)
    if made_here.checksums.is_file():  # what `export` wrote
        made_here.verify_checksums()
    with progress.stage("read the model"):
        execution, trained = _unpruned(checkpoint, config, progress)
    with scratch_directory("glp-benchmark-") as scratch:
        layout = ArtifactLayout(scratch)
        copy_dense(checkpoint, layout.root)  # it is told its kind, as by export
        mark_kind(layout.config, execution.task)
        trained = replace(trained, checkpoint=layout.root)
        exported = export_contender(execution, trained, layout, layout.work_dir, progress)
        for name in execution.precisions.names:
            exported = _with(execution, name, exported, layout, progress)
        exported = add_runtimes(execution, exported, progress)
        return time_contenders(execution, [exported], [], progress, own_lengths=False).file


def answer(benchmark: BenchmarkFile, settings: Mapping[str, Any], checkpoint: Path) -> list[str]:
    """Whether the model has to be pruned, in lines: for each target, or what export alone gives.

    Args:
        benchmark: of the unpruned model alone.
        settings: what was asked for, targets among it.
        checkpoint: the model.
    """
    export = f"glp-export export {checkpoint} -o OUT"
    if (checkpoint / "config.json").is_file() and not _has_head(checkpoint):
        export += ", once it is fine-tuned (--kind sentence-embeddings for its vectors)"
    found = targets_kept(benchmark, settings, contender="unpruned")
    if found:
        return [
            *map(str, found),
            f"nothing needs to be pruned: {export} gives these files"
            if all(one.kept for one in found)
            else "not without pruning: glp-export prune-and-export, with the same targets",
        ]
    row = _fastest(benchmark)
    faster = row.speedup.vs_pytorch_unpruned
    times = f", {faster.value:.2f}x ({faster.low:.2f}-{faster.high:.2f}) PyTorch" if faster else ""
    return [
        f"without pruning: {row.p50_ms:.3g} ms at {row.shape}{times}, {row.variant}",
        f"if that is fast enough, nothing needs to be pruned: {export}. --target-speedup or "
        "--latency-budget asks about a target",
    ]


def targets_kept(
    benchmark: BenchmarkFile, settings: Mapping[str, Any], contender: str = "pruned"
) -> list[TargetOutcome]:
    """What the files of a contender reach of the targets that were asked for."""
    targets = resolve(dict(settings)).targets
    return [
        outcome
        for one in targets.each()
        for outcome in outcomes(one, benchmark, contender=contender)
    ]


def _fastest(benchmark: BenchmarkFile) -> Row:
    shape = headline_shape(benchmark)
    files = [row for row in benchmark.rows if row.shape == shape and row.runtime == "onnxruntime"]
    return min(files, key=lambda row: row.p50_ms)


def _unpruned(
    checkpoint: Path, config: RunConfig, progress: Progress
) -> tuple[ExecutionContext, Trained]:
    """The checkpoint as a contender, with random rows."""
    source = ModelSource(str(checkpoint), offline=True)
    require_model(source)
    task = _task(checkpoint, config.data.kind, progress)
    tokenizer = load_tokenizer(source)
    model = load_fp32(checkpoint, KINDS[task.kind].auto_class)
    match_inputs(tokenizer, model, where=str(checkpoint))
    chosen = resolve_exporter(config.export.exporter, model.config, KINDS[task.kind].export_task)
    config = with_length(config, tokenizer).updated(exporter=chosen.exporter.name)
    device, precisions = on_device(config.machine, config.precision)
    for note in precisions.notes:
        progress.say(note)
    execution = execution_context(config, task, device, precisions)
    rows = random_rows(tokenizer, config.data.max_length, execution.seed)
    return execution, Trained("unpruned", str(checkpoint), checkpoint, tokenizer, rows)


def _task(checkpoint: Path, asked: str | None, progress: Progress) -> Task:
    try:
        return task_of_model(checkpoint, asked)
    except ModelError:
        if asked or _has_head(checkpoint):
            raise
        progress.say("the model has no head: it is measured as one that makes sentence embeddings")
        return task_of_model(checkpoint, EMBEDDINGS)


def _has_head(checkpoint: Path) -> bool:
    return bool(kind_of_config(ModelSource(str(checkpoint), offline=True).configuration()))


def _with(
    execution: ExecutionContext,
    name: str,
    exported: Exported,
    layout: ArtifactLayout,
    progress: Progress,
) -> Exported:
    """One precision more, unless it cannot be made of this model."""
    wanted = Wanted((name,), required=True)
    alone = replace(execution, precisions=wanted)
    try:
        return add_precisions(alone, exported, layout, layout.work_dir, None, progress)
    except (AccuracyError, ModelError, ParityError) as error:
        if execution.precisions.required:
            raise
        progress.say(f"{name} is left out: {error.what}")
        return exported
