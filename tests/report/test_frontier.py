from __future__ import annotations

import pytest

from glp_export.bench import BenchmarkFile, DifferenceRow, Frontier
from glp_export.report import frontier_table, sweep_text
from glp_export.report.frontier import verdict
from tests.report.helpers import less_unpruned, make_sweep, printed


def worse(depth: int) -> DifferenceRow:
    return less_unpruned(depth, -0.02, -0.03, -0.01)


def unclear(depth: int) -> DifferenceRow:
    return less_unpruned(depth, -0.01, -0.02, 0.001)


def lowered(depth: int, value: float) -> BenchmarkFile:
    """A sweep in which the pruned model of one depth scores otherwise."""
    scores = [
        row.model_copy(update={"value": value, "low": value - 0.01, "high": value + 0.01})
        if (row.contender, row.layers) == ("pruned", depth)
        else row
        for row in make_sweep().metrics
    ]
    return make_sweep(metrics=tuple(scores))


def test_every_model_has_its_line_and_its_verdict() -> None:
    text = printed(frontier_table(Frontier.of(lowered(4, 0.5))), width=79)
    assert max(map(len, text.splitlines())) <= 79
    assert "trec on CPU (2 threads)" in text
    assert text.count("● on the frontier") == 4  # unpruned, 3 and 2 layers, and the legend
    assert "beaten by 3, 2" in text
    assert text.count("beside") == 4
    assert "0.490–0.510" in text
    assert "…" not in text


def test_an_overlap_is_not_called_beaten() -> None:
    frontier = Frontier.of(lowered(4, 0.905))
    words = {each.layers: verdict(each) for each in frontier.points if each.directory}
    assert words[4] == "not distinguishable from 3, 2"
    assert words[3] == words[2] == "on the frontier"
    assert "not\n" in printed(frontier_table(frontier)).replace(" ", "")


@pytest.mark.parametrize("metric", ["accuracy", "matthews_correlation"])
def test_long_names_and_slow_models_fit(metric: str) -> None:
    made = lowered(4, -0.02)
    slow = tuple(
        row.model_copy(update={"p50_ms": row.p50_ms * 20_000, "bytes": 1_340_000_000})
        for row in made.rows
    )
    frontier = Frontier.of(made.model_copy(update={"metric": metric, "rows": slow}))
    text = printed(frontier_table(frontier), width=79)
    assert max(map(len, text.splitlines())) <= 79
    assert "…" not in text


def test_the_readme_names_the_directories_and_how_to_pick() -> None:
    found = (unclear(4), unclear(3), worse(2))
    frontier = Frontier.of(make_sweep(differences=found))
    text = sweep_text(frontier, command="glp-export … --sweep")
    assert "| **`3-layers/`** | 3 | 0.915 |" in text
    assert "−0.020 (−0.030 to −0.010)" in text
    assert "`3-layers/` is the fastest that these test examples do not" in text
    assert "glp-export … --sweep" in text
    assert "| distilled | 2 |" in text


def test_the_readme_says_when_every_depth_costs_something() -> None:
    all_worse = tuple(worse(depth) for depth in (4, 3, 2))
    text = sweep_text(Frontier.of(make_sweep(differences=all_worse)))
    assert "none. Each depth costs accuracy beyond chance" in text
    unknown = Frontier.of(make_sweep())
    assert "As accurate as the unpruned" not in sweep_text(unknown)
