"""The contenders of gpu_speedup.py: how each is built, and the proof that it computes the same."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from encoders import random_checkpoint
from tables import say

from glp_export.artifact import OnnxFile, export_onnx, optimise, require_fusions
from glp_export.artifact.tolerance import TOLERANCES
from glp_export.bench import (
    Contender,
    ContenderName,
    RuntimeName,
    onnx_contender,
    pytorch_contender,
    shape_grid,
)
from glp_export.bench.runtimes import open_contender
from glp_export.core import machine
from glp_export.core.errors import ParityError
from glp_export.precision.fp16 import to_fp16

FULL_FP32, FULL_FP16 = "PyTorch eager fp32", "PyTorch eager fp16, SDPA"
Make = Callable[[], Contender]


@dataclass
class Files:
    """The files of one model at one depth, each made when first asked for."""

    size: str
    layers: int | None
    directory: Path

    def __post_init__(self) -> None:
        self.checkpoint = random_checkpoint(self.size, self.directory, layers=self.layers)
        self.plain = cache(self._plain)
        self.fused = cache(self._fused)
        self.half = cache(self._half)

    def _plain(self) -> OnnxFile:
        say(f"export {self.directory.name}")
        target = self.directory / "onnx" / "model.onnx"
        return export_onnx(self.checkpoint, target, export_task="text-classification")

    def _fused(self, level: str) -> OnnxFile:
        output = self.directory / "onnx" / f"model_{level}.onnx"
        file = optimise(self.plain(), level, output, self.checkpoint)
        require_fusions(file, self.depth, self.checkpoint)
        return file

    def _half(self, level: str) -> OnnxFile:
        source = self.plain() if level == "none" else self.fused(level)
        output = self.directory / "onnx" / f"model_{level}_fp16.onnx"
        return to_fp16(source, output, "fp16", self.checkpoint)

    @property
    def depth(self) -> int:
        """Transformer layers."""
        from transformers import AutoConfig

        return int(AutoConfig.from_pretrained(self.checkpoint).num_hidden_layers)


@dataclass
class Recipes:
    """How each contender of a model is made, by what the table calls it."""

    files: Files
    role: ContenderName
    device: str
    threads: int

    def all(self) -> dict[str, Make]:
        """Everything there is to compare, for the unpruned model."""
        return {
            FULL_FP32: lambda: self._torch("fp32"),
            "PyTorch compiled fp32": lambda: self._torch("fp32", compiled=True),
            "ONNX Runtime fp32, plain": lambda: self._onnx(self.files.plain()),
            "ONNX Runtime fp32, fused": lambda: self._onnx(self.files.fused("O2")),
            "TensorRT fp16": self._tensorrt,
            **self.in_half(),
        }

    def in_half(self) -> dict[str, Make]:
        """What half precision reaches, for every model."""
        return {
            FULL_FP16: lambda: self._torch("fp16"),
            "PyTorch compiled fp16": lambda: self._torch("fp16", compiled=True),
            "ONNX Runtime fused fp16": lambda: self._onnx(self.files.half("O3")),
            "ONNX Runtime fused fp16, bound": lambda: self._onnx(
                self.files.half("O3"), "onnxruntime-bound"
            ),
            "ONNX Runtime fused fp16, CUDA graphs": lambda: self._onnx(
                self.files.half("O3"), "onnxruntime-graphs"
            ),
        }

    def _torch(self, precision: str, *, compiled: bool = False) -> Contender:
        return pytorch_contender(
            self.role,
            self.files.checkpoint,
            self.device,
            self.threads,
            precision=precision,
            compiled=compiled,
        )

    def _onnx(self, file: OnnxFile, runtime: RuntimeName = "onnxruntime") -> Contender:
        provider = machine.provider_for(self.device)
        return onnx_contender(
            self.role, file, self.files.checkpoint, provider, self.threads, runtime=runtime
        )

    def _tensorrt(self) -> Contender:
        """Not the fused file, whose operators TensorRT does not know."""
        return replace(self._onnx(self.files.half("none")), provider="TensorrtExecutionProvider")


def prove(contender: Contender, files: Files, device: str, *, length: int) -> None:
    """Run a contender on a padded batch: on the provider it names, and near PyTorch fp32.

    Raises:
        DeviceError: it cannot run here.
        ParityError: it computes something else, or what is no number.
    """
    say(f"prove {files.directory.name}: {contender.runtime} {contender.precision}")
    [workload] = shape_grid([contender], [3], [length])
    feeds = {name: array.copy() for name, array in workload.batches[0].items()}
    feeds["attention_mask"][1, length // 2 :] = 0
    feeds["attention_mask"][2, 2:] = 0
    reference = pytorch_contender("unpruned", files.checkpoint, device, contender.threads)
    wanted, found = (_logits(one, feeds) for one in (reference, contender))
    tolerance = TOLERANCES[contender.precision]
    distance = np.abs(found - wanted)
    if not np.isfinite(found).all() or (tolerance and (distance > tolerance.bound(wanted)).any()):
        raise ParityError(f"its logits are up to {distance.max():.3g} from PyTorch fp32's")


def _logits(contender: Contender, feeds: Any) -> Any:
    """Of a model that is let go again, with what its runtime keeps: others need the memory."""
    import torch

    try:
        return open_contender(contender)(feeds)
    finally:
        torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()
