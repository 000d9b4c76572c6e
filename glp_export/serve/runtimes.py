"""What runs an ONNX file: one row a runtime. ONNX Runtime is always there, others may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glp_export.core.errors import DeviceError, UsageError
from glp_export.serve import openvino_session
from glp_export.serve.session import open_session
from glp_export.serve.settings import CPU, ONNX_RUNTIME

__all__ = ["ONNX_RUNTIME", "OPENVINO", "RUNTIMES", "Runtime", "open_in", "require_runtime"]

OPENVINO = "openvino"


@dataclass(frozen=True)
class Runtime:
    """A library that runs ONNX files.

    Attributes:
        title: for people.
        install: the command that installs it.
        installed: whether it is there.
        open: gives a session, called as ONNX Runtime's, for a path with `precision`, `provider`
            and `threads`.
        hints: what it is told for a precision and a number of threads, by its own names.
    """

    title: str
    install: str
    installed: Callable[[], bool]
    open: Callable[..., Any]
    hints: Callable[[str, int], Mapping[str, str]]


def _open_onnxruntime(
    path: Path, *, precision: str, provider: str, threads: int, **options: Any
) -> Any:
    return open_session(path, provider=provider, threads=threads, **options)


def _open_openvino(
    path: Path, *, precision: str, provider: str, threads: int, **options: Any
) -> Any:
    if provider != CPU:
        raise UsageError(
            f"OpenVINO runs on the CPU here, not on {provider}", fix="leave the provider away"
        )
    return openvino_session.open_openvino(path, precision=precision, threads=threads)


RUNTIMES: dict[str, Runtime] = {
    ONNX_RUNTIME: Runtime(
        "ONNX Runtime",
        "pip install onnxruntime",
        lambda: True,
        _open_onnxruntime,
        lambda precision, threads: {},
    ),
    OPENVINO: Runtime(
        "OpenVINO",
        openvino_session.INSTALL,
        openvino_session.installed,
        _open_openvino,
        openvino_session.hints,
    ),
}
"""By the name that rows of benchmark.json and `ort_config.json` have."""


def open_in(
    runtime: str,
    path: Path,
    *,
    precision: str = "fp32",
    provider: str = CPU,
    threads: int,
    **options: Any,
) -> Any:
    """Open an ONNX file in a runtime.

    Args:
        runtime: a key of `RUNTIMES`.
        path: the ONNX file.
        precision: of its arithmetic, where that is not the file's own alone.
        provider: full or short name of ONNX Runtime's execution provider.
        threads: intra-op threads.
        options: of `open_session`, for ONNX Runtime alone.

    Raises:
        DeviceError: the runtime or the provider is not there, or lacks the precision here.
        ModelError: the file is absent, broken, or has an operator that the runtime lacks.
        UsageError: the runtime does not run there.
    """
    return RUNTIMES[runtime].open(
        path, precision=precision, provider=provider, threads=threads, **options
    )


def require_runtime(name: str) -> None:
    """Check that a runtime that was asked for by name is there.

    Raises:
        DeviceError: it is not installed; the command that installs it is named.
        UsageError: there is no such runtime.
    """
    if name not in RUNTIMES:
        raise UsageError(f"there is no runtime {name!r}", fix=f"choose from {', '.join(RUNTIMES)}")
    row = RUNTIMES[name]
    if not row.installed():
        raise DeviceError(
            f"{row.title} was asked for and is not installed",
            where=f"runtime {name}",
            fix=row.install,
        )
