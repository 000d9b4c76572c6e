"""Every table at several widths of the terminal, with names as long as people give them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import RenderableType

from glp_export.bench import Frontier
from glp_export.cache.store import Entry
from glp_export.gate.table import gate_table
from glp_export.report import (
    benchmark_table,
    frontier_table,
    machine_table,
    parity_table,
    plan_view,
)
from glp_export.report.cache_table import cache_table
from tests.gate.test_table import REPORT
from tests.report.helpers import (
    MACHINE,
    make_benchmark,
    make_parity,
    make_plan,
    make_sweep,
    printed,
)

LONG = "a-task-with-quite-a-name-" * 3


def slow_and_low() -> RenderableType:
    """Seconds, gigabytes and scores below zero."""
    benchmark = make_benchmark()
    rows = [
        row.model_copy(update={"p50_ms": row.p50_ms * 20_000, "bytes": 1_340_000_000})
        for row in benchmark.rows
    ]
    metrics = [row.model_copy(update={"value": -0.01, "low": -0.03}) for row in benchmark.metrics]
    changes = {"rows": rows, "metrics": metrics, "metric": "matthews_correlation", "task": LONG}
    return benchmark_table(make_benchmark(**changes))


def kept() -> RenderableType:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    facts = {"model": f"some-organisation/{LONG}", "task": LONG}
    entry = Entry(
        kind="unpruned-model",
        key="0" * 64,
        path=Path("/nowhere"),
        bytes=1_400_000_000,
        created=now,
        last_used=now,
        facts=facts,
    )
    return cache_table([entry, entry], "cache", now)


VIEWS = {
    "benchmark": lambda: benchmark_table(make_benchmark()),
    "benchmark, slow": slow_and_low,
    "benchmark of a sweep": lambda: benchmark_table(make_sweep((12, 10, 8))),
    "frontier": lambda: frontier_table(Frontier.of(make_sweep((12, 10, 8), task=LONG))),
    "gate": lambda: gate_table(REPORT.model_copy(update={"artifact": f"out/{LONG}"})),
    "plan": lambda: plan_view(make_plan(base_model=f"/models/{LONG}", task=LONG)),
    "parity": lambda: parity_table(make_parity(variant="model_quantized.onnx")),
    "machine": lambda: machine_table(replace(MACHINE, cpu=LONG, notes=(LONG,))),
    "cache": kept,
}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", VIEWS)
def test_it_fits_and_nothing_is_cut(name: str, width: int) -> None:
    text = printed(VIEWS[name](), width)
    assert max(map(len, text.splitlines())) <= width, text
    assert "…" not in text, text


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_left_out_where_there_is_room(width: int) -> None:
    assert "layers" in printed(VIEWS["benchmark"](), width)
    assert "MB" in printed(VIEWS["frontier"](), width)
    assert "mean" in printed(VIEWS["parity"](), width)


def test_a_narrow_terminal_keeps_what_a_decision_rests_on() -> None:
    text = printed(VIEWS["benchmark"](), 60)
    for words in ("0.888", "0.863–0.908", "4.44×", "4.31–4.58", "2.22×"):
        assert words in text
    shapes = [line for line in text.splitlines() if "8×128" in line]
    assert shapes  # in one of the tables below one another
    sweep = printed(VIEWS["frontier"](), 60)
    assert "0.950–0.970" in sweep
    assert "on the frontier" in " ".join(sweep.split())
