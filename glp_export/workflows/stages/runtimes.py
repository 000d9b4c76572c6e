"""The stage that looks at other runtimes than ONNX Runtime: which of a contender's files they run.

A file is measured in a runtime if that computes what PyTorch computes, by the check that every file
passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glp_export.artifact import OnnxFile, ParityReport
from glp_export.artifact.tolerance import TOLERANCES
from glp_export.core.errors import ModelError, ParityError
from glp_export.core.progress import Progress
from glp_export.serve.openvino_session import computes_bf16
from glp_export.serve.runtimes import RUNTIMES
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.stages.export import Exported, check


def add_runtimes(execution: ExecutionContext, exported: Exported, progress: Progress) -> Exported:
    """Check a contender's files in every other runtime of the run, and keep those that are right.

    Where a runtime was not asked for by name, a file that it cannot run, or computes otherwise, is
    left out there with a message. Wherever they are too far away, so are int8, whose metric was
    taken in ONNX Runtime and says nothing then, and fp32 in bf16, which nobody asks for.

    Raises:
        DeviceError: the runtime does not start.
        ModelError: a runtime that was named cannot run a file.
        ParityError: it computes something else of a file that has a tolerance.
    """
    for name in execution.runtimes:
        right: list[OnnxFile] = []
        with progress.stage(f"{exported.trained.label} in {RUNTIMES[name].title}"):
            for file in _as_run(exported.files):
                own = file in exported.files
                if not own and all(one.path != file.path for one in right):
                    continue
                try:
                    found = check(
                        execution, exported.trained, [file], name, reference=exported.reference
                    )
                    found.require()
                except (ModelError, ParityError) as error:
                    blurred = isinstance(error, ParityError) and not TOLERANCES[file.precision]
                    if execution.runtimes_named and own and not blurred:
                        raise
                    what = file.path.name if own else f"{file.path.name} in {file.precision}"
                    progress.say(f"{what} is left out in {RUNTIMES[name].title}: {error.what}")
                    continue
                right.append(file)
                parity = ParityReport((*exported.parity.files, *found.files))
                exported = replace(exported, parity=parity)
        exported = replace(exported, elsewhere={**exported.elsewhere, name: tuple(right)})
    return exported


def _as_run(files: Sequence[OnnxFile]) -> list[OnnxFile]:
    """The files, and those of fp32 in bf16 too where OpenVINO has it on this CPU."""
    plain = [file for file in files if file.precision == "fp32"][:1] if computes_bf16() else []
    return [*files, *(replace(file, precision="bf16") for file in plain)]
