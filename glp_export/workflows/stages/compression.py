"""The stage that compresses inside layers: what a compressor is given, and the plans it finds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.base import CompressionEvaluator, Found
from glp_export.compress.latency_probes import ProbeMaker, measure_table, measure_whole
from glp_export.compress.latency_table import Conditions, LatencyTable
from glp_export.compress.search.context import TrialContext, judge
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, TrainingInputs, predict
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.calibration import batches_of, calibrator_of
from glp_export.workflows.stages.evaluator import Teacher, open_cache, train_teacher

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.core.shape import ModelShape
    from glp_export.tasks import TaskKind

LAYERS, AUTO = "layers", "auto"

DEV_SAMPLES = 384
"""Rows of dev that choices are scored on."""

PREDICTED_WITHIN = 0.05
"""Relative error of a predicted speedup past which a latency table is corrected."""

DECIDING = ("onnxruntime", "torch", "transformers")
"""Packages whose version may change what a file takes."""


def compressor_of(context: RunContext) -> str:
    """The key of `COMPRESSORS` that a run uses; `layers` for whole layers alone.

    Without a wish, a target of speed is met by structure where the family allows it, and a number
    of layers by whole layers, as in the paper.
    """
    asked = context.config.compress.compress
    if asked != AUTO:
        return asked
    targets = context.config.targets
    if context.config.compress.plan or not targets.fast_enough_asked or targets.max_drop:
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
    row, options = COMPRESSORS[name], context.config.compressors[name]
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
    tables = _Tables(context, model, options, cache, work, progress)
    return CompressionEvaluator(
        teacher=model,
        calibrator=calibrator_of(context, model, options.calibration_samples),
        dev=batches_of(context, model, dev),
        divergence=_divergence(context.execution.kind),
        table=tables.table,
        correct=tables.correct,
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


class _Tables:
    """Latency tables: measured or read, corrected by whole models, kept beside the run."""

    def __init__(
        self,
        context: RunContext,
        model: PreTrainedModel,
        options: Any,
        cache: Cache,
        work: Path,
        progress: Progress,
    ) -> None:
        self._context, self._model, self._cache = context, model, cache
        self._given = options.latency_table
        self._work, self._progress = work, progress

    def table(self, time: TimeBudget) -> LatencyTable:
        """The table for a budget's shape; a resumed run reads the one that it wrote.

        Raises:
            DataError: a table that was given is for something else.
        """
        conditions = conditions_of(self._context, self._model, self._form, time)
        base = self._context.base_shape
        if self._given:
            given = LatencyTable.load(Path(self._given))
            given.require(base, conditions)
            return self._decided(given)
        kept = self._path(conditions)
        if kept.is_file():
            return LatencyTable.load(kept)
        found = self._measured(conditions)
        kept.parent.mkdir(parents=True, exist_ok=True)
        return LatencyTable.load(found.save(kept))

    def correct(self, table: LatencyTable, shapes: Sequence[ModelShape]) -> LatencyTable:
        """The table corrected by whole models; itself where it predicts them, or was given."""
        if self._given:
            return table
        kept = self._path(table.conditions)
        if kept.is_file() and (stored := LatencyTable.load(kept)).id != table.id:
            return self._decided(stored)  # an interrupted run has corrected it
        known = {model.shape for model in table.measured}
        if set(shapes) <= known and table.worst_error <= PREDICTED_WITHIN:
            return self._decided(table)
        with (
            TemporaryDirectory(prefix="glp-probes-") as scratch,
            self._progress.stage("measure what was chosen"),
            self._progress.paused(),
        ):
            models = measure_whole(
                self._maker(table.conditions), shapes, table.conditions, Path(scratch)
            )
        if max(table.errors(models)) <= PREDICTED_WITHIN:
            return self._decided(table)
        corrected = table.corrected(models)
        corrected.save(kept)
        return self._decided(corrected)

    def _decided(self, table: LatencyTable) -> LatencyTable:
        """Keep a table under its id: a later correction for another target replaces the other."""
        path = table_path(self._work, table.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.save(path)
        return table

    @cached_property
    def _form(self) -> str:
        """The form of the file that ships: a level of optimisation, or of int8 a graph pass."""
        from glp_export.artifact.graph_passes.passes import reads_first_token
        from glp_export.artifact.onnx_file import read_graph

        int8 = _ships_int8(self._context)
        plain = "lean" if int8 else "none"
        if not int8 and self._context.execution.export.optimize not in ("auto", "first-token"):
            return plain
        base = self._context.base_shape
        small = base.model_copy(update={"layers": base.layers[:2]})
        maker = self._maker_of("fp32", "none")
        with TemporaryDirectory(prefix="glp-probes-") as scratch:
            graph = read_graph(maker(small, Path(scratch)), weights=True)
        return "first-token" if reads_first_token(graph) else plain

    def _measured(self, conditions: Conditions) -> LatencyTable:
        facts = {
            "conditions": conditions.model_dump(mode="json"),
            "base": self._context.base_shape.model_dump(mode="json"),
        }

        def make(directory: Path) -> None:
            with (
                TemporaryDirectory(prefix="glp-probes-") as scratch,
                self._progress.stage("measure the latency table") as meter,
                self._progress.paused(),
            ):
                table = measure_table(
                    self._maker(conditions),
                    self._context.base_shape,
                    conditions,
                    Path(scratch),
                    separate_top=conditions.form == "first-token",
                    progress=lambda what, done, total: meter.update(done, total, what),
                )
                table.save(directory / "table.json")

        return LatencyTable.load(self._cache.get_or_make("latency", facts, make) / "table.json")

    def _maker(self, conditions: Conditions) -> ProbeMaker:
        return self._maker_of(conditions.precision, conditions.form)

    def _maker_of(self, precision: str, form: str) -> ProbeMaker:
        kind = self._context.execution.kind
        return ProbeMaker(
            config=self._model.config,
            auto_class=kind.auto_class,
            export_task=kind.export_task,
            precision=precision,
            form=form,
        )

    def _path(self, conditions: Conditions) -> Path:
        shape = f"{conditions.batch_size}x{conditions.sequence_length}"
        return self._work / "latency" / f"{conditions.precision}-{shape}.json"


def table_path(work: Path, table_id: str) -> Path:
    """Where a run keeps a latency table that it chose by."""
    return work / "latency" / "chosen" / f"{table_id[:16]}.json"


def _ships_int8(context: RunContext) -> bool:
    return "int8" in context.execution.precisions.names


def conditions_of(
    context: RunContext, model: PreTrainedModel, form: str, time: TimeBudget
) -> Conditions:
    """What a table has to hold for: the precision and the form of the file that will ship."""
    machine, execution = describe(), context.execution
    return Conditions(
        device=machine.cpu if execution.device == "cpu" else str(machine.gpu),
        runtime="onnxruntime",
        provider=execution.provider,
        precision="int8" if _ships_int8(context) else "fp32",
        form=form,
        threads=execution.threads,
        batch_size=time.batch_size,
        sequence_length=time.sequence_length,
        family=model.config.model_type,
        versions={name: machine.versions[name] for name in DECIDING},
    )


def write_tables(work: Path, path: Path) -> None:
    """Put the tables of a run into its artifact."""
    tables = sorted((work / "latency").glob("*.json"))
    if tables:
        content = [json.loads(table.read_text()) for table in tables]
        path.write_text(json.dumps(content, indent=1) + "\n")
