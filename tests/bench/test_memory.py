"""Peak memory comes from a process that does nothing else."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glp_export.bench import Contender, Shape, peak_memory_mb
from glp_export.bench.memory import largest


def test_the_peak_is_the_contenders_own(tiny_contenders: list[Contender]) -> None:
    ballast = np.ones(300 * 2**20, dtype=np.uint8)  # 300 MiB that only this process holds
    in_pytorch, in_onnx = (
        peak_memory_mb(contender, Shape(2, 16, "2x16")) for contender in tiny_contenders[:2]
    )
    assert ballast.any()
    assert in_pytorch is not None
    assert in_onnx is not None
    # A process with ONNX Runtime and NumPy takes some 80 MiB; one with torch several times that.
    assert 20 < in_onnx < 300
    assert in_pytorch > 1.5 * in_onnx


def test_a_larger_shape_takes_more(tiny_contenders: list[Contender]) -> None:
    small, large = (peak_memory_mb(tiny_contenders[1], Shape(batch, 64, "")) for batch in (1, 512))
    assert small is not None
    assert large is not None
    # One layer's attention alone is 512 × 4 heads × 64 × 64 × 4 bytes = 32 MiB.
    assert large > small + 32


def test_a_failing_process_is_a_warning(
    tiny_contenders: list[Contender], caplog: pytest.LogCaptureFixture
) -> None:
    gone = replace(tiny_contenders[1], path=Path("gone.onnx"))
    with caplog.at_level(logging.WARNING):
        assert peak_memory_mb(gone, Shape(1, 8, "1x8")) is None
    assert "no peak memory for unpruned (4 layers, onnxruntime" in caplog.text


def test_the_largest_shape_has_the_most_tokens() -> None:
    shapes = [Shape(1, 128, "1x128"), Shape(8, 32, "8x32"), Shape(8, 16, "8xtask")]
    assert largest(shapes).name == "8x32"
