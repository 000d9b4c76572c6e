"""Whether the unpruned model meets a target by itself is said before anything is searched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glp_export.config.targets import DepthLatency, Shape, Targets
from glp_export.core.errors import UsageError
from glp_export.workflows.stages.unpruned import tell_what_is_met, words_of_met
from tests.workflows.stages.test_depth import Heard, asked

SHAPE = Shape(1, 32)
FP32 = DepthLatency(6, SHAPE, 10.0, 10.5, 1.0, 1.0, 1.0)
INT8 = DepthLatency(6, SHAPE, 5.0, 5.2, 2.0, 1.9, 2.1)
FILES = {"fp32": [FP32], "int8": [INT8]}


@pytest.mark.parametrize(
    ("speedup", "latency", "met"),
    [
        ("1.5@1x32", None, ["int8"]),
        ("2.0@1x32", None, []),  # only the measured value reaches it
        ("1.1@1x32", "20ms@1x32", ["int8"]),  # both, by one file
        (None, "10.5ms@1x32", ["fp32", "int8"]),
        (None, "10ms@1x32", ["int8"]),
        (None, "1ms@1x32", []),
    ],
)
def test_a_target_that_is_met_already_is_told_by_precision(speedup, latency, met):
    found = words_of_met(Targets.parse(speedup, latency, None), FILES, fix="do this")
    assert len(found) == len(met)
    for line, precision in zip(found, met, strict=True):
        assert f"unpruned model in {precision} already meets" in line
        assert "do this" in line
        # int8 is not judged before it is made of trained weights
        assert ("accuracy" in line) == (precision == "int8")


def test_the_reached_value_stands_in_the_line():
    (line,) = words_of_met(Targets.parse("1.5@1x32", None, None), {"int8": [INT8]})
    assert "2.00× (1.90–2.10)" in line
    rows: dict[str, Any] = {"int8": [replace(INT8, shape=Shape(8, 128))]}
    assert words_of_met(Targets.parse("1.5@1x32", None, None), rows) == []


def test_a_real_model_is_measured_in_both_precisions(encoder, data, tmp_path):
    heard = Heard()
    context = asked(encoder, data, latency_budget="10s@1x16", precision=["int8"])
    said = tell_what_is_met(context, tmp_path, heard)
    assert len(said) == 2
    assert "fp32" in said[0]
    assert "int8" in said[1]
    assert set(said) <= set(heard.said)
    assert not list(tmp_path.rglob("*.onnx"))


def test_without_a_target_of_speed_nothing_is_measured(encoder, data, tmp_path):
    heard = Heard()
    assert tell_what_is_met(asked(encoder, data, max_drop=0.01), tmp_path, heard) == []
    assert heard.said == []


def test_a_shape_that_is_too_long_is_refused_first(encoder, data, tmp_path):
    with pytest.raises(UsageError):
        tell_what_is_met(asked(encoder, data, target_speedup="2@4x128"), tmp_path, Heard())
