"""`glp-export inspect`: what is in an artifact or a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work, print_json


def inspect_command(
    path: Annotated[Path, typer.Argument(help="An artifact directory, a plan or a layer file.")],
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Show what is in an artifact or a plan.

    Example: glp-export inspect paper:bert-base-uncased/rte
    """
    from glp_export.workflows import artifact_jobs

    with at_work(quiet, verbose):
        view, content = artifact_jobs.inspect(path)
    print_json(content) if json_output else Console().print(view)
