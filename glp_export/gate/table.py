"""A gate's findings on a terminal, in 79 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import titled_table
from glp_export.gate.findings import interval_words

if TYPE_CHECKING:
    from glp_export.gate.findings import Finding, GateReport

_STYLES = {"kept": "green", "broken": "bold red", "undecided": "yellow", "not asked": "dim"}
_WITHOUT_REASON = frozenset({"kept", "not asked"})


def gate_table(report: GateReport) -> RenderableType:
    """One row a check, then why what is not kept is not, and what disturbed the measurement."""
    table = titled_table(f"gate of {report.artifact}")
    table.add_column("check", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    for finding in report.findings:
        if finding.table != previous:
            table.add_section()
            table.add_row(Text(finding.table, style="dim"), "", "", "")
            previous = finding.table
        table.add_row(
            finding.check,
            value_words(finding),
            interval_words(finding) or numbers.MISSING,
            Text(_verdict(finding), style=_STYLES[finding.outcome]),
        )
    parts: list[RenderableType] = [table, ""]
    for finding in report.findings:
        if finding.reason and finding.outcome not in _WITHOUT_REASON:
            text = f"{finding.outcome}: {finding.name}: {finding.reason}"
            parts.append(Text(text, style=_STYLES[finding.outcome]))
    parts += [Text(f"! {note}", style="yellow") for note in report.notes]
    parts.append(Text(_legend(report), style="dim"))
    return Group(*parts)


def value_words(finding: Finding) -> str:
    """What was measured, with the digits that count."""
    if finding.value is None:
        return numbers.MISSING
    if finding.part == "integrity":
        return numbers.tiny(finding.value)
    return f"{finding.value:#.3g}".rstrip(".").replace("-", "−")


def _verdict(finding: Finding) -> str:
    if finding.outcome == "not asked":
        return f"not asked\n({finding.reason})" if len(finding.reason) < 20 else "not asked"
    rounds = f"\n{finding.rounds} rounds" if finding.rounds else ""
    return f"{finding.outcome}{rounds}"


def _legend(report: GateReport) -> str:
    threads = f"{report.threads} thread{'s' * (report.threads != 1)}"
    return (
        f"{report.outcome} after {numbers.duration(report.seconds)}, {threads}; speedups over "
        f"{report.reference}, medians of paired ratios. Intervals hold at every look."
    )
