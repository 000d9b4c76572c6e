from __future__ import annotations

import json

from glp_export.gate.exports import (
    bencher_metrics,
    benchmark_action_entries,
    github_annotations,
    summary_markdown,
)
from glp_export.gate.results import GateReport, LineResult
from glp_export.gate.table import gate_table
from tests.report.helpers import printed

SPEEDUP = LineResult(
    part="latency",
    check="speedup_vs_unpruned >= 1.9 at 1x128",
    table="cpu.fp32",
    key="speedup_vs_unpruned",
    shape="1x128",
    outcome="broken",
    value=1.6,
    bound=1.9,
    low=1.5,
    high=1.75,
    rounds=14,
    where="my budgets/a,b.toml, line 7",
)
UNDECIDED = SPEEDUP.model_copy(
    update={
        "outcome": "undecided",
        "reason": "100 % noise\non this machine",
        "shape": "8x128",
    }
)
REPORT = GateReport(
    artifact="out/mine",
    reference="the unpruned model, rebuilt with random weights",
    budget="out/mine/glp/budget.toml",
    threads=2,
    undecided="pass",
    findings=(
        LineResult(part="integrity", check="checksums", outcome="kept"),
        SPEEDUP,
        UNDECIDED,
        LineResult(
            part="size",
            check="size_mb <= 90",
            table="cpu.fp32",
            key="size_mb",
            outcome="kept",
            value=69.6,
        ),
        LineResult(
            part="accuracy", check="metric_drop <= 0.01", table="cpu.fp32", outcome="not asked"
        ),
    ),
    notes=("other processes used 1.0 cores meanwhile",),
    seconds=12.3,
)


def test_the_table_fits_a_terminal():
    text = printed(gate_table(REPORT), 79)
    assert max(map(len, text.splitlines())) <= 79
    for part in ("1.50–1.75", "broken", "14 rounds", "! other processes", "100 % noise"):
        assert part in text


def test_github_gets_an_error_a_warning_and_a_notice():
    error, warning, notice = github_annotations(REPORT)
    assert error.startswith(
        "::error file=my budgets/a%2Cb.toml,line=7,title=glp-export gate::broken"
    )
    assert warning.startswith("::warning ")
    assert warning.endswith("100 %25 noise%0Aon this machine")
    assert notice.startswith("::notice ")


def test_a_summary_of_the_step():
    text = summary_markdown(REPORT)
    assert text.startswith("### glp-export gate: ❌ broken")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == 1 + len(REPORT.findings)


def test_numbers_for_other_programs_are_better_when_smaller():
    entries = {entry["name"]: entry for entry in json.loads(benchmark_action_entries(REPORT))}
    assert entries["cpu.fp32 size_mb"]["value"] == 69.6
    assert entries["cpu.fp32 1x128 latency_over_unpruned"]["unit"] == "ratio"
    ratio = json.loads(bencher_metrics(REPORT))["cpu.fp32 1x128"]["latency_over_unpruned"]
    assert ratio["lower_value"] < ratio["value"] < ratio["upper_value"] < 1
