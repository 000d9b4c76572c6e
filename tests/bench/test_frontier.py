"""The frontier: which depths no other beats, and whether significantly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.bench import (
    DifferenceRow,
    Frontier,
    FrontierLatency,
    FrontierPoint,
    Interval,
)
from glp_export.bench.frontier import compare
from glp_export.core.errors import DataError, UsageError
from tests.report.helpers import make_benchmark, make_sweep


def point(layers: int, value: float, p50: float, **changes: Any) -> FrontierPoint:
    """A pruned model whose score is known to ±0.01 and whose speedup to ±1 %."""
    speed = 100 / p50
    fields: dict[str, Any] = {
        "contender": "pruned",
        "layers": layers,
        "directory": f"{layers}-layers",
        "variant": "model.onnx",
        "parameters": 10,
        "bytes": 40,
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "latencies": (
            FrontierLatency(
                shape="1x8",
                p50_ms=p50,
                speedup=Interval(value=speed, low=0.99 * speed, high=1.01 * speed),
            ),
        ),
    }
    return FrontierPoint(**{**fields, **changes})


def marks(*points: FrontierPoint) -> dict[int, bool | None]:
    return {each.layers: each.on_frontier for each in compare(points)}


def test_each_step_that_costs_accuracy_and_saves_time_is_on_the_frontier() -> None:
    assert marks(point(6, 0.9, 60), point(4, 0.8, 40), point(2, 0.7, 20)) == {
        6: True,
        4: True,
        2: True,
    }


def test_a_slower_and_worse_model_is_significantly_beaten_when_no_interval_overlaps() -> None:
    six, four = compare([point(6, 0.8, 60), point(4, 0.9, 40)])
    assert (six.on_frontier, six.beaten_by, six.surely_beaten_by) == (False, ("4",), ("4",))
    assert (four.on_frontier, four.beaten_by) == (True, ())


@pytest.mark.parametrize(("value", "p50"), [(0.89, 60), (0.8, 40.5), (0.9, 60), (0.89, 40)])
def test_one_interval_that_overlaps_leaves_it_open(value: float, p50: float) -> None:
    six, _ = compare([point(6, value, p50), point(4, 0.9, 40)])
    assert (six.on_frontier, six.beaten_by, six.surely_beaten_by) == (False, ("4",), ())


def test_two_alike_in_both_beat_each_other_not() -> None:
    assert marks(point(6, 0.9, 40), point(4, 0.9, 40)) == {6: True, 4: True}


def test_without_speedups_nothing_is_sure() -> None:
    bare = (FrontierLatency(shape="1x8", p50_ms=60, speedup=None),)
    six, _ = compare([point(6, 0.5, 60, latencies=bare), point(4, 0.9, 40)])
    assert (six.beaten_by, six.surely_beaten_by) == (("4",), ())


def test_a_rival_stands_beside_and_beats_no_one() -> None:
    rival = point(4, 0.99, 1, contender="distilled", directory=None)
    pruned, beside = compare([rival, point(4, 0.8, 40)])
    assert (pruned.contender, pruned.on_frontier) == ("pruned", True)
    assert (beside.contender, beside.on_frontier, beside.beaten_by) == ("distilled", None, ())


def test_a_benchmark_of_several_depths_becomes_a_frontier() -> None:
    alike = DifferenceRow(precision="fp32", layers=4, less="unpruned", value=0, low=-1, high=1)
    frontier = Frontier.of(make_sweep((4, 2), differences=(alike,)))
    assert [(each.contender, each.layers) for each in frontier.points] == [
        ("unpruned", 6),
        ("pruned", 4),
        ("distilled", 4),
        ("pruned", 2),
        ("distilled", 2),
    ]
    unpruned, four, *_ = frontier.points
    assert frontier.shape == "1xtask"  # 14 tokens: the fewest in a batch
    assert (four.variant, four.directory) == ("model_optimized.onnx", "4-layers")
    assert four.p50_ms == pytest.approx(0.95 * 0.2 * 4 / 6 * 14)
    assert [each.shape for each in four.latencies] == ["1xtask", "1x32", "8x128", "8xtask"]
    assert (unpruned.directory, unpruned.less_unpruned) == (None, None)
    assert four.less_unpruned is not None
    assert not four.less_unpruned.significantly_worse
    assert [each.layers for each in frontier.best] == [6, 4, 2]


def test_the_unpruned_model_can_be_beaten_too() -> None:
    whole = make_sweep((4,))
    raised = [
        row.model_copy(update={"value": 0.97, "low": 0.96, "high": 0.98})
        if row.layers == 4
        else row
        for row in whole.metrics
    ]
    unpruned, *_ = Frontier.of(make_sweep((4,), metrics=raised)).points
    assert unpruned.surely_beaten_by == ("4",)


def test_a_model_in_another_precision_is_one_more_model() -> None:
    quantised = point(6, 0.91, 20, precision="int8", variant="model_quantized.onnx")
    six, four, six_int8 = sorted(
        compare([point(6, 0.9, 60), point(4, 0.9, 40), quantised]), key=lambda p: -p.p50_ms
    )
    assert six_int8.name == "6 int8"
    assert six_int8.on_frontier
    assert six.beaten_by == ("4", "6 int8")
    assert four.beaten_by == ("6 int8",)


def test_a_frontier_comes_back_as_it_was_written(tmp_path: Path) -> None:
    frontier = Frontier.of(make_sweep())
    assert Frontier.load(frontier.save(tmp_path / "glp" / "frontier.json")) == frontier


def test_what_is_no_frontier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="frontier cannot be read"):
        Frontier.load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"schema_version": 3}')
    with pytest.raises(DataError, match="frontier's schema_version is not as it should be"):
        Frontier.load(tmp_path / "other.json")
    with pytest.raises(UsageError, match="ONNX Runtime"):
        Frontier.of(make_benchmark(metrics=()))
