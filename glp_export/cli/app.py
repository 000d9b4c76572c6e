"""The command line: each command is in a file of its own, and put together here.

Results go to stdout, progress and messages to stderr. The flags of a run are the fields of the
configuration, so a flag is defined in one place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from glp_export import __version__
from glp_export.cli import cache
from glp_export.cli.benchmark import benchmark_command
from glp_export.cli.compare import compare_command
from glp_export.cli.env import env_command
from glp_export.cli.export import export_command
from glp_export.cli.flags import require_filled, spread
from glp_export.cli.gate import gate_command
from glp_export.cli.init import init_command
from glp_export.cli.inspect import inspect_command
from glp_export.cli.latency_table import latency_table_command
from glp_export.cli.outcome import as_a_process, exit_code_of
from glp_export.cli.prune_and_export import prune_and_export_command
from glp_export.cli.push import push_command
from glp_export.cli.report import report_command
from glp_export.cli.search import search_command
from glp_export.cli.triton import triton_command
from glp_export.cli.verify import verify_command

app = typer.Typer(
    name="glp-export",
    help="Prune a transformer encoder for a task, export it to ONNX, verify the files and "
    "measure the speedup.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
)

app.command("init")(init_command)
app.command("prune-and-export")(prune_and_export_command)
app.command("search")(search_command)
app.command("export")(export_command)
app.command("verify")(verify_command)
app.command("benchmark")(benchmark_command)
app.command("compare")(compare_command)
app.command("gate")(gate_command)
app.command("report")(report_command)
app.command("push")(push_command)
app.command("triton")(triton_command)
app.command("latency-table")(latency_table_command)
app.command("inspect")(inspect_command)
app.command("env")(env_command)
app.add_typer(cache.app, name="cache")


@app.callback(invoke_without_command=True)
def version_option(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prune an encoder for a task, export it to ONNX, verify it and measure it."""
    if version:
        print(f"glp-export {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command and exit with the code of its outcome."""
    with as_a_process():
        code = run(sys.argv[1:])
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""

    def command() -> Any:
        require_filled(arguments)
        return app(spread(arguments), standalone_mode=False)

    return exit_code_of(command, arguments)


if __name__ == "__main__":
    main()
