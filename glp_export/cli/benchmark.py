"""`glp-export benchmark`: an artifact measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work
from glp_export.cli.flags import flags_of
from glp_export.config.sections import (
    BenchmarkOptions,
    DataOptions,
    MachineOptions,
)


@flags_of(DataOptions, MachineOptions, BenchmarkOptions)
def benchmark_command(
    settings: dict[str, Any],
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Measure an artifact on this machine beside a rebuilt unpruned model.

    Example: glp-export benchmark out/trec --batch-sizes 1 8 --seq-lens 128
    """
    from glp_export.report import benchmark_table
    from glp_export.workflows import artifact_jobs

    with at_work(quiet, verbose) as progress:
        measured = artifact_jobs.benchmark(artifact, settings, progress)
    if json_output:
        print(measured.model_dump_json(indent=2))
    else:
        Console().print(benchmark_table(measured))
