"""The command: parses, calls one function, prints.

Results go to stdout, progress and messages to stderr. The flags of a run are the fields of
`RunConfig`, so a flag is defined in one place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from glp_export import __version__
from glp_export.cli import cache as cache_command
from glp_export.cli.console import JsonFlag as Json
from glp_export.cli.console import QuietFlag as Quiet
from glp_export.cli.console import VerboseFlag as Verbose
from glp_export.cli.console import ask, at_work, print_json
from glp_export.cli.flags import flags_of, spread
from glp_export.cli.gate import gate_command
from glp_export.cli.push import push_command, push_result, pushed_words, ready_to_push
from glp_export.cli.report import report_command
from glp_export.cli.triton import triton_command
from glp_export.config.files import resolve
from glp_export.config.sections import (
    BenchmarkOptions,
    CompressOptions,
    DataOptions,
    ExportOptions,
    HubOptions,
    MachineOptions,
    ModelOptions,
    OutputOptions,
    PrecisionOptions,
    TrainingOptions,
)
from glp_export.core.errors import GlpError

if TYPE_CHECKING:
    from glp_export.publish.push import Pushed

INTERNAL_ERROR = 1

app = typer.Typer(
    name="glp-export",
    help="Prune whole layers of a transformer encoder, export it to ONNX, prove the file right "
    "and measure the speedup.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
)

app.add_typer(cache_command.app, name="cache")
app.command("gate")(gate_command)
app.command("push")(push_command)
app.command("triton")(triton_command)
app.command("report")(report_command)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file of these settings; flags win over it."),
]


def main() -> None:
    """Run the command and exit with the code of its outcome."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    stderr = Console(stderr=True, soft_wrap=True)
    try:
        outcome = app(spread(arguments), standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except GlpError as error:
        return _fail(stderr, error, error.exit_code, arguments)
    except KeyboardInterrupt:
        stderr.print("interrupted; --resume goes on from here")
        return 130
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):
            stderr.print(f"[red]error:[/] {error.format_message()}", highlight=False)
            return 2
        return _fail(stderr, error, INTERNAL_ERROR, arguments)


def _fail(stderr: Console, error: Exception, code: int, arguments: Sequence[str]) -> int:
    """Say what is wrong; the traceback only for those who ask."""
    if any(argument in ("-v", "-vv", "--verbose") for argument in arguments):
        stderr.print_exception()
    name = "internal error" if code == INTERNAL_ERROR else "error"
    text = str(error) or type(error).__name__
    stderr.print(f"{name}:", style="red", end=" ")
    stderr.print(text, markup=False, highlight=False)
    if code == INTERNAL_ERROR:
        stderr.print("  do:    run again with -v and report the traceback", highlight=False)
    return code


