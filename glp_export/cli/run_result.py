"""What a finished run says on stdout: to a person, or to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from glp_export.report import (
    benchmark_table,
    benchmark_warnings,
    closing_words,
    frontier_table,
    summary_lines,
)

if TYPE_CHECKING:
    from glp_export.publish.push import Pushed
    from glp_export.workflows.prune_and_export import RunResult


def show_run(result: RunResult) -> None:
    """Print what became of the targets, cost and gain, the tables, and how to use it."""
    console = Console(highlight=False)
    for line in summary_lines(result.benchmark):
        # Wrapped at words for a person; one line for a program.
        console.print(line, markup=False, soft_wrap=not console.is_terminal)
    print()
    frontier = result.frontier
    warnings = benchmark_warnings(result.benchmark)
    Console().print(
        frontier_table(frontier, warnings) if frontier else benchmark_table(result.benchmark)
    )
    print(f"\n{closing_words(result.output, frontier)}")


def run_as_json(result: RunResult, pushed: Pushed | None) -> dict[str, Any]:
    """Benchmark with targets, plan, warnings, frontier and upload, as plain values."""
    content = {
        "output": result.output,
        **result.benchmark.model_dump(mode="json"),
        "warnings": benchmark_warnings(result.benchmark),
        "plan": result.plan.as_dict(),
    }
    if result.frontier:
        content["frontier"] = result.frontier.model_dump(mode="json")
    return {**content, "pushed": pushed.as_dict()} if pushed else content
