"""A gate's findings for other programs: GitHub, github-action-benchmark and Bencher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from glp_export.core import numbers
from glp_export.gate.results import interval_words, measured_words
from glp_export.gate.table import value_words

if TYPE_CHECKING:
    from glp_export.gate.results import GateReport, LineResult

_SIGNS = {"kept": "✅", "broken": "❌", "undecided": "❔", "not asked": "➖"}
_SPEEDUPS = {
    "speedup_vs_unpruned": "latency_over_unpruned",
    "speedup_vs_reference": "latency_over_reference",
}
_UNITS = {"size_mb": "MB", "metric_drop": "points", "changed_predictions": "share"}


def github_annotations(report: GateReport) -> list[str]:
    """Workflow commands of GitHub Actions: an error for a failure, a warning for the rest."""
    commands = []
    failing = {id(result) for result in report.failures}
    for result in report.findings:
        if result.outcome not in ("broken", "undecided"):
            continue
        level = "error" if id(result) in failing else "warning"
        said = [measured_words(result), result.reason]
        message = f"{result.outcome}: {result.name}; {', '.join(filter(None, said))}"
        place = _place(result)
        commands.append(f"::{level} {place}title=glp-export gate::{_escaped(message)}")
    for note in report.notes:
        commands.append(f"::notice title=glp-export gate::{_escaped(note)}")
    return commands


def summary_markdown(report: GateReport) -> str:
    """The findings as Markdown, for $GITHUB_STEP_SUMMARY."""
    lines = [
        f"### glp-export gate: {_SIGNS[report.outcome]} {report.outcome}",
        "",
        f"`{report.artifact}` beside {report.reference}, "
        f"{numbers.threads_in_words(report.threads)}, {numbers.duration(report.seconds)}.",
        "",
        "| | check | measured | interval | rounds | |",
        "|---|---|---:|---:|---:|---|",
    ]
    for result in report.findings:
        cells = (
            f"{_SIGNS[result.outcome]} {result.outcome}",
            f"`{result.name}`",
            value_words(result),
            interval_words(result) or numbers.MISSING,
            str(result.rounds or numbers.MISSING),
            result.reason,
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
            "extra": f"{result.outcome}: {result.check}",
        }
        for result, name, unit, value, low, high in _metrics(report)
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def bencher_metrics(report: GateReport) -> str:
    """Bencher Metric Format: benchmark, measure, value with its bounds; smaller is better."""
    content: dict[str, dict[str, Any]] = {}
    for result, name, _, value, low, high in _metrics(report):
        benchmark, _, measure = name.rpartition(" ")
        bounds = {} if low is None else {"lower_value": low, "upper_value": high}
        content.setdefault(benchmark or result.table, {})[measure] = {"value": value, **bounds}
    return json.dumps(content, indent=2) + "\n"


def _metrics(
    report: GateReport,
) -> Iterator[tuple[LineResult, str, str, float, float | None, float | None]]:
    """Everything of the budget that was measured, so that smaller is better."""
    for result in report.findings:
        if result.value is None or not result.key:
            continue
        place = " ".join(filter(None, (result.table, result.shape)))
        key = _SPEEDUPS.get(result.key)
        if key is None:
            unit = _UNITS.get(result.key, "ratio")
            yield result, f"{place} {result.key}", unit, result.value, result.low, result.high
        else:
            low = result.high and 1 / result.high
            high = result.low and 1 / result.low
            yield result, f"{place} {key}", "ratio", 1 / result.value, low, high


def _place(result: LineResult) -> str:
    """`file=…,line=…,` of the budget's line."""
    path, separator, line = result.where.rpartition(", line ")
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