@app.callback(invoke_without_command=True)
def version_option(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prune whole layers of an encoder, export it to ONNX, prove it right and measure it."""
    if version:
        print(f"glp-export {__version__}")
        raise typer.Exit


@app.command("prune-and-export")
@flags_of(
    ModelOptions,
    DataOptions,
    CompressOptions,
    TrainingOptions,
    ExportOptions,
    PrecisionOptions,
    MachineOptions,
    BenchmarkOptions,
    OutputOptions,
    HubOptions,
)
def prune_and_export_command(
    settings: dict[str, Any],
    config: ConfigFile = None,
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Do the whole job: search, recover, export, optimise, verify, benchmark, report.

    Example: glp-export prune-and-export -m bert-dir --dataset data/trec --depth 6 -o out/trec
    """
    from glp_export.cli.run_result import run_as_json, show_run
    from glp_export.workflows import prune_and_export as pipeline

    with at_work(quiet, verbose) as progress:
        run_config = resolve(settings, config or pipeline.interrupted_config(settings))
        if run_config.output.dry_run:
            estimate = pipeline.estimate(run_config, progress)
        else:
            target = ready_to_push(run_config)
            result = pipeline.prune_and_export(run_config, progress=progress, confirm=ask)
    if run_config.output.dry_run:
        print_json(estimate.as_dict()) if json_output else print(estimate)
        return
    pushed: Pushed | None = None
    if not json_output:
        show_run(result)
    try:
        with at_work(quiet, verbose) as progress:
            pushed = push_result(run_config, target, result.output, progress)
    finally:  # what was made is told, whatever becomes of the upload
        if json_output:
            print_json(run_as_json(result, pushed))
    if target and not json_output:
        print(pushed_words(pushed))


@app.command("search")
@flags_of(
    ModelOptions,
    DataOptions,
    CompressOptions,
    TrainingOptions,
    MachineOptions,
    BenchmarkOptions,
    OutputOptions,
)
def search_command(
    settings: dict[str, Any],
    config: ConfigFile = None,
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Find the layers that a task can do without; leave OUT/glp/plan.json.

    Example: glp-export search -m bert-dir --dataset data/trec --depth 6 -o out/plan
    """
    from glp_export.report import plan_view
    from glp_export.workflows import prune_and_export as pipeline

    with at_work(quiet, verbose) as progress:
        run_config = resolve(settings, config or pipeline.interrupted_config(settings))
        plan, path = pipeline.search_only(run_config, progress=progress, confirm=ask)
    if json_output:
        print_json({"path": path, **plan.model_dump(mode="json")})
    else:
        Console().print(plan_view(plan))
        print(f"\nplan: {path}")


@app.command("export")
@flags_of(
    *(ExportOptions, PrecisionOptions, MachineOptions, BenchmarkOptions, OutputOptions),
    also=("kind", "max_length"),
)
def export_command(
    settings: dict[str, Any],
    checkpoint: Annotated[Path, typer.Argument(help="Directory that save_pretrained wrote.")],
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Export a checkpoint to ONNX, optimise it and prove the files right.

    Example: glp-export export my-classifier -o out/my-classifier
    """
    from glp_export.workflows import artifact_jobs
    from glp_export.workflows import export as export_job

    with at_work(quiet, verbose) as progress:
        made = export_job.export(checkpoint, resolve(settings), progress)
    if json_output:
        _, content = artifact_jobs.inspect(made.output)
        print_json({"output": made.output, **content, **made.as_dict()})
    else:
        Console().print(made.table())
        print(made.output)


@app.command("verify")
@flags_of(DataOptions, ExportOptions, PrecisionOptions, MachineOptions, BenchmarkOptions)
def verify_command(
    settings: dict[str, Any],
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Check an artifact's files: checksums, and parity with its PyTorch weights.

    Example: glp-export verify out/trec
    """
    from glp_export.report import parity_table
    from glp_export.workflows import artifact_jobs

    with at_work(quiet, verbose) as progress:
        report = artifact_jobs.verify(artifact, settings, progress)
    print(report.to_json()) if json_output else Console().print(parity_table(report))
    report.require()


@app.command("benchmark")
@flags_of(DataOptions, MachineOptions, BenchmarkOptions)
def benchmark_command(
    settings: dict[str, Any],
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
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


@app.command("inspect")
def inspect_command(
    path: Annotated[Path, typer.Argument(help="An artifact directory, a plan or a layer file.")],
    json_output: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Say what is in an artifact or a plan.

    Example: glp-export inspect paper:bert-base-uncased/rte
    """
    from glp_export.workflows import artifact_jobs

    with at_work(quiet, verbose):
        view, content = artifact_jobs.inspect(path)
    print_json(content) if json_output else Console().print(view)


@app.command("env")
def env_command(json_output: Json = False, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Print the machine: cores, instruction sets, providers, versions.

    Example: glp-export env --json
    """
    from dataclasses import asdict

    from glp_export.core.machine import describe
    from glp_export.report import machine_table

    with at_work(quiet, verbose):
        machine = describe()
    print_json(asdict(machine)) if json_output else Console().print(machine_table(machine))


if __name__ == "__main__":
    main()
