"""`glp-export export`: a checkpoint as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work, print_json
from glp_export.cli.flags import flags_of
from glp_export.config.files import resolve
from glp_export.config.sections import (
    BenchmarkOptions,
    ExportOptions,
    MachineOptions,
    OutputOptions,
    PrecisionOptions,
)


@flags_of(
    *(ExportOptions, PrecisionOptions, MachineOptions, BenchmarkOptions, OutputOptions),
    also=("kind", "max_length"),
)
def export_command(
    settings: dict[str, Any],
    checkpoint: Annotated[Path, typer.Argument(help="Directory that save_pretrained wrote.")],
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Export a checkpoint to ONNX as it is, optimise and verify it.

    Example: glp-export export my-classifier -o out/my-classifier
    """
    from glp_export.workflows import artifact_jobs
    from glp_export.workflows import export as export_job

    with at_work(quiet, verbose, settings.get("output")) as progress:
        made = export_job.export(checkpoint, resolve(settings), progress)
    if json_output:
        _, content = artifact_jobs.inspect(made.output)
        print_json({"output": made.output, **content, **made.as_dict()})
        return
    if made.files:
        Console().print(made.table())
    print(made.output)
