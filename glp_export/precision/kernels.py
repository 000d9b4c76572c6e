"""How many products of a file each runtime computes in integers, by what the runtime itself says.

A QDQ file asks for integers; which kernels it gets is up to the runtime and the CPU.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glp_export.artifact.onnx_file import read_graph
from glp_export.artifact.session import feeds_for
from glp_export.core.errors import DeviceError, ModelError
from glp_export.core.scratch import scratch_directory
from glp_export.core.versions import package_versions
from glp_export.precision.record import KernelCount
from glp_export.serve.openvino_session import compile_openvino
from glp_export.serve.runtimes import ONNX_RUNTIME, OPENVINO, RUNTIMES
from glp_export.serve.settings import CPU

logger = logging.getLogger(__name__)

Batch = Mapping[str, NDArray[Any]]

_INTEGER = frozenset(
    {
        *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul"),
        *("QGemm", "QAttention"),
    }
)
_FLOAT = frozenset({"MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Attention"})
"""ONNX Runtime's kernels of products, those with a weight and attention's own."""

_WRITTEN = _INTEGER | _FLOAT
"""Operators of products as a file may have them."""

_PRODUCTS = frozenset({"MatMul", "FullyConnected"})
_BYTES = frozenset({"u8", "i8"})
"""OpenVINO's names for layers of products, and the precisions of integers."""

_BESIDE = frozenset(
    {
        *("Softmax", "LayerNormalization", "SkipLayerNormalization", "Gelu", "BiasGelu", "Erf"),
        *("Tanh", "Add", "Sum", "MVN", "Eltwise", "Subgraph"),
    }
)
"""What else takes time in an encoder, by either runtime's name."""


def count_kernels(path: Path, batch: Batch, *, threads: int = 1) -> tuple[KernelCount, ...]:
    """Count the kernels of products in every runtime that is installed and takes the file.

    Args:
        path: an ONNX file.
        batch: its inputs, `(batch, length) int64`; one run is profiled.
        threads: of the sessions.
    """
    found = []
    for name, count in COUNTERS.items():
        if not RUNTIMES[name].installed():
            continue
        try:
            found.append(count(path, batch, threads))
        except (DeviceError, ModelError) as error:  # the file ships for the others
            logger.warning("kernels in %s are not counted: %s", name, error.what)
    return tuple(found)


def _in_onnxruntime(path: Path, batch: Batch, threads: int) -> KernelCount:
    """By the profile of one run, which names every kernel that was called."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    with scratch_directory("glp-kernels-") as scratch:
        options.profile_file_prefix = str(scratch / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
        session.run(None, feeds_for(session, batch))
        events = json.loads(Path(session.end_profiling()).read_text())
    called = Counter(
        event["args"]["op_name"]
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )
    return _count(
        ONNX_RUNTIME,
        "onnxruntime",
        {name: count for name, count in called.items() if name in _INTEGER},
        {name: count for name, count in called.items() if name in _FLOAT},
        {name: count for name, count in called.items() if name in _BESIDE},
    )


def _in_openvino(path: Path, batch: Batch, threads: int) -> KernelCount:
    """By the graph that was compiled, whose layers carry their precision.

    Attention's products become part of one Subgraph; its precision is theirs.
    """
    nodes = read_graph(path).graph.node
    products = {node.name for node in nodes if node.op_type in _WRITTEN}
    softmaxes = {node.name for node in nodes if node.op_type == "Softmax"}
    compiled = compile_openvino(path, precision="int8", threads=threads)
    found: dict[str, Counter[str]] = {"integer": Counter(), "float": Counter(), "beside": Counter()}
    for layer in compiled.get_runtime_model().get_ordered_ops():
        said = layer.get_rt_info()
        kind, precision = _said(said, "layerType"), _said(said, "runtimePrecision")
        merged = _said(said, "originalLayersNames").split(",") if kind == "Subgraph" else []
        within = len(products.intersection(merged))
        if within and softmaxes.intersection(merged):
            within = max(within, 2)  # that of scores may have lost its name
        if kind in _PRODUCTS or within:
            where = "integer" if precision in _BYTES else "float"
            found[where][kind] += within or 1
        elif kind in _BESIDE:
            found["beside"][kind] += 1
    return _count(OPENVINO, "openvino", found["integer"], found["float"], found["beside"])


def _said(info: Any, key: str) -> str:
    """What OpenVINO notes at a layer; "" where it notes nothing."""
    return str(info[key].astype(str)) if key in info else ""


def _count(
    runtime: str,
    package: str,
    integer: Mapping[str, int],
    in_float: Mapping[str, int],
    beside: Mapping[str, int],
) -> KernelCount:
    return KernelCount(
        runtime=runtime,
        version=package_versions().get(package, ""),
        integer=dict(sorted(integer.items())),
        in_float=dict(sorted(in_float.items())),
        beside=dict(sorted(beside.items())),
    )


COUNTERS: dict[str, Callable[[Path, Batch, int], KernelCount]] = {
    ONNX_RUNTIME: _in_onnxruntime,
    OPENVINO: _in_openvino,
}
"""By runtime."""
