"""`glp-export gate`: does an artifact keep what its budget says?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from glp_export.cli.console import QuietFlag, VerboseFlag, at_work
from glp_export.cli.flags import flags_of
from glp_export.cli.outcome import after_result
from glp_export.config.sections import DataOptions
from glp_export.core.arguments import seconds_of
from glp_export.core.machine import MOST_THREADS

if TYPE_CHECKING:
    from glp_export.gate.results import GateReport


_PANEL = "Gate"
_MACHINES = "For machines"


def _option(*names: str, text: str, panel: str = _PANEL) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel)


@flags_of(DataOptions)
def gate_command(
    settings: dict[str, Any],
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    against: Annotated[
        Path | None, _option("--against", text="Compare with this artifact, the last release say.")
    ] = None,
    budget: Annotated[
        Path | None, _option("--budget", text="Read this budget instead of the artifact's own.")
    ] = None,
    quick: Annotated[
        bool, _option("--quick", text="Check only checksums, shapes, parity and size.")
    ] = False,
    max_seconds: Annotated[
        float,
        _option(
            "--max-seconds",
            text="Seconds for all latency lines together; a broken line is measured once more.",
        ),
    ] = 60.0,
    undecided: Annotated[
        Literal["pass", "fail"],
        _option("--undecided", text="Whether an undecided line passes or fails."),
    ] = "pass",
    device: Annotated[
        list[str] | None,
        _option("--device", text="Only the budget's tables for these: cpu, cuda, openvino."),
    ] = None,
    int8: Annotated[
        bool,
        _option("--int8", text="Judge int8 lines even on a CPU without the recorded instructions."),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            max=MOST_THREADS,
            rich_help_panel=_PANEL,
            help="Threads. Default: as in the run.",
        ),
    ] = None,
    cache: Annotated[
        str | None,
        _option("--cache", text="Where rebuilt models are kept; `none` keeps nothing."),
    ] = None,
    json_output: Annotated[
        bool, _option("--json", text="Print the result as JSON.", panel=_MACHINES)
    ] = False,
    github: Annotated[
        bool,
        _option(
            "--github",
            text="Write annotations and a summary of the step for GitHub.",
            panel=_MACHINES,
        ),
    ] = False,
    bencher: Annotated[
        Path | None, _option("--bencher", text="Write Bencher's metric format.", panel=_MACHINES)
    ] = None,
    benchmark_action: Annotated[
        Path | None,
        _option(
            "--benchmark-action",
            text="Write what github-action-benchmark reads (customSmallerIsBetter).",
            panel=_MACHINES,
        ),
    ] = None,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Check an artifact against its budget: files, size, latency, accuracy with --dataset.

    Exit code 0: everything is kept. 3: a file was changed. 4: accuracy is not kept. 5: latency or
    size is not kept.

    Example: glp-export gate out/trec --max-seconds 60
    """
    from glp_export.gate.accuracy import DATA_SETTINGS
    from glp_export.gate.jobs import gate
    from glp_export.gate.session import GateSettings

    seconds_of(max_seconds, "--max-seconds")
    asked = GateSettings(
        budget=budget,
        against=against,
        quick=quick,
        max_seconds=max_seconds,
        undecided=undecided,
        devices=tuple(device or ()),
        int8=int8,
        threads=threads,
        cache=cache,
        data=settings if any(name in settings for name in DATA_SETTINGS) else {},
    )
    with at_work(quiet, verbose) as progress:
        report = gate(artifact, asked, progress)
    _write(report, bencher, benchmark_action)
    _show(report, verbose=bool(verbose), json_output=json_output, github=github)
    with after_result():
        report.require()


def _write(report: GateReport, bencher: Path | None, benchmark_action: Path | None) -> None:
    from glp_export.artifact import write_file
    from glp_export.gate.exports import bencher_metrics, benchmark_action_entries

    for path, content in (
        (bencher, bencher_metrics),
        (benchmark_action, benchmark_action_entries),
    ):
        if path:
            write_file(path, content(report))


def _show(report: GateReport, *, verbose: bool, json_output: bool, github: bool) -> None:
    import os

    from glp_export.gate.exports import github_annotations, summary_markdown
    from glp_export.gate.table import gate_table

    if json_output:
        print(report.model_dump_json(indent=2))
    else:
        Console().print(gate_table(report, verbose=verbose))
    if github:
        # Workflow commands are read from either stream; stdout may be JSON.
        print("\n".join(github_annotations(report)), file=sys.stderr if json_output else sys.stdout)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(summary_markdown(report))
