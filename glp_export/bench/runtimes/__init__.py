"""How a contender is loaded and run: one module a runtime, one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from glp_export.bench.runtimes.onnx_bound import open_bound, open_graphs
from glp_export.bench.runtimes.onnx_runtime import open_onnx
from glp_export.bench.runtimes.openvino import open_openvino
from glp_export.bench.runtimes.pytorch import open_pytorch
from glp_export.bench.runtimes.pytorch_compiled import open_compiled

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Runner

RUNTIMES: dict[str, Callable[[Contender], Runner]] = {
    "pytorch": open_pytorch,
    "pytorch-compiled": open_compiled,
    "onnxruntime": open_onnx,
    "onnxruntime-bound": open_bound,
    "onnxruntime-graphs": open_graphs,
    "openvino": open_openvino,
}


def open_contender(contender: Contender) -> Runner:
    """Load a contender.

    Raises:
        DeviceError: the provider is not there, or the session fell back to another.
        ModelError: the checkpoint or the file cannot be loaded.
    """
    return RUNTIMES[contender.runtime](contender)


__all__ = [
    "RUNTIMES",
    "open_bound",
    "open_compiled",
    "open_contender",
    "open_graphs",
    "open_onnx",
    "open_openvino",
    "open_pytorch",
]
