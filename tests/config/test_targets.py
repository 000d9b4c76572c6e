"""Targets: how they are written, and when a measured file meets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import Interval, Row
from glp_export.config.outcomes import OpenedFile, check_shipped, outcomes
from glp_export.config.targets import (
    DepthLatency,
    LatencyBudget,
    Shape,
    SizeBudget,
    SpeedupTarget,
    Tail,
    Targets,
)
from glp_export.core.errors import LatencyError, UsageError
from tests.report.helpers import make_benchmark

ONE = Shape(1, 128)


def row(layers: int = 3, shape: Shape = ONE, **changes: Any) -> DepthLatency:
    measured = DepthLatency(layers, shape, 10.0, 10.5, 2.0, 1.9, 2.1)
    return replace(measured, **changes)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2.0", SpeedupTarget(2.0, ONE)),
        ("2", SpeedupTarget(2.0, ONE)),
        (" 1.5@8x128 ", SpeedupTarget(1.5, Shape(8, 128))),
        ("3.@1x32", SpeedupTarget(3.0, Shape(1, 32))),
    ],
)
def test_speedups_are_read(text, target):
    assert SpeedupTarget.parse(text) == target


@pytest.mark.parametrize(
    ("text", "milliseconds", "shape"),
    [
        ("10ms@1x128", 10, ONE),
        ("10ms", 10, ONE),
        ("2.5 ms@4x16", 2.5, Shape(4, 16)),
        ("0.5s@8x64", 500, Shape(8, 64)),
        ("800us@1x32", 0.8, Shape(1, 32)),
    ],
)
def test_latencies_are_read_in_any_unit(text, milliseconds, shape):
    budget = LatencyBudget.parse(text)
    assert budget.milliseconds == pytest.approx(milliseconds)
    assert budget.shape == shape


@pytest.mark.parametrize("text", ["p95 10ms@1x128", " p95  10 ms@1x128"])
def test_a_percentile_is_read(text):
    budget = LatencyBudget.parse(text)
    assert (budget.milliseconds, budget.shape, budget.percentile) == (10, ONE, 95)
    assert LatencyBudget.parse(str(budget).removeprefix("--latency-budget ")) == budget


@pytest.mark.parametrize("text", ["p0 10ms", "p97 10ms", "p 10ms", "p9510ms", "p100 1ms"])
def test_a_percentile_that_is_not_measured_is_refused(text):
    with pytest.raises(UsageError) as caught:
        LatencyBudget.parse(text)
    assert caught.value.exit_code == 2


def test_a_percentile_is_judged_by_its_own_interval():
    tails = (Tail(95, 12.0, 13.0),)
    targets = Targets.parse(None, "p95 12.5ms", None)
    assert not targets.misses([row(tails=tails)], surely=False)
    assert targets.misses([row(tails=tails)], surely=True)
    (missed,) = targets.misses([row()], surely=False)
    assert "p95" in missed


@pytest.mark.parametrize("text", ["", "fast", "2x", "-2", "2@128", "2@0x8", "2@8x0", "1", "0.5"])
def test_a_bad_speedup_is_answered_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        SpeedupTarget.parse(text)
    assert caught.value.exit_code == 2
    assert "--target-speedup" in str(caught.value)
    assert "2.0" in str(caught.value)


@pytest.mark.parametrize("shape", ["99999999x16", "16x99999999"])
def test_a_batch_that_no_machine_holds_is_refused(shape):
    with pytest.raises(UsageError, match="too large to be timed"):
        SpeedupTarget.parse(f"2@{shape}")


@pytest.mark.parametrize("text", ["", "10", "ms", "10 minutes", "-1ms", "10ms@x128", "0ms", "１ms"])
def test_a_bad_latency_is_answered_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        LatencyBudget.parse(text)
    assert "--latency-budget" in str(caught.value)
    assert "10ms@1x128" in str(caught.value)


def test_targets_know_what_is_asked_for():
    assert not Targets().any
    accurate = Targets.parse(None, None, 0.0)
    assert accurate.any
    assert not accurate.fast_enough_asked
    fast = Targets.parse("2@8x64", "10ms", None)
    assert fast.fast_enough_asked
    assert fast.shapes == (Shape(8, 64), ONE)
    assert Targets.parse("2", "10ms", None).shapes == (ONE,)


@pytest.mark.parametrize(
    ("speedup", "latency", "surely", "missed"),
    [
        ("1.9", None, True, 0),  # the lower end reaches it
        ("2.0", None, True, 1),  # only the measured value does
        ("2.0", None, False, 0),
        ("2.01", None, False, 1),
        (None, "10.5ms", True, 0),
        (None, "10ms", True, 1),
        (None, "10ms", False, 0),
        ("3", "1ms", False, 2),
        (None, "10ms@8x8", True, 1),  # was not measured
    ],
)
def test_a_margin_for_noise_is_kept_only_where_it_is_wanted(speedup, latency, surely, missed):
    assert len(Targets.parse(speedup, latency, None).misses([row()], surely=surely)) == missed


def test_a_median_without_an_interval_counts_as_it_is():
    budget = Targets.parse(None, "10ms", None)
    assert not budget.misses([row(p50_high_ms=None)], surely=True)


def shipped(p50_ms: dict[str, float], value: float = 2.0) -> BenchmarkFile:
    """A benchmark whose pruned ONNX files take so long at 8x128."""

    def changed(row: Row) -> Row:
        if row.contender != "pruned" or row.runtime != "onnxruntime" or row.shape != "8x128":
            return row
        speedup = Interval(value=value, low=value * 0.9, high=value * 1.1)
        both = row.speedup.model_copy(update={"vs_onnxruntime_fp32_unpruned": speedup})
        return row.model_copy(update={"p50_ms": p50_ms[row.variant], "speedup": both})

    file = make_benchmark()
    return file.model_copy(update={"rows": tuple(changed(row) for row in file.rows)})


def test_what_ships_is_held_to_the_measured_value():
    file = shipped({"model.onnx": 12.0, "model_optimized.onnx": 9.0})
    for speedup, latency in (("2.0@8x128", None), (None, "9ms@8x128"), ("2@8x128", "9ms@8x128")):
        check_shipped(Targets.parse(speedup, latency, None), file)
    check_shipped(Targets.parse(None, None, 0.01), file)


def test_what_ships_too_slow_is_exit_5_with_value_and_interval():
    file = shipped({"model.onnx": 12.0, "model_optimized.onnx": 9.0})
    with pytest.raises(LatencyError) as caught:
        check_shipped(Targets.parse("2.5@8x128", "9ms@8x128", None), file)
    assert caught.value.exit_code == 5
    text = str(caught.value)
    assert "model_optimized.onnx" in text
    assert "2.00× (1.80–2.20) at 8x128, 2.5× was asked for" in text
    assert "--target-speedup 2.5@8x128" in text
    assert "9 ms" not in text.splitlines()[0]  # the budget is met
    with pytest.raises(LatencyError, match=r"9 ms at 8x128, 8\.5 ms was asked for"):
        check_shipped(Targets.parse(None, "8.5ms@8x128", None), file)


def test_where_the_latency_table_is_doubtful_the_choice_is_to_be_made_again():
    file, targets = (
        shipped({"model.onnx": 12.0, "model_optimized.onnx": 9.0}),
        Targets.parse("2.5@8x128", None, None),
    )
    for doubtful in (False, True):
        with pytest.raises(LatencyError) as caught:
            check_shipped(targets, file, doubtful_table=doubtful)
        assert ("--overwrite" in str(caught.value)) is doubtful


def test_a_shape_that_was_not_measured_proves_nothing():
    with pytest.raises(LatencyError, match="4x4 was not measured"):
        check_shipped(Targets.parse("1.1@4x4", None, None), make_benchmark())


@pytest.mark.parametrize(
    ("text", "megabytes"), [("8MB", 8.0), ("8.5 mb", 8.5), ("800kB", 0.8), ("1GB", 1000.0)]
)
def test_a_size_is_read_in_powers_of_ten(text, megabytes):
    assert SizeBudget.parse(text).megabytes == pytest.approx(megabytes)


@pytest.mark.parametrize("text", ["", "8", "MB", "8MiB", "0MB", "-1MB", "8MB@1x128"])
def test_a_bad_size_is_answered_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        SizeBudget.parse(text)
    assert "8MB" in str(caught.value)


def test_what_ships_too_large_is_exit_5():
    targets = Targets.parse(None, None, None, "8MB")
    file = make_benchmark()
    check_shipped(targets, file, OpenedFile("model_int8.onnx", 8.0))
    with pytest.raises(LatencyError) as caught:
        check_shipped(targets, file, OpenedFile("model_int8.onnx", 8.01))
    assert caught.value.exit_code == 5
    assert "8.01 MB" in str(caught.value)
    (told,) = outcomes(targets, file, opened=OpenedFile("model_int8.onnx", 7.9))
    assert str(told) == "target: 8 MB at most: kept, 7.90 MB, model_int8.onnx"
