"""A checkpoint in PyTorch, compiled by torch.compile: what a sceptic compares an export with."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.bench.runtimes.pytorch import load_on_device, runner_of
from glp_export.core import machine
from glp_export.core.errors import DeviceError

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Feeds, Runner

_SHAPES = 64
"""Programs that one model may have; PyTorch's own 8 are used up by a grid of shapes."""


def open_compiled(contender: Contender) -> Runner:
    """Load a checkpoint and compile it as late as its shapes are known.

    A workload of one shape gets a program for that shape alone, the fastest there is; one of
    several lengths gets a program for all. On CUDA the mode is `reduce-overhead`, which replays
    CUDA graphs; on the CPU it is the default.

    Raises:
        DeviceError: there is no compiler that TorchInductor can use, or no CUDA device.
        ModelError: the checkpoint cannot be loaded.
    """
    _require_compiler(cuda=contender.provider == machine.CUDA)
    return _Compiled(contender)


class _Compiled:
    """A model with one program for fixed shapes and one for changing ones."""

    def __init__(self, contender: Contender) -> None:
        import torch

        # Past the limit PyTorch would go on in eager mode and only log it.
        config: Any = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, _SHAPES)
        config.fail_on_recompile_limit_hit = True
        model, cuda = load_on_device(contender), contender.provider == machine.CUDA
        self._fixed = runner_of(model, _compile(model, cuda=cuda, dynamic=False), contender.outputs)
        self._changing = runner_of(
            model, _compile(model, cuda=cuda, dynamic=True), contender.outputs
        )
        self._use_changing = False

    def prepare(self, batches: Sequence[Feeds]) -> None:
        """Compile for these batches, by running one of every shape."""
        shapes = {feeds["input_ids"].shape: feeds for feeds in batches}
        self._use_changing = len(shapes) > 1
        for feeds in shapes.values():
            self(feeds)

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        """Run one batch; a shape not seen before is compiled first."""
        return self._changing(feeds) if self._use_changing else self._fixed(feeds)


def _compile(model: Any, *, cuda: bool, dynamic: bool) -> Callable[..., Any]:
    import torch

    if not cuda:
        return torch.compile(model, dynamic=dynamic)
    replayed: Any = torch.compile(model, dynamic=dynamic, mode="reduce-overhead")

    def step(**tensors: Any) -> Any:
        # The last call's logits are on the host by now: their buffer may be written again.
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return replayed(**tensors)

    return step


def _require_compiler(*, cuda: bool) -> None:
    """TorchInductor writes C++ for CPUs, and Triton, which needs a C compiler, for GPUs.

    Raises:
        DeviceError: what it needs is not there.
    """
    if cuda and importlib.util.find_spec("triton") is None:
        raise DeviceError(
            "torch.compile needs Triton on a GPU, and it is not installed",
            fix="install the CUDA build of torch, which brings it, or leave this runtime out",
        )
    variable, usual = ("CC", "gcc") if cuda else ("CXX", "g++")
    if sys.platform == "darwin":
        usual = usual.replace("gcc", "clang").replace("g++", "clang++")
    compiler = os.environ.get(variable, usual)
    if shutil.which(compiler) is None:
        raise DeviceError(
            f"torch.compile needs a compiler, and there is no {compiler}",
            where=f"${variable}" if variable in os.environ else None,
            fix=f"install {usual}, name another in {variable}, or leave this runtime out",
        )
