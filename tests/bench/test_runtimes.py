"""The ways to call a model beside the plain ones: bound, as CUDA graphs, compiled, in bf16."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from glp_export.artifact.binding import BoundSession
from glp_export.artifact.session import open_session
from glp_export.artifact.tolerance import TOLERANCES
from glp_export.bench import (
    Contender,
    Timing,
    Workload,
    benchmark,
    peak_memory_mb,
    pytorch_contender,
    shape_grid,
)
from glp_export.bench.contenders import PreparedRunner
from glp_export.bench.runtimes import open_contender
from glp_export.bench.schema import schema
from glp_export.core import machine
from glp_export.core.errors import DeviceError
from tests.contenders import Clock, Latency, fake_contender

QUICK = Timing(min_rounds=3, max_rounds=3, pause_s=0.0)


@pytest.fixture
def plain(tiny_contenders: list[Contender]) -> Contender:
    return tiny_contenders[1]


@pytest.fixture
def eager(tiny_contenders: list[Contender]) -> Contender:
    return tiny_contenders[0]


def test_bound_buffers_give_what_run_gives_on_every_shape(plain: Contender) -> None:
    bound, run = open_contender(replace(plain, runtime="onnxruntime-bound")), open_contender(plain)
    workloads = shape_grid([plain], [1, 3], [5, 11])
    for _ in range(2):  # the second time from buffers that hold another batch's numbers
        for workload in workloads:
            [feeds] = workload.batches
            # The same session options on the same kernels: not one rounding differs.
            np.testing.assert_array_equal(bound(feeds), run(feeds))


def test_an_answer_stays_when_the_buffer_is_used_again(plain: Contender) -> None:
    bound = BoundSession(open_session(plain.path, threads=1))
    generator = np.random.default_rng(0)
    first, second = ({"input_ids": generator.integers(5, 20, (2, 7))} for _ in range(2))
    for batch in (first, second):
        batch["attention_mask"] = np.ones_like(batch["input_ids"])
    answer = bound.run(first)
    kept = answer.copy()
    assert not np.allclose(bound.run(second), kept)
    np.testing.assert_array_equal(answer, kept)


def test_graphs_need_cuda(plain: Contender) -> None:
    with pytest.raises(DeviceError, match="CUDA graphs need") as caught:
        open_contender(replace(plain, runtime="onnxruntime-graphs"))
    assert caught.value.exit_code == 6
    with pytest.raises(DeviceError, match="CPUExecutionProvider"):
        BoundSession(open_session(plain.path, threads=1), graphs=True)


@pytest.mark.parametrize("runtime", ["onnxruntime", "onnxruntime-bound", "onnxruntime-graphs"])
@pytest.mark.parametrize("provider", [machine.CUDA, "TensorrtExecutionProvider"])
def test_a_provider_that_is_not_built_in_is_exit_6(
    plain: Contender, runtime: str, provider: str
) -> None:
    import onnxruntime

    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"{provider} is there")
    with pytest.raises(DeviceError) as caught:
        open_contender(replace(plain, runtime=runtime, provider=provider))
    assert caught.value.exit_code == 6


def test_bf16_in_pytorch_is_near_fp32(eager: Contender) -> None:
    tolerance = TOLERANCES["bf16"]
    assert tolerance is not None
    half = pytorch_contender("unpruned", eager.path, "cpu", 1, precision="bf16")
    [workload] = shape_grid([eager], [3], [11])
    wanted, found = (open_contender(one)(workload.batches[0]) for one in (eager, half))
    assert found.dtype == np.float32
    assert (abs(found - wanted) <= tolerance.bound(wanted)).all()
    assert not np.array_equal(found, wanted)


def test_a_cpu_without_bf16_is_warned_of(
    eager: Contender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx2",))
    with caplog.at_level(logging.WARNING):
        open_contender(replace(eager, precision="bf16"))
    assert "avx512_bf16" in caplog.text
    caplog.clear()
    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx512_bf16",))
    with caplog.at_level(logging.WARNING):
        open_contender(replace(eager, precision="bf16"))
        open_contender(eager)
    assert not caplog.text


@pytest.mark.slow
def test_a_compiled_model_computes_the_same(eager: Contender) -> None:
    compiled = open_contender(pytorch_contender("unpruned", eager.path, "cpu", 1, compiled=True))
    run = open_contender(eager)
    assert isinstance(compiled, PreparedRunner)
    fixed = shape_grid([eager], [2], [9])[0].batches
    changing = [workload.batches[0] for workload in shape_grid([eager], [3], [5, 7, 12])]
    for batches in (fixed, changing):
        compiled.prepare(batches)
        for feeds in batches:
            # Fused kernels round fp32 sums of a few hundred numbers in another order.
            np.testing.assert_allclose(compiled(feeds), run(feeds), atol=1e-5)


def test_without_a_compiler_nothing_is_compiled(
    eager: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match="no-such-compiler") as caught:
        open_contender(replace(eager, runtime="pytorch-compiled"))
    assert caught.value.exit_code == 6


def test_a_workload_is_prepared_before_it_is_timed(
    clock: Clock, plain: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glp_export.bench import measure
    from glp_export.bench.runtimes import RUNTIMES

    calls: list[str] = []

    class Runner:
        def prepare(self, batches: object) -> None:
            calls.append("prepare")

        def __call__(self, feeds: object) -> np.ndarray:
            calls.append("run")
            clock.now += 0.01
            return np.zeros((1, 1), dtype=np.float32)

    monkeypatch.setitem(RUNTIMES, "onnxruntime", lambda contender: Runner())
    workloads = shape_grid([plain], [1], [5, 6])
    measure([plain], workloads, timing=QUICK)
    assert calls.count("prepare") == 2
    assert calls[0] == "prepare"


def test_speedups_are_over_eager_pytorch_whatever_else_is_measured(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> None:
    latency = {
        "pytorch-compiled": 12.0,
        "onnxruntime-bound": 8.0,
        "pytorch": 24.0,
        "onnxruntime": 16.0,
    }
    fake_runtime(lambda contender, _: latency[contender.runtime])
    contenders = [
        fake_contender("model", contender="unpruned", runtime=runtime) for runtime in latency
    ]
    feeds = {"input_ids": np.zeros((2, 4), dtype=np.int64)}
    [workload] = shape_grid(contenders, [2], [4])
    workload = Workload(workload.shape, (feeds,))
    made = benchmark(contenders, [workload], [], task="t", metric="m", timing=QUICK, memory=False)
    jsonschema.validate(made.file.model_dump(mode="json"), schema())
    assert made.file.baseline.runtime == "pytorch"
    found = {
        row.runtime: row.speedup.vs_pytorch_unpruned.value
        for row in made.file.rows
        if row.speedup.vs_pytorch_unpruned
    }
    assert found == pytest.approx({name: 24.0 / taken for name, taken in latency.items()})


def test_memory_of_a_bound_session(plain: Contender) -> None:
    [workload] = shape_grid([plain], [2], [16])
    peak = peak_memory_mb(replace(plain, runtime="onnxruntime-bound"), workload.shape)
    assert peak is not None
    assert 20 < peak < 300  # Python, NumPy and ONNX Runtime; no torch
