"""What all commands share: their flags, where messages go, how a person is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glp_export.cli.outcome import told_as_stopped
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from glp_export.core.progress import Progress

VerboseFlag = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="More messages; -vv for debugging.")
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file of these settings; flags override it."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@contextmanager
def at_work(
    quiet: bool = False, verbose: int = 0, output: Path | None = None
) -> Iterator[Progress]:
    """The progress of a command while it works.

    Stdout is kept for the result: what libraries print there meanwhile goes to stderr.

    Args:
        quiet: say nothing but the result.
        verbose: say more.
        output: where the command leaves something; what is kept of it is told if it is stopped.

    Raises:
        StoppedError: by Ctrl-C, SIGTERM or SIGHUP.
    """
    from glp_export.report.progress import make_progress

    with told_as_stopped(lambda: _what_is_kept(output)), redirect_stdout(sys.stderr):
        yield make_progress(quiet, verbose)


def _what_is_kept(output: Path | None) -> str:
    """What is left of a run that was stopped, and how to go on with it."""
    if output is None:
        return ""
    from glp_export.artifact.output_place import staging_path

    staging = staging_path(output)
    if not staging.is_dir():
        return "nothing was kept"
    return f"what was done is kept in {staging}; the same command with --resume goes on from there"


def ask(question: str) -> bool:
    """Put a question on stderr; no, where nobody is there to answer."""
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def require_somebody(yes: bool) -> None:
    """Check that what has to be asked can be asked.

    Raises:
        UsageError: there is no terminal, and `--yes` was not said.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", fix="add --yes")


def print_json(content: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(content, indent=2, default=str))
