"""The whole benchmark, on real tiny contenders and on fake ones with known latencies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from glp_export.bench import (
    BenchmarkFile,
    Contender,
    MetricRow,
    SamplesFile,
    Shape,
    Timing,
    Workload,
    benchmark,
    paired_ratio,
    shape_grid,
    summarise,
)
from glp_export.bench.schema import schema
from glp_export.core import sharing
from glp_export.core.errors import DataError, UsageError
from tests.contenders import Clock, Latency, fake_contender

METRIC = MetricRow(
    contender="pruned", precision="fp32", layers=2, value=0.9, low=0.85, high=0.94, samples=200
)
QUICK = Timing(min_rounds=3, max_rounds=3, pause_s=0.0)
WORKLOAD = Workload(Shape(2, 4, "2x4"), ({"input_ids": np.zeros((2, 4), dtype=np.int64)},))


def test_a_real_benchmark_is_complete_and_follows_its_schema(
    tiny_contenders: list[Contender], tmp_path: Path
) -> None:
    workloads = shape_grid(tiny_contenders, [1, 2], [8])
    made = benchmark(
        tiny_contenders,
        workloads,
        [METRIC],
        task="demo",
        metric="accuracy",
        timing=QUICK,
        memory=False,
    )
    path = made.save(tmp_path / "glp" / "benchmark.json")
    jsonschema.validate(made.file.model_dump(mode="json"), schema())
    assert BenchmarkFile.load(path) == made.file
    assert made.file.metrics == (METRIC,)
    assert len(made.file.rows) == len(tiny_contenders) * len(workloads)
    assert (made.file.baseline.contender, made.file.baseline.runtime) == ("unpruned", "pytorch")
    for row in made.file.rows:
        assert row.p50_ms <= row.p90_ms <= row.p99_ms
        assert row.peak_memory_mb is None
        assert row.speedup.vs_pytorch_unpruned is not None
        assert row.speedup.vs_onnxruntime_unpruned is not None


def test_the_raw_samples_give_the_same_numbers(
    tiny_contenders: list[Contender], tmp_path: Path
) -> None:
    made = benchmark(
        tiny_contenders[:4],
        shape_grid(tiny_contenders, [1], [8]),
        [],
        task="demo",
        metric="accuracy",
        timing=QUICK,
        memory=False,
    )
    made.save(tmp_path / "benchmark.json")
    kept = SamplesFile.load(tmp_path / "benchmark_samples.json")
    assert kept == made.samples
    assert kept.timing["pause_s"] == 0.0
    medians = [[np.median(block) for block in row.rounds] for row in kept.rows]
    for row, raw, own in zip(made.file.rows, kept.rows, medians, strict=True):
        assert (row.contender, row.runtime, row.variant) == (
            raw.contender,
            raw.runtime,
            raw.variant,
        )
        runs = [run for block in raw.rounds for run in block]
        assert row.samples == len(runs)
        # The file keeps a tenth of a microsecond.
        assert summarise(runs).p50_ms == pytest.approx(row.p50_ms, abs=1e-4)
        assert row.speedup.vs_pytorch_unpruned is not None
        assert paired_ratio(medians[0], own).value == pytest.approx(
            row.speedup.vs_pytorch_unpruned.value, rel=1e-2
        )


def test_broken_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.json").write_text('{"schema_version": 1}')
    for name in ("samples.json", "nothing.json"):
        with pytest.raises(DataError, match="raw samples"):
            SamplesFile.load(tmp_path / name)


LATENCY = {
    ("unpruned", "pytorch", "fp32", "model.safetensors"): 24.0,
    ("unpruned", "onnxruntime", "fp32", "model.onnx"): 18.0,
    ("unpruned", "onnxruntime", "int8", "model_quantized.onnx"): 9.0,
    ("pruned", "onnxruntime", "fp32", "model.onnx"): 6.0,
    ("pruned", "onnxruntime", "fp32", "model_optimized.onnx"): 4.0,
    ("pruned", "onnxruntime", "int8", "model_quantized.onnx"): 3.0,
}


def known_contenders() -> list[Contender]:
    return [
        fake_contender(variant, contender=role, runtime=runtime, precision=precision)
        for role, runtime, precision, variant in LATENCY
    ]


def test_speedups_are_over_the_right_references(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> None:
    fake_runtime(lambda c, _: LATENCY[c.contender, c.runtime, c.precision, c.variant])
    made = benchmark(
        known_contenders(), [WORKLOAD], [], task="t", metric="m", timing=QUICK, memory=False
    )
    found = {}
    for row in made.file.rows:
        assert row.speedup.vs_pytorch_unpruned is not None
        assert row.speedup.vs_onnxruntime_unpruned is not None
        found[row.contender, row.variant] = (
            round(row.speedup.vs_pytorch_unpruned.value, 6),
            round(row.speedup.vs_onnxruntime_unpruned.value, 6),
        )
    assert found == {
        ("unpruned", "model.safetensors"): (1.0, 0.75),
        ("unpruned", "model.onnx"): (1.333333, 1.0),
        ("unpruned", "model_quantized.onnx"): (2.666667, 1.0),
        ("pruned", "model.onnx"): (4.0, 3.0),
        ("pruned", "model_optimized.onnx"): (6.0, 4.5),
        ("pruned", "model_quantized.onnx"): (8.0, 3.0),
    }
    assert made.file.rows[0].sequences_per_second == pytest.approx(2 * 1000 / 24)


def test_a_shared_machine_is_noted_in_the_file(
    clock: Clock, fake_runtime: Callable[[Latency], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_runtime(lambda c, _: 5.0)
    readings = iter((100.0, 4100.0))  # an hour of others' work in a run of less than a second
    monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: next(readings))
    made = benchmark(
        known_contenders(), [WORKLOAD], [], task="t", metric="m", timing=QUICK, memory=False
    )
    assert "other processes used" in made.file.machine.notes[0]


def test_without_a_reference_there_is_no_speedup(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> None:
    fake_runtime(lambda c, _: 5.0)
    unpruned, pruned = known_contenders()[0], known_contenders()[3]
    made = benchmark(
        [unpruned, pruned], [WORKLOAD], [], task="t", metric="m", timing=QUICK, memory=False
    )
    assert made.file.rows[1].speedup.vs_pytorch_unpruned is not None
    assert made.file.rows[1].speedup.vs_onnxruntime_unpruned is None


def test_contenders_without_a_baseline_or_twice_are_refused() -> None:
    unpruned, pruned = known_contenders()[0], known_contenders()[3]
    for contenders, reason in (([pruned], "unpruned"), ([unpruned, unpruned], "the same")):
        with pytest.raises(UsageError, match=reason):
            benchmark(contenders, [WORKLOAD], [], task="t", metric="m", memory=False)
