"""OpenVINO as a runtime: contenders, their answers and their rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from glp_export.artifact.tolerance import SAME_NOISE
from glp_export.bench import Contender, Timing, benchmark, shape_grid
from glp_export.bench.contenders import PreparedRunner
from glp_export.bench.runtimes import open_contender
from glp_export.core.errors import DeviceError, ModelError, UsageError
from glp_export.core.machine import CUDA
from glp_export.serve import openvino_session
from glp_export.serve.runtimes import OPENVINO, open_in, require_runtime
from tests.contenders import Clock, Latency, fake_contender

needs_openvino = pytest.mark.skipif(
    not openvino_session.installed(), reason="openvino is not installed"
)
QUICK = Timing(min_rounds=3, max_rounds=3, pause_s=0.0)


@pytest.fixture
def plain(tiny_contenders: list[Contender]) -> Contender:
    return tiny_contenders[3]


@needs_openvino
def test_it_answers_as_onnx_runtime_on_every_shape(plain: Contender) -> None:
    compiled, run = (
        open_contender(replace(plain, runtime=name)) for name in ("openvino", "onnxruntime")
    )
    assert isinstance(compiled, PreparedRunner)
    workloads = shape_grid([plain], [1, 3], [5, 11])
    compiled.prepare([batch for workload in workloads for batch in workload.batches])
    for workload in workloads:
        [feeds] = workload.batches
        # fp32 sums of a few hundred numbers in another order.
        np.testing.assert_allclose(compiled(feeds), run(feeds), atol=1e-5)


@needs_openvino
def test_an_int8_file_is_computed_in_integers_as_in_onnx_runtime(
    plain: Contender, tmp_path: Path
) -> None:
    from glp_export.artifact import describe
    from glp_export.precision.int8 import quantise

    file = quantise(describe(plain.path), tmp_path / "model_int8.onnx", plain.path.parent.parent)
    ours = replace(plain, path=file.path, precision="int8")
    compiled, run = (
        open_contender(replace(ours, runtime=name)) for name in ("openvino", "onnxruntime")
    )
    [feeds] = shape_grid([plain], [3], [11])[0].batches
    exact = open_contender(plain)(feeds)
    # The same integers, but that a sum in another order may put a value over the edge of its step.
    noise = [abs(found(feeds) - exact).mean() for found in (compiled, run)]
    assert noise[0] <= SAME_NOISE * noise[1] + 1e-4
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(file.path), "CPU", openvino_session.hints("int8", 1))
    kinds = [
        str(operation.get_rt_info()["runtimePrecision"].value)
        for operation in model.get_runtime_model().get_ops()
        if operation.get_rt_info()["layerType"].value == "FullyConnected"
    ]
    assert kinds.count("i8") + kinds.count("u8") >= len(kinds) - 1  # one small product may be left


@needs_openvino
def test_rows_say_what_it_was_told(plain: Contender, tiny_contenders: list[Contender]) -> None:
    contenders = [*tiny_contenders[:2], plain, replace(plain, runtime="openvino")]
    made = benchmark(
        contenders,
        shape_grid(contenders, [1], [8]),
        [],
        task="demo",
        metric="accuracy",
        timing=QUICK,
        memory=False,
    )
    [row] = [row for row in made.file.rows if row.runtime == "openvino"]
    assert row.hints["INFERENCE_PRECISION_HINT"] == "f32"
    assert row.hints["INFERENCE_NUM_THREADS"] == str(row.threads) == "1"
    assert row.speedup.vs_onnxruntime_unpruned is not None
    assert "openvino" in made.file.machine.versions
    assert not [r for r in made.file.rows if r.runtime == "onnxruntime" and r.hints]


@needs_openvino
def test_threads_may_share_a_session(plain: Contender) -> None:
    session = open_in(OPENVINO, plain.path, threads=1)
    run = open_contender(plain)
    batches = [shape_grid([plain], [size], [9])[0].batches[0] for size in (1, 2, 3, 4)]
    names = [port.name for port in session.get_inputs()]
    found: dict[int, list[np.ndarray]] = {}

    def ask(number: int) -> None:
        feeds = {name: batches[number][name] for name in names}
        found[number] = [session.run(["logits"], feeds)[0] for _ in range(20)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, batch in enumerate(batches):
        for answer in found[number]:
            np.testing.assert_allclose(answer, run(batch), atol=1e-5)


@needs_openvino
def test_an_operator_that_it_lacks_is_named(plain: Contender, tmp_path: Path) -> None:
    model = onnx.load(plain.path)
    node = next(node for node in model.graph.node if node.op_type == "MatMul")
    node.op_type, node.domain = "MatMulOfOurs", "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="MatMulOfOurs"):
        open_in(OPENVINO, path, threads=1)


@needs_openvino
def test_it_is_asked_for_the_cpu_and_for_threads(plain: Contender) -> None:
    with pytest.raises(UsageError, match=CUDA):
        open_contender(replace(plain, runtime="openvino", provider=CUDA))
    with pytest.raises(UsageError, match="0 threads"):
        open_contender(replace(plain, runtime="openvino", threads=0))


@needs_openvino
@pytest.mark.skipif(
    openvino_session.installed() and openvino_session.computes_bf16(), reason="this CPU has bf16"
)
def test_bf16_on_a_cpu_without_it_is_exit_6(plain: Contender) -> None:
    with pytest.raises(DeviceError, match="bf16") as caught:
        open_contender(replace(plain, runtime="openvino", precision="bf16"))
    assert caught.value.exit_code == 6


def test_where_it_is_not_installed_the_command_is_named(
    plain: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for ask in (
        lambda: open_contender(replace(plain, runtime="openvino")),
        lambda: require_runtime("openvino"),
    ):
        with pytest.raises(DeviceError) as caught:
            ask()
        assert caught.value.exit_code == 6
        assert "pip install" in str(caught.value.fix)


def test_a_winner_in_openvino_says_how_far_onnx_runtime_is_behind(
    clock: Clock, fake_runtime: Callable[[Latency], None]
) -> None:
    latency = {("openvino", "fp32"): 8.0, ("openvino", "bf16"): 4.0, ("onnxruntime", "fp32"): 16.0}
    fake_runtime(lambda contender, _: latency.get((contender.runtime, contender.precision), 30.0))
    contenders = [
        fake_contender("unpruned.onnx", contender="unpruned", layers=4),
        *(
            fake_contender("model.onnx", runtime=runtime, precision=precision)
            for runtime, precision in latency
        ),
    ]
    made = benchmark(
        contenders,
        shape_grid(contenders, [1], [4]),
        [],
        task="t",
        metric="m",
        timing=QUICK,
        memory=False,
    )
    [winner] = made.file.winners
    # No metric was taken of bf16, so it is timed and does not win.
    assert (winner.runtime, winner.precision) == ("openvino", "fp32")
    assert winner.over_onnxruntime is not None
    assert winner.over_onnxruntime.value == pytest.approx(2.0)
