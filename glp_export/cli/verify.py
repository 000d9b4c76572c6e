"""`glp-export verify`: the files of an artifact against its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work
from glp_export.cli.flags import flags_of
from glp_export.cli.outcome import after_result
from glp_export.config.sections import (
    BenchmarkOptions,
    DataOptions,
    ExportOptions,
    MachineOptions,
    PrecisionOptions,
)


@flags_of(DataOptions, ExportOptions, PrecisionOptions, MachineOptions, BenchmarkOptions)
def verify_command(
    settings: dict[str, Any],
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Check an artifact's files: checksums, and parity with its PyTorch weights.

    Example: glp-export verify out/trec
    """
    from glp_export.report import parity_table
    from glp_export.workflows import artifact_jobs

    with at_work(quiet, verbose) as progress:
        report = artifact_jobs.verify(artifact, settings, progress)
    print(report.to_json()) if json_output else Console().print(parity_table(report))
    with after_result():
        report.require()
