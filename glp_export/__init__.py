"""Prune a transformer encoder for a task, export it to ONNX, prove it right, measure it."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature
    from pathlib import Path

    from transformers import PreTrainedModel

    from glp_export.serve import ServedModel
    from glp_export.workflows.python_api import (
        benchmark,
        compare,
        compress,
        export,
        gate,
        progress,
        prune_and_export,
        report,
        verify,
    )

__version__ = "0.2.0"

# Before anything here can import onnxruntime, which else writes a device id and queued events
# below the home directory. Child processes inherit it; whoever has set it keeps what they chose.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Before anything here can import torch. Idle OpenMP threads otherwise spin, and beside another busy
# process on the same cores a training with two threads then takes several times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__all__ = [
    "__version__",
    "benchmark",
    "compare",
    "compress",
    "export",
    "gate",
    "load",
    "load_torch",
    "progress",
    "prune_and_export",
    "report",
    "verify",
]

_JOBS = frozenset(__all__) - {"__version__", "load", "load_torch"}
"""Functions of `glp_export.workflows.python_api`, which is imported when one is asked for."""


def __getattr__(name: str) -> Any:
    if name in _JOBS:
        from glp_export.workflows import python_api

        return getattr(python_api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _CallableRoom(ModuleType):
    """`glp_export.gate`, `report` and `compress` are packages too: calling one does its job."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self._job(*arguments, **settings)

    @property
    def _job(self) -> Callable[..., Any]:
        from glp_export.workflows import python_api

        function: Callable[..., Any] = getattr(python_api, self.__name__.rpartition(".")[2])
        return function

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        return signature(self._job)


class _Package(ModuleType):
    """Python sets a package's attribute to a room when something below the room is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _JOBS and type(value) is ModuleType:
            value.__class__ = _CallableRoom
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def load(
    path: str | Path,
    *,
    provider: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    variant: str | None = None,
    verify: bool = True,
    batch_tokens: int | None = None,
    runtime: str | None = None,
) -> ServedModel:
    """Open an artifact for use; needs onnxruntime, tokenizers and numpy, and nothing else.

    It runs as it was measured: in that runtime, on that provider, with those threads, the file
    that was fastest there, inputs truncated to the length of the training. `ort_config.json` says
    all that.

    Example:
        >>> model = load("out/trec")
        >>> model(["How far is it from Denver to Aspen?"]).labels
        ['NUM']

    Args:
        path: of the directory that `glp-export prune-and-export` or `glp-export export` wrote.
        provider: execution provider of ONNX Runtime, `cpu` and `cuda` for short; by default the
            one that the artifact was measured on. It never falls back to another.
        threads: intra-op threads; by default as many as it was measured with, and no more than
            the cores that this process may use.
        precision: `fp32`, say; by default that of the file that was fastest on the provider.
        variant: name of a file, `fp32-optimized` say, instead of a precision.
        verify: whether the files that are opened must have the checksums of `glp/SHA256SUMS`.
        batch_tokens: tokens of a batch at most, padding included; by default 512 on a CPU, which
            gains nothing from more, and 8192 elsewhere.
        runtime: `onnxruntime` or `openvino`; by default the one that was surely fastest, and ONNX
            Runtime, with a warning, where that is not installed or `provider` names one of ONNX
            Runtime's. In OpenVINO `precision="bf16"` computes the fp32 file in bf16.

    Raises:
        ModelError: it is no artifact, or a file of it is missing, changed or broken.
        DeviceError: the provider or the runtime is not there, or did not start.
        UsageError: nothing of that precision or variant ships.
    """
    from glp_export.serve import OpenOptions, open_artifact

    options = OpenOptions(
        provider=provider,
        threads=threads,
        precision=precision,
        variant=variant,
        verify=verify,
        batch_tokens=batch_tokens,
        runtime=runtime,
    )
    return open_artifact(path, options)


def load_torch(path: str | Path, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """Load an artifact's model for PyTorch: the small module, which can be trained on.

    The checkpoint of an artifact that lost heads or neurons holds zeros for them, so that plain
    `from_pretrained` loads it; this gives the module without them. It is in fp32, in eval mode.

    Args:
        path: of the directory that `glp-export prune-and-export` or `glp-export export` wrote.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: it is no checkpoint, or cannot be loaded.
        DataError: the record of what was removed is broken.
    """
    from glp_export.core.arguments import path_of
    from glp_export.encoder import ModelSource, load_model, task_of_model

    directory = path_of(path, "path")
    source = ModelSource(str(directory), offline=True, trust_remote_code=trust_remote_code)
    return load_model(source, task_of_model(directory)).eval()
