"""`glp-export latency-table`: what heads, neurons and layers cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glp_export.cli.console import JsonFlag as Json
from glp_export.cli.console import QuietFlag as Quiet
from glp_export.cli.console import VerboseFlag as Verbose
from glp_export.cli.console import at_work, print_json
from glp_export.core.machine import MOST_THREADS


def latency_table_command(
    checkpoint: Annotated[Path, typer.Argument(help="The model to prune: a local directory.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the table goes.")],
    shape: Annotated[str, typer.Option(help="Batch size x length in tokens.")] = "1x128",
    precision: Annotated[
        str, typer.Option(help="Precision of the file that will be served: fp32 or int8.")
    ] = ("fp32"),
    kind: Annotated[
        str | None, typer.Option(help="Kind of task, where the model has no head that says it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_THREADS, help="Threads of ONNX Runtime.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Measure a latency table on this machine, for --latency-table elsewhere.

    Example: glp-export latency-table bert-dir --shape 1x32 -o table.json
    """
    from glp_export.workflows.measure_latency import measure_latency

    with at_work(quiet, verbose) as progress:
        table = measure_latency(
            checkpoint,
            output,
            shape=shape,
            precision=precision,
            kind=kind,
            threads=threads,
            device=device,
            progress=progress,
        )
    if json_output:
        content: Any = table.model_dump(mode="json")
        print_json({"path": output, "id": table.id, **content})
    else:
        print(output)
