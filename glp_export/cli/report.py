"""`glp-export report`: the report of an artifact, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    artifacts: Annotated[
        list[Path], typer.Argument(help="Directories that prune-and-export wrote.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write it here [dim](default: glp/report.html in the artifact; report.html "
            "for several)[/].",
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    show_texts: Annotated[
        bool,
        typer.Option(
            "--show-texts",
            help="Show the texts whose label a file changes; the report then contains data.",
        ),
    ] = False,
) -> None:
    """Write the HTML report of an artifact, or one that compares several.

    Example: glp-export report out/trec --open
    """
    from glp_export.workflows.report import report

    written = report(artifacts, output, show_texts=show_texts)
    print(written)
    if open_it:
        _open(written)


def _open(path: Path) -> None:
    """Show a file in the user's browser.

    Raises:
        UsageError: there is none.
    """
    import webbrowser

    from glp_export.core.errors import UsageError

    if not webbrowser.open(path.resolve().as_uri()):
        raise UsageError(
            "no browser was found, the report is written", where="--open", fix=f"open {path}"
        )
