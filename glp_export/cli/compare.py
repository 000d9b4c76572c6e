"""`glp-export compare`: two artifacts side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work
from glp_export.cli.flags import flags_of
from glp_export.config.sections import DataOptions

TIMED = ("batch_sizes", "seq_lens", "bench_seconds", "bench_rounds", "threads", "device")


@flags_of(DataOptions, also=TIMED)
def compare_command(
    settings: dict[str, Any],
    a: Annotated[Path, typer.Argument(help="An artifact.")],
    b: Annotated[Path, typer.Argument(help="Another artifact.")],
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="Compare the files of this precision. Default: the file that `load` opens.",
            rich_help_panel="Benchmark",
        ),
    ] = None,
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Compare two artifacts: latency interleaved, accuracy on the same examples with --dataset.

    Differences are paired and have 95 % intervals.

    Example: glp-export compare out/trec out/my-classifier --seq-lens 32
    """
    from glp_export.workflows.compare import compare

    with at_work(quiet, verbose) as progress:
        found = compare(a, b, settings, progress, precision=precision)
    print(found.model_dump_json(indent=2) if json_output else "\n".join(found.lines()))
