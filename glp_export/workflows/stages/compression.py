"""The stage that compresses inside layers: what a compressor is given, and the plans it finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.base import CompressionEvaluator, Found
from glp_export.compress.search.context import TrialContext, judge
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, TrainingInputs, predict
from glp_export.workflows.context import RunContext
from glp_export.workflows.latency_table import Deployment, Tables
from glp_export.workflows.stages.calibration import batches_of, calibrator_of
from glp_export.workflows.stages.evaluator import Teacher, open_cache, train_teacher

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.tasks import TaskKind

LAYERS, AUTO = "layers", "auto"

DEV_SAMPLES = 384
"""Rows of dev that choices are scored on."""


def compressor_of(context: RunContext) -> str:
    """The key of `COMPRESSORS` that a run uses; `layers` for whole layers alone.

    Without a wish, a target of speed is met by structure where the family allows it, and a number
    of layers by whole layers, as in the paper.
    """
    asked = context.config.compress.compress
    if asked != AUTO:
        return asked
    targets = context.config.targets
    if context.config.compress.plan or not targets.fast_enough_asked:
        return LAYERS
    if targets.max_drop is not None:  # 0 is a budget as well
        return LAYERS
    from glp_export.encoder.sublayers import find_sublayers

    return "structure" if find_sublayers(context.pretrained()) else LAYERS


def compress(
    context: RunContext, name: str, facts: dict[str, Any], work: Path, progress: Progress
) -> list[Found]:
    """Let a compressor choose: one plan for each target of speed.

    Raises:
        DataError: a latency table is for something else.
        LatencyError: a target is out of reach.
        ModelError: the model cannot be compressed so.
        UsageError: the compressor's options do not fit.
    """
    row, options = COMPRESSORS[name].load(), context.config.compressors[name]
    row.require(context.pretrained())
    cache = open_cache(context, work)
    teacher = train_teacher(context, cache, progress)
    evaluator = _evaluator(context, options, teacher, facts, cache, work, progress)
    return row.search(options, budget_of(context), evaluator)


def budget_of(context: RunContext) -> Budget:
    """What the targets of a run ask for."""
    targets = context.config.targets
    times = []
    for one in targets.speedups:
        shape = one.shape
        times.append(TimeBudget(shape.batch_size, shape.sequence_length, speedup=one.value))
    if targets.latency is not None:
        shape, most = targets.latency.shape, targets.latency.milliseconds
        times.append(TimeBudget(shape.batch_size, shape.sequence_length, milliseconds=most))
    return Budget(context.problem.cuts, tuple(times), targets.max_drop)


def _evaluator(
    context: RunContext,
    options: Any,
    teacher: Teacher,
    facts: dict[str, Any],
    cache: Cache,
    work: Path,
    progress: Progress,
) -> CompressionEvaluator:
    model = teacher.model.eval()
    dev = context.select.select(range(min(DEV_SAMPLES, len(context.select))))
    given = Path(options.latency_table) if options.latency_table else None
    tables = Tables(deployment_of(context, model), given, cache, work, progress)
    return CompressionEvaluator(
        teacher=model,
        calibrator=calibrator_of(context, model, options.calibration_samples),
        dev=batches_of(context, model, dev),
        divergence=_divergence(context.execution.kind),
        table=tables.table,
        measure_whole=tables.measure_whole,
        train_briefly=_ShortTraining(context, teacher),
        facts=facts,
        removable=context.stack.removable,
        directory=work,
        seed=context.config.training.seed,
        progress=progress,
    )


def _divergence(kind: TaskKind) -> Any:
    """How far a model's outputs are from the teacher's, as recovery measures it, unsoftened."""
    import torch

    def divergence(outputs: Any, teacher: Any, batch: Any) -> Any:
        arrays = {name: teacher[name].float().cpu().numpy() for name in kind.outputs}
        rows = {name: tensor.cpu().numpy() for name, tensor in batch.items()}
        wanted = torch.from_numpy(np.ascontiguousarray(kind.read(arrays, rows)))
        return kind.imitation(outputs, wanted, batch, 1.0)

    return divergence


class _ShortTraining:
    """Trains a candidate on a part of the training rows, and judges it as trials are judged."""

    def __init__(self, context: RunContext, teacher: Teacher) -> None:
        inputs = TrainingInputs(
            examples=context.fit,
            tokenizer=context.tokenizer,
            teacher_logits=predict(
                teacher.model, context.fit, context.tokenizer, device=context.execution.device
            ),
            settings=context.candidate,
            distillation=context.distillation,
        )
        self._context = TrialContext(
            ancestor=teacher.model,
            inputs=inputs,
            recovery=RECOVERIES["distill"],
            task=context.data.task,
            select=context.select,
            refit=True,
            threads=context.execution.threads,
            predictions=teacher.predictions,
        )

    def __call__(self, model: PreTrainedModel, examples: int) -> tuple[NDArray[np.float32], float]:
        inputs = self._context.inputs.part(examples)
        if inputs is not None:
            self._context.recovery.train(model, inputs, None)
        _, losses, score = judge(self._context, model)
        if losses is None:
            losses = np.full(len(self._context.select), np.inf, dtype=np.float32)
        return losses, score


def deployment_of(context: RunContext, model: PreTrainedModel) -> Deployment:
    """What a run ships: its precision and its threads, on its device."""
    execution = context.execution
    return Deployment(
        config=model.config,
        base=context.base_shape,
        auto_class=execution.kind.auto_class,
        export_task=execution.kind.export_task,
        device=execution.device,
        provider=execution.provider,
        precision="int8" if "int8" in execution.precisions.names else "fp32",
        threads=execution.threads,
        optimize=execution.export.optimize,
    )
