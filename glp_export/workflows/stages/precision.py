"""The stage that makes files of lower precision: each ships if it is right and accurate enough.

All contenders get the same care, so that a speedup over the unpruned model at the same precision is
one over the best that it can have. Builders are in `precision`; which of several files is the
fastest is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.artifact import ArtifactLayout, OnnxFile, ParityReport, relocate
from glp_export.bench import quickest
from glp_export.config.sections import PrecisionOptions
from glp_export.core.errors import AccuracyError, GlpError, ModelError, ParityError
from glp_export.core.progress import Progress
from glp_export.precision.builders import BUILDERS
from glp_export.precision.int8 import calibrate
from glp_export.precision.job import CalibrationData, LowerPrecision, PrecisionJob
from glp_export.precision.record import PrecisionEntry
from glp_export.tasks import Task, blank_labels, encode, with_labels
from glp_export.tasks.kinds.base import encode_text
from glp_export.tasks.unlabeled import can_be_blank, read_texts
from glp_export.workflows.context import RunContext
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.stages.export import Exported, check, choice_workloads, quick_timing
from glp_export.workflows.stages.trained import Trained

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def add_precisions(
    execution: ExecutionContext,
    exported: Exported,
    layout: ArtifactLayout,
    work: Path,
    calibration: CalibrationData | None,
    progress: Progress,
    *,
    texts: Dataset | None = None,
) -> Exported:
    """Make the precisions that the run asks for beside a contender's fp32 files.

    A precision that was not named but found to pay is left out, with a message, where its file is
    not right or not accurate enough; one that was named is an error then.

    Args:
        execution: the wishes and the machine.
        exported: the contender with its fp32 files.
        layout: where its files go.
        work: scratch.
        calibration: what accuracy is judged on; None where there is no data, or no trained weights:
            then only what was named is made, and its accuracy is not judged.
        progress: shows what came of each.
        texts: encoded; static ranges are taken from them where there is no calibration data.

    Raises:
        AccuracyError: a precision that was named costs more than it may.
        ParityError: a file of one computes something else.
    """
    if calibration is None and not execution.precisions.required:
        return exported  # nobody asked for a file that nothing can judge
    for name in execution.precisions.names:
        job = _job(execution, exported, work / name, calibration, texts, progress)
        try:
            with progress.stage(f"{name} of {exported.trained.label}"):
                exported = _with(execution, exported, BUILDERS[name](job), layout)
        except (AccuracyError, ParityError, ModelError) as error:
            if execution.precisions.required:
                raise
            exported = _without(exported, name, error)
        progress.say(_told(exported.entries[-1]))
    return exported


def _job(
    execution: ExecutionContext,
    exported: Exported,
    work: Path,
    calibration: CalibrationData | None,
    texts: Dataset | None,
    progress: Progress,
) -> PrecisionJob:
    trained = exported.trained

    def fastest(files: Sequence[OnnxFile]) -> OnnxFile:
        with progress.paused():
            return quickest(
                files,
                trained.checkpoint,
                choice_workloads(execution, trained),
                provider=execution.provider,
                threads=execution.threads,
                auto_class=execution.kind.auto_class,
                timing=quick_timing(3.0, execution),
            )

    return PrecisionJob(
        task=execution.task,
        plain=exported.plain,
        chosen=exported.chosen,
        checkpoint=trained.checkpoint,
        tokenizer=trained.tokenizer,
        device=execution.device,
        provider=execution.provider,
        threads=execution.threads,
        recipes=execution.precision.int8,
        scope=execution.precision.int8_scope,
        exporter=execution.export.exporter,
        opset=execution.export.opset,
        work=work,
        calibration=calibration,
        quickest=fastest,
        texts=texts,
    )


def _with(
    execution: ExecutionContext, exported: Exported, lower: LowerPrecision, layout: ArtifactLayout
) -> Exported:
    """Prove a file right and move it into place: one that is wrong never stands there."""
    found = check(execution, exported.trained, [lower.file], reference=exported.reference)
    found.require()
    lower = replace(
        lower, file=relocate(lower.file, layout.variant(lower.file.precision), move=True)
    )
    return replace(
        exported,
        lower=(*exported.lower, lower),
        entries=(*exported.entries, lower.entry),
        parity=ParityReport((*exported.parity.files, *found.files)),
    )


def _without(exported: Exported, precision: str, error: GlpError) -> Exported:
    entry = PrecisionEntry(precision=precision, file=None, recipe="", reason=error.what)
    return replace(exported, entries=(*exported.entries, entry))


def _told(entry: PrecisionEntry) -> str:
    """One line on what became of a precision."""
    if entry.file is None:
        return f"{entry.precision} is left out: {entry.reason}"
    loss = entry.on_select
    cost = f"; {loss.drop:.3f} ({loss.low:.3f} to {loss.high:.3f}) lost on dev" if loss else ""
    floats = f", {', '.join(entry.kept_in_float)} in float" if entry.kept_in_float else ""
    kernels = "".join(f"; {count.words}" for count in entry.kernels)
    return f"{entry.precision}: {entry.recipe}{floats}{cost}{kernels}"


def encoded_texts(
    precision: PrecisionOptions, task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Dataset | None:
    """The texts that static ranges are taken from, as a model reads them; None without any.

    Raises:
        DataError: the file cannot be read, or has no texts.
    """
    if precision.calibration_texts is None:
        return None
    texts = read_texts(precision.calibration_texts, task)
    if not can_be_blank(task):  # ranges are of what a model reads, whatever it answers
        from datasets import Dataset

        return Dataset.from_dict(dict(encode_text(texts[:], tokenizer, max_length)))
    return encode(with_labels(texts, blank_labels(texts, task), task), task, tokenizer, max_length)


def require_texts(execution: ExecutionContext, rows: Dataset | None) -> None:
    """Refuse static ranges without enough texts before anything is exported.

    Args:
        execution: the wishes.
        rows: encoded, those that ranges will be taken from; None where there are none.

    Raises:
        DataError: too few different rows.
        UsageError: none at all, and int8 was asked for by name.
    """
    named = rows is not None or execution.precisions.required
    if "int8" in execution.precisions.names and named:
        calibrate.require_texts(rows, execution.precision.int8, execution.precision.int8_scope)


def require_texts_of_run(context: RunContext) -> None:
    """Read the texts of static ranges, or look at the training rows, before anything is trained.

    Raises:
        DataError: the file cannot be read, or has too few different texts.
    """
    task, length = context.data.task, context.config.data.max_length
    given = encoded_texts(context.config.precision, task, context.tokenizer, length)
    require_texts(context.execution, context.fit if given is None else given)


def calibration_data_of(
    context: RunContext, trained: Trained, spent: float = 0.0
) -> CalibrationData:
    """What a trained contender's files are judged on, by its own tokenizer.

    Args:
        context: of the run.
        trained: the contender.
        spent: metric points that pruning cost, of those that `--max-drop` allows in all.
    """
    data, config = context.data, context.config
    if trained.tokenizer is context.tokenizer:
        fit, select, train = context.fit, context.select, context.train
    else:
        fit, select, train = (
            encode(rows, data.task, trained.tokenizer, config.data.max_length)
            for rows in (data.fit, data.select, context.train_rows)
        )
    if config.precision.calibration_texts is not None:
        fit = encoded_texts(config.precision, data.task, trained.tokenizer, config.data.max_length)
    total = config.compress.max_drop
    left = config.precision.int8_drop if total is None else max(0.0, total - max(0.0, spent))
    return CalibrationData(
        fit,
        select,
        train,
        max_drop=left,
        flag="--int8-drop" if total is None else "--max-drop",
        settings=context.final,
        distillation=context.distillation,
    )
