"""A gate's findings on a terminal, in 79 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import titled_table
from glp_export.gate.results import interval_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glp_export.gate.results import GateReport, LineResult

_STYLES = {"kept": "green", "broken": "bold red", "undecided": "yellow", "not asked": "dim"}
_WITHOUT_REASON = frozenset({"kept", "not asked"})


def gate_table(report: GateReport, *, verbose: bool = False) -> RenderableType:
    """One row a check, by file, then why what is not kept is not, and what disturbed it.

    Args:
        report: of the gate.
        verbose: with the lines that were not asked.
    """
    table = titled_table(f"gate of {report.artifact}")
    table.add_column("check", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    shown = [one for one in report.findings if verbose or one.outcome != "not asked"]
    for name, own in _by_file(report, shown).items():
        if name:
            table.add_section()
            table.add_row(Text(name, style="dim"), "", "", "")
        for result in own:
            table.add_row(
                result.check,
                value_words(result),
                interval_words(result) or numbers.MISSING,
                Text(_verdict(result), style=_STYLES[result.outcome]),
            )
    parts: list[RenderableType] = [table, ""]
    for result in report.findings:
        if result.reason and result.outcome not in _WITHOUT_REASON:
            text = f"{result.outcome}: {result.name}: {result.reason}"
            parts.append(Text(text, style=_STYLES[result.outcome]))
    parts += [Text(f"! {note}", style="yellow") for note in report.notes]
    if left_out := len(report.findings) - len(shown):
        words = f"{left_out} line{'s were' if left_out > 1 else ' was'} not asked: -v shows which"
        parts.append(Text(words, style="dim"))
    parts.append(Text(_legend(report), style="dim"))
    return Group(*parts)


def _by_file(report: GateReport, results: Sequence[LineResult]) -> dict[str, list[LineResult]]:
    """The findings below the file that they are about; those on the whole artifact first."""
    tables: dict[str, list[str]] = {}
    for table, file in report.files.items():
        tables.setdefault(file, []).append(table)
    found: dict[str, list[LineResult]] = {"": []}
    for result in results:
        file = report.file_of(result)
        judged = tables.get(file, [result.table] if result.table else [])
        name = " ".join(part for part in (file, f"({', '.join(judged)})" if judged else "") if part)
        found.setdefault(name, []).append(result)
    return found


def value_words(result: LineResult) -> str:
    """What was measured, with the digits that count."""
    if result.value is None:
        return numbers.MISSING
    if result.part == "integrity":
        return numbers.tiny(result.value)
    return f"{result.value:#.3g}".rstrip(".").replace("-", "−")


def _verdict(result: LineResult) -> str:
    if result.outcome == "not asked":
        return f"not asked\n({result.reason})" if len(result.reason) < 20 else "not asked"
    rounds = f"\n{result.rounds} rounds" if result.rounds else ""
    return f"{result.outcome}{rounds}"


def _legend(report: GateReport) -> str:
    threads = f"{report.threads} thread{'s' * (report.threads != 1)}"
    return (
        f"{report.outcome} after {numbers.duration(report.seconds)}, {threads}; speedups over "
        f"{report.reference}, medians of paired ratios. Intervals hold at every look."
    )
