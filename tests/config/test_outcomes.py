"""What a run says of each target in the end: kept or missed, by how much, by which file."""

from __future__ import annotations

import pytest

from glp_export.config.outcomes import outcomes
from glp_export.config.targets import Targets
from tests.config.test_targets import shipped
from tests.report.helpers import make_benchmark

FILE = shipped({"model.onnx": 12.0, "model_optimized.onnx": 9.0})


def test_a_target_that_is_kept_names_file_value_and_interval():
    (line,) = map(str, outcomes(Targets.parse("1.5@8x128", None, None), FILE))
    assert line == "target: 1.5× at 8×128: kept, 2.00× (1.80–2.20), model_optimized.onnx"


def test_every_target_is_told_of_one_file():
    found = outcomes(Targets.parse("2.5@8x128", "9ms@8x128", None), FILE)
    assert [(one.kept, one.unit, one.file) for one in found] == [
        (False, "x", "model_optimized.onnx"),
        (True, "ms", "model_optimized.onnx"),
    ]
    assert found[1].value == 9.0
    assert found[0].low == pytest.approx(1.8)


def test_a_percentile_is_held_to_its_own_value():
    """The pruned rows of the benchmark have p90 = 1.1 p50 and p99 = 1.3 p50 of before."""
    kept, missed = (
        outcomes(Targets.parse(None, text, None), FILE)[0]
        for text in ("p90 12ms@8x128", "p90 9ms@8x128")
    )
    (row,) = (r for r in FILE.rows if r.variant == kept.file and r.shape == "8x128")
    assert kept.value == row.p90_ms
    assert "p90 12 ms at 8×128: " in str(kept)
    assert missed.kept == (row.p90_ms <= 9)


def test_a_percentile_that_older_files_lack_is_not_kept():
    (found,) = outcomes(Targets.parse(None, "p95 100s@8x128", None), FILE)
    assert (found.kept, found.value) == (False, None)


def test_an_accuracy_is_told_where_it_was_counted():
    targets = Targets.parse(None, None, 0.01)
    (kept,) = outcomes(targets, FILE, spent=0.004)
    assert kept.kept
    assert "0.004" in str(kept)
    assert not outcomes(targets, FILE, spent=0.02)[0].kept
    assert outcomes(targets, FILE) == ()  # of a finished run nobody knows it


def test_a_shape_that_was_not_measured_is_not_kept():
    (found,) = outcomes(Targets.parse("1.1@4x4", None, None), make_benchmark())
    assert not found.kept
    assert "not measured" in str(found)


def test_nothing_asked_is_nothing_told():
    assert outcomes(Targets(), FILE) == ()
