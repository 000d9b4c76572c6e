"""The stage that makes files of lower precision: each ships if it is right and accurate enough.

A precision is one builder and one row in `BUILDERS`. All contenders get the same care, so that a
speedup over the unpruned model at the same precision is one over the best that it can have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glp_export.artifact import ArtifactLayout, ParityReport, relocate
from glp_export.core.errors import AccuracyError, GlpError, ModelError, ParityError
from glp_export.core.progress import Progress
from glp_export.precision.record import PrecisionEntry
from glp_export.workflows.context import ExecutionContext
from glp_export.workflows.stages.export import Exported, LowerPrecision, check
from glp_export.workflows.stages.fp16 import build_fp16
from glp_export.workflows.stages.int8 import build_int8
from glp_export.workflows.stages.precision_job import CalibrationData, PrecisionJob

BUILDERS: dict[str, Callable[[PrecisionJob], LowerPrecision]] = {
    "int8": build_int8,
    "fp16": build_fp16,
}


def add_precisions(
    execution: ExecutionContext,
    exported: Exported,
    layout: ArtifactLayout,
    work: Path,
    calibration: CalibrationData | None,
    progress: Progress,
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
        progress: told what came of each.

    Raises:
        AccuracyError: a precision that was named costs more than it may.
        ParityError: a file of one computes something else.
    """
    if calibration is None and not execution.precisions.required:
        return exported  # nobody asked for a file that nothing can judge
    for name in execution.precisions.names:
        job = PrecisionJob(execution, exported, work / name, calibration, progress)
        try:
            with progress.stage(f"{name} of {exported.trained.label}"):
                exported = _with(execution, exported, BUILDERS[name](job), layout)
        except (AccuracyError, ParityError, ModelError) as error:
            if execution.precisions.required:
                raise
            exported = _without(exported, name, error)
        progress.say(_told(exported.entries[-1]))
    return exported


def _with(
    execution: ExecutionContext, exported: Exported, lower: LowerPrecision, layout: ArtifactLayout
) -> Exported:
    """Prove a file right and move it into place: one that is wrong never stands there."""
    found = check(execution, exported.trained, [lower.file])
    found.require()
    lower = replace(lower, file=relocate(lower.file, layout.variant(lower.file.precision)))
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
    cost = f"; {loss.drop:.3f} ({loss.low:.3f} to {loss.high:.3f}) lost on select" if loss else ""
    floats = f", {', '.join(entry.kept_in_float)} in float" if entry.kept_in_float else ""
    return f"{entry.precision}: {entry.recipe}{floats}{cost}"
