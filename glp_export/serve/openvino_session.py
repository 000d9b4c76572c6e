"""An ONNX file in OpenVINO on the CPU, called as a session of ONNX Runtime is.

What differs between the two stays here: how a file is compiled, and that a request of OpenVINO
belongs to one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DeviceError, ModelError, UsageError

INSTALL = 'pip install "openvino>=2026.4"'
PROVIDER = "CPUExecutionProvider"
"""What rows and reports call the device, as ONNX Runtime does: the CPU."""

PRECISION_HINT = "INFERENCE_PRECISION_HINT"
_TYPES = {"i64": "tensor(int64)", "i32": "tensor(int32)"}


class Port(NamedTuple):
    """An input or an output: its name, and its type by ONNX Runtime's names."""

    name: str
    type: str


def hints(precision: str, threads: int) -> dict[str, str]:
    """What OpenVINO is told, so that it runs as ONNX Runtime beside it.

    One request at a time on so many threads. An fp32 file is computed in fp32: left to itself
    OpenVINO computes it in bf16 where the CPU has it. What stays in float in an int8 file is
    computed in bf16 there, whose rounding is small beside that to integers and which takes 1 to 6 %
    less time (docs/method/int8.md). Threads are not pinned to cores, which a container shares with
    others.
    """
    in_bf16 = precision == "bf16" or (precision == "int8" and computes_bf16())
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        PRECISION_HINT: "bf16" if in_bf16 else "f32",
        "ENABLE_CPU_PINNING": "NO",
    }


def installed() -> bool:
    """Whether the package is there."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


@cache
def computes_bf16() -> bool:
    """Whether OpenVINO has bf16 on this CPU."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def open_openvino(path: Path, *, precision: str = "fp32", threads: int) -> OpenVinoSession:
    """Compile an ONNX file for the CPU, to be called; see `compile_openvino`."""
    return OpenVinoSession(compile_openvino(path, precision=precision, threads=threads))


def compile_openvino(path: Path, *, precision: str = "fp32", threads: int) -> Any:
    """Compile an ONNX file for the CPU.

    Args:
        path: the ONNX file.
        precision: of its arithmetic; `bf16` computes an fp32 file in bf16.
        threads: that a request uses.

    Raises:
        DeviceError: OpenVINO is not installed or does not start, or the CPU lacks the precision.
        ModelError: the file is absent or broken, or has an operator that OpenVINO lacks.
        UsageError: `threads` is out of range.
    """
    if threads < 1:
        raise UsageError(f"{threads} threads cannot run anything.", fix="Ask for 1 or more.")
    core = _core()
    if not path.is_file():
        raise ModelError("There is no such ONNX file.", where=str(path))
    told = hints(precision, threads)
    try:
        compiled = core.compile_model(core.read_model(path), "CPU", told)
    except Exception as error:  # what it raises shares no base class but Exception
        raise ModelError(
            f"OpenVINO cannot load the file: {_last_line(error)}",
            where=str(path),
            fix="run it in ONNX Runtime, or export it again with --optimize none",
        ) from error
    got = compiled.get_property(PRECISION_HINT).get_type_name()
    if got != told[PRECISION_HINT]:  # it falls back to f32 without a word
        raise DeviceError(
            f"OpenVINO computes in {got} on this CPU, not in {told[PRECISION_HINT]}",
            where=str(path),
            fix="ask for fp32",
        )
    return compiled


class OpenVinoSession:
    """A compiled file with what we call of ONNX Runtime's session. Threads may share it."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._inputs = [_port(port) for port in compiled.inputs]
        self._outputs = [_port(port) for port in compiled.outputs]
        self._places = {
            name: number
            for number, port in enumerate(compiled.outputs)
            for name in port.get_names()
        }
        self._own = threading.local()

    def get_inputs(self) -> list[Port]:
        """The inputs, in order."""
        return self._inputs

    def get_outputs(self) -> list[Port]:
        """The outputs, in order."""
        return self._outputs

    def get_providers(self) -> list[str]:
        """The device, by ONNX Runtime's name."""
        return [PROVIDER]

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[np.float32]]:
        """The outputs that are named, for one batch."""
        request = self._request()
        request.infer(dict(feeds), share_inputs=True)
        # A tensor is written over by this thread's next call.
        return [request.get_output_tensor(self._places[name]).data.copy() for name in outputs]

    def _request(self) -> Any:
        found = getattr(self._own, "request", None)
        if found is None:
            found = self._own.request = self._compiled.create_infer_request()
        return found


def _port(port: Any) -> Port:
    kind = port.get_element_type().get_type_name()
    return Port(port.get_any_name(), _TYPES.get(kind, kind))


def _core() -> Any:
    try:
        import openvino

        return openvino.Core()
    except ImportError as error:
        raise DeviceError(
            f"OpenVINO cannot be used: {error}", where="runtime openvino", fix=INSTALL
        ) from error


def _last_line(error: Exception) -> str:
    """What went wrong, without the places in OpenVINO's own source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(told)[-400:] or type(error).__name__
