"""ONNX Runtime sessions that run where they were asked to run, and on no other provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DeviceError, ModelError, UsageError
from glp_export.core.machine import MOST_THREADS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SHORT_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}

PACKAGES = {
    "CPUExecutionProvider": "onnxruntime",
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "DmlExecutionProvider": "onnxruntime-directml",
    "CoreMLExecutionProvider": "onnxruntime",
}
"""The wheel that brings each provider; only one onnxruntime wheel can be installed at a time."""

PROVIDER_OPTIONS: dict[str, dict[str, str]] = {
    # A file called fp32 is computed in fp32: TF32 is on by default here and off in PyTorch.
    "CUDAExecutionProvider": {"use_tf32": "0"},
}

EXTRA_FILES = {
    # TensorRT leaves to it what it has no layer for; without it the CPU would get that.
    "TensorrtExecutionProvider": ("CUDAExecutionProvider",),
}
"""Providers that a session gets behind the one asked for."""

GRAPH_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


def provider_name(name: str) -> str:
    """The full name of an execution provider, from a short one ("cuda") or itself.

    Raises:
        DeviceError: this onnxruntime was built without it.
    """
    import onnxruntime

    full = SHORT_NAMES.get(name.lower(), name)
    available = onnxruntime.get_available_providers()
    if full not in available:
        package = PACKAGES.get(full)
        raise DeviceError(
            f"ONNX Runtime {onnxruntime.__version__} here has no {full}; it has "
            f"{', '.join(available)}.",
            where=f"provider {name}",
            fix=f"pip uninstall onnxruntime && pip install {package}"
            if package
            else f"Name one of {', '.join(SHORT_NAMES)}.",
        )
    return full


def open_session(
    path: Path,
    *,
    provider: str = "CPUExecutionProvider",
    threads: int,
    graph_level: str = "all",
    provider_options: Mapping[str, str] | None = None,
    session_options: Mapping[str, str] | None = None,
) -> InferenceSession:
    """Open an ONNX file on one execution provider, and on no other.

    Args:
        path: the ONNX file.
        provider: full or short name ("cuda") of the execution provider.
        threads: intra-op threads. ONNX Runtime's own default counts the host's cores, not those
            that a container may use (microsoft/onnxruntime #29510), so it is never left to it.
        graph_level: optimisation while loading, a key of `GRAPH_LEVELS`.
        provider_options: over `PROVIDER_OPTIONS`, as the provider's documentation names them.
        session_options: configuration entries such as `session.intra_op.allow_spinning`.

    Raises:
        DeviceError: the provider is not there, or the session came up on another one.
        ModelError: the file is absent or broken.
        UsageError: `threads` or `graph_level` is out of range.
    """
    import onnxruntime

    full = provider_name(provider)
    if not path.is_file():
        raise ModelError("There is no such ONNX file.", where=str(path))
    options = _options(threads, graph_level, session_options or {})
    chosen = {**PROVIDER_OPTIONS.get(full, {}), **(provider_options or {})}
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=[(full, chosen), *EXTRA_FILES.get(full, ())],
            enable_fallback=0,  # it would retry on the CPU, and say so on stdout
        )
    except Exception as error:  # ONNX Runtime's errors share no base class but Exception
        raise ModelError(
            f"ONNX Runtime cannot load the file: {error}",
            where=f"{path} on {full}",
            fix="Export it again; check that a *.onnx_data beside it was copied too.",
        ) from error
    active = session.get_providers()
    if active[0] != full:  # a provider whose libraries fail to load is dropped silently (#23372)
        raise DeviceError(
            f"{full} did not start: the session runs on {active[0]}.",
            where=str(path),
            fix="See ONNX Runtime's message above: a CUDA or cuDNN library is usually missing.",
        )
    return session


def _options(threads: int, graph_level: str, entries: Mapping[str, str]) -> Any:
    import onnxruntime

    if threads < 1:
        raise UsageError(f"{threads} threads cannot run anything.", fix="Ask for 1 or more.")
    if threads > MOST_THREADS:
        raise UsageError(
            f"{threads} threads are more than any machine runs.",
            fix=f"Ask for {MOST_THREADS} at most.",
        )
    if graph_level not in GRAPH_LEVELS:
        raise UsageError(
            f"There is no graph level {graph_level!r}.", fix=f"One of {', '.join(GRAPH_LEVELS)}."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, GRAPH_LEVELS[graph_level]
    )
    options.log_severity_level = 3  # errors; what matters of the warnings is asserted
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options
