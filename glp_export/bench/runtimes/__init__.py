"""How a contender is loaded and run: one module a runtime, one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from glp_export.bench.runtimes.onnx_runtime import open_onnx
from glp_export.bench.runtimes.pytorch import open_pytorch

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Runner

RUNTIMES: dict[str, Callable[[Contender], Runner]] = {
    "pytorch": open_pytorch,
    "onnxruntime": open_onnx,
}


def open_contender(contender: Contender) -> Runner:
    """Load a contender.

    Raises:
        DeviceError: the provider is not there, or the session fell back to another.
        ModelError: the checkpoint or the file cannot be loaded.
    """
    return RUNTIMES[contender.runtime](contender)


__all__ = ["RUNTIMES", "open_contender", "open_onnx", "open_pytorch"]
