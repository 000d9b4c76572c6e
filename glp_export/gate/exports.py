"""A gate's findings for other programs: GitHub, github-action-benchmark and Bencher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from glp_export.core import numbers
from glp_export.gate.findings import interval_words, measured_words
from glp_export.gate.table import value_words

if TYPE_CHECKING:
    from glp_export.gate.findings import Finding, GateReport

_SIGNS = {"kept": "✅", "broken": "❌", "undecided": "❔", "not asked": "➖"}
_SPEEDUPS = {
    "speedup_vs_unpruned": "latency_over_unpruned",
    "speedup_vs_reference": "latency_over_reference",
}
_UNITS = {"size_mb": "MB", "metric_drop": "points"}


def github_annotations(report: GateReport) -> list[str]:
    """Workflow commands of GitHub Actions: an error for a failure, a warning for the rest."""
    commands = []
    failing = {id(finding) for finding in report.failures}
    for finding in report.findings:
        if finding.outcome not in ("broken", "undecided"):
            continue
        level = "error" if id(finding) in failing else "warning"
        said = [measured_words(finding), finding.reason]
        message = f"{finding.outcome}: {finding.name}; {', '.join(filter(None, said))}"
        place = _place(finding)
        commands.append(f"::{level} {place}title=glp-export gate::{_escaped(message)}")
    for note in report.notes:
        commands.append(f"::notice title=glp-export gate::{_escaped(note)}")
    return commands


def summary_markdown(report: GateReport) -> str:
    """The findings as Markdown, for $GITHUB_STEP_SUMMARY."""
    lines = [
        f"### glp-export gate: {_SIGNS[report.outcome]} {report.outcome}",
        "",
        f"`{report.artifact}` beside {report.reference}, {report.threads} threads, "
        f"{numbers.duration(report.seconds)}.",
        "",
        "| | check | measured | interval | rounds | |",
        "|---|---|---:|---:|---:|---|",
    ]
    for finding in report.findings:
        cells = (
            f"{_SIGNS[finding.outcome]} {finding.outcome}",
            f"`{finding.name}`",
            value_words(finding),
            interval_words(finding) or numbers.MISSING,
            str(finding.rounds or numbers.MISSING),
            finding.reason,
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    lines += ["", *(f"- {note}" for note in report.notes)]
    return "\n".join(lines).rstrip() + "\n"


def benchmark_action_entries(report: GateReport) -> str:
    """JSON for github-action-benchmark, `tool: customSmallerIsBetter`.

    Speedups are turned round: the share of the reference's latency.
    """
    entries = [
        {
            "name": name,
            "unit": unit,
            "value": value,
            **({"range": f"{low:.4g}–{high:.4g}"} if low is not None else {}),
            "extra": f"{finding.outcome}: {finding.check}",
        }
        for finding, name, unit, value, low, high in _metrics(report)
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def bencher_metrics(report: GateReport) -> str:
    """Bencher Metric Format: benchmark, measure, value with its bounds; smaller is better."""
    content: dict[str, dict[str, Any]] = {}
    for finding, name, _, value, low, high in _metrics(report):
        benchmark, _, measure = name.rpartition(" ")
        bounds = {} if low is None else {"lower_value": low, "upper_value": high}
        content.setdefault(benchmark or finding.table, {})[measure] = {"value": value, **bounds}
    return json.dumps(content, indent=2) + "\n"


def _metrics(
    report: GateReport,
) -> Iterator[tuple[Finding, str, str, float, float | None, float | None]]:
    """Everything of the budget that was measured, so that smaller is better."""
    for finding in report.findings:
        if finding.value is None or not finding.key:
            continue
        place = " ".join(filter(None, (finding.table, finding.shape)))
        key = _SPEEDUPS.get(finding.key)
        if key is None:
            unit = _UNITS.get(finding.key, "ratio")
            yield finding, f"{place} {finding.key}", unit, finding.value, finding.low, finding.high
        else:
            low = finding.high and 1 / finding.high
            high = finding.low and 1 / finding.low
            yield finding, f"{place} {key}", "ratio", 1 / finding.value, low, high


def _place(finding: Finding) -> str:
    """`file=…,line=…,` of the budget's line."""
    path, separator, line = finding.where.rpartition(", line ")
    if not separator:
        return ""
    return f"file={_escaped(path, property_=True)},line={line},"


def _escaped(text: str, *, property_: bool = False) -> str:
    """As GitHub's toolkit escapes the data and the properties of a command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, code)
    if property_:
        text = text.replace(":", "%3A").replace(",", "%2C")
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
