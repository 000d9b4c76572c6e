"""`glp-export benchmark`: an artifact or a plain checkpoint measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work, print_json
from glp_export.cli.flags import flags_of
from glp_export.config.sections import (
    BenchmarkOptions,
    DataOptions,
    MachineOptions,
)


@flags_of(
    *(DataOptions, MachineOptions, BenchmarkOptions),
    also=("precision", "target_speedup", "latency_budget"),
)
def benchmark_command(
    settings: dict[str, Any],
    artifact: Annotated[
        Path, typer.Argument(help="An artifact, or a checkpoint of save_pretrained.")
    ],
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Measure an artifact on this machine beside a rebuilt unpruned model.

    An unpruned checkpoint is measured as it is, without training; with a target, the result says
    whether it has to be pruned.

    Example: glp-export benchmark out/trec --batch-sizes 1 8 --seq-lens 128
    """
    from glp_export.report import benchmark_table
    from glp_export.workflows import artifact_jobs
    from glp_export.workflows.benchmark_checkpoint import (
        answer,
        benchmark_checkpoint,
        targets_kept,
    )

    with at_work(quiet, verbose) as progress:
        if artifact_jobs.is_pruned(artifact):
            measured = artifact_jobs.benchmark(artifact, settings, progress)
            kept = targets_kept(measured, settings)
            answered = list(map(str, kept))
        else:
            measured = benchmark_checkpoint(artifact, settings, progress)
            kept = targets_kept(measured, settings, contender="unpruned")
            answered = answer(measured, settings, artifact)
    measured = measured.model_copy(update={"targets": tuple(kept)})
    if json_output:
        print_json(
            {**measured.model_dump(mode="json"), **({"answer": answered} if answered else {})}
        )
        return
    for line in answered:
        print(line)
    Console().print(benchmark_table(measured))
