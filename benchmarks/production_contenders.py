"""The contenders of production_speedup.py: how each file of a base model is made."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from encoders import narrow_checkpoint, random_checkpoint
from numpy.typing import NDArray
from tables import Entry, say

from glp_export.artifact import (
    LEVELS,
    OnnxFile,
    candidates,
    describe,
    export_onnx,
    optimise,
)
from glp_export.bench import (
    ContenderName,
    RuntimeName,
    Timing,
    fastest,
    onnx_contender,
    pytorch_contender,
    shape_grid,
)
from glp_export.core import machine
from glp_export.precision.int8 import Int8Recipe, quantise, smooth
from glp_export.serve.openvino_session import computes_bf16, installed

FULL_INT8 = Int8Recipe(scope="full", mode="static")
OPENVINO: RuntimeName = "openvino"
PYTORCH, PLAIN = "PyTorch eager fp32", "ONNX Runtime, plain export"
DISTILLED = "distilbert"
OPTIMUM_INT8 = {"optimum int8, per tensor": False, "optimum int8, per channel": True}
"""optimum's dynamic quantiser for AVX512-VNNI, by whether a weight has a scale a channel."""
DISTILLED_INT8 = "DistilBERT, optimum int8, per channel"
PEER = "OpenVINO"
"""How the names of what OpenVINO and NNCF make of a model by themselves begin."""


@dataclass
class Builder:
    """Makes the files of one base model's contenders, below a directory of its own."""

    base: str
    scratch: Path
    options: argparse.Namespace

    def entries(self) -> Iterator[Entry]:
        """Every contender of the base model."""
        threads = self.options.threads
        depth = max(self.options.layers)
        checkpoint, plain = self._exported(self.base, depth)
        yield Entry(PYTORCH, pytorch_contender("unpruned", checkpoint, "cpu", threads))
        yield self._entry(PLAIN, plain, checkpoint)
        if "avx512_bf16" in machine.cpu_features():
            half = pytorch_contender("unpruned", checkpoint, "cpu", threads, precision="bf16")
            yield Entry("PyTorch eager bf16", half)
        for file in self._optimum(plain, checkpoint):
            yield self._entry(f"optimum {file.optimisation}", file, checkpoint)
        for name, per_channel in OPTIMUM_INT8.items():
            yield self._entry(name, self._optimum_int8(plain, checkpoint, per_channel), checkpoint)
        level = self._best_level()
        for layers in self.options.layers:
            its_checkpoint, file = self._exported(self.base, layers)
            yield from self._of_model(f"{layers} layers", its_checkpoint, file, level)
        for share in self.options.width:
            its_checkpoint, file = self._exported(self.base, None, share)
            yield from self._of_model(f"{share:.0%} of each layer", its_checkpoint, file, level)
        if DISTILLED in self.options.models:
            its_checkpoint, file = self._exported(DISTILLED, None)
            yield self._entry("DistilBERT, ONNX Runtime", file, its_checkpoint)
            quantised = self._optimum_int8(file, its_checkpoint, per_channel=True)
            yield self._entry(DISTILLED_INT8, quantised, its_checkpoint)

    def _of_model(
        self, model: str, checkpoint: Path, plain: OnnxFile, level: str
    ) -> Iterator[Entry]:
        """A model's files of ours, and where OpenVINO is there, what that makes of it."""
        file = plain
        if level != "none":
            output = file.path.with_name("model_optimized.onnx")
            file = optimise(file, level, output, checkpoint)
        yield self._entry(f"glp-export, {level}, {model}", file, checkpoint)
        for name, quantised in self._int8(checkpoint, plain):
            yield self._entry(f"glp-export {name}, {model}", quantised, checkpoint)
        if not installed():
            return
        full = plain.path.with_name("model_full_quantized.onnx")
        own = describe(full, precision="int8")
        name = f"glp-export full int8 in OpenVINO, {model}"
        yield self._entry(name, own, checkpoint, OPENVINO)
        floats = ("fp32", "bf16") if computes_bf16() else ("fp32",)
        for precision in floats:
            name = f"{PEER} {precision}, {model}"
            yield self._entry(name, replace(plain, precision=precision), checkpoint, OPENVINO)
        for precision in floats if find_spec("nncf") else ():
            file = self._nncf(plain)
            name = f"{PEER} int8 by NNCF, the rest {precision}, {model}"
            entry = self._entry(name, replace(file, precision=precision), checkpoint, OPENVINO)
            size = file.path.with_suffix(".bin").stat().st_size
            yield replace(entry, contender=replace(entry.contender, bytes=size))

    def _nncf(self, plain: OnnxFile) -> OnnxFile:
        """int8 as NNCF makes it after training, by its own settings for transformers."""
        import nncf
        import openvino

        path = plain.path.with_name("nncf.xml")
        if path.is_file():
            return replace(plain, path=path)
        say(f"NNCF int8 of {plain.path.parent.parent.name}")
        model = openvino.Core().read_model(plain.path)
        names = [port.get_any_name() for port in model.inputs]
        rows = nncf.Dataset(calibration(), lambda batch: {name: batch[name] for name in names})
        quantised = nncf.quantize(model, rows, model_type=nncf.ModelType.TRANSFORMER)
        openvino.save_model(quantised, path, compress_to_fp16=False)
        return replace(plain, path=path)

    def _exported(self, size: str, layers: int | None, share: float = 1.0) -> tuple[Path, OnnxFile]:
        directory = self.scratch / f"{size}-{layers}-{share}"
        target = directory / "onnx" / "model.onnx"
        if not target.is_file():
            say(f"export {directory.name}")
            if share < 1:
                narrow_checkpoint(size, directory, share=share)
            else:
                random_checkpoint(size, directory, layers=layers)
            return directory, export_onnx(directory, target, export_task="text-classification")
        return directory, describe(target)

    def _optimum(self, plain: OnnxFile, checkpoint: Path) -> Iterator[OnnxFile]:
        """The unpruned model at optimum's own levels, made by optimum."""
        from optimum.onnxruntime import AutoOptimizationConfig, ORTOptimizer

        shutil.copy(checkpoint / "config.json", plain.path.parent)
        for level in self.options.optimum_levels:
            say(f"optimum {level}")
            optimizer = ORTOptimizer.from_pretrained(plain.path.parent, file_names=["model.onnx"])
            settings = AutoOptimizationConfig.with_optimization_level(level)
            directory = self.scratch / f"optimum-{level}"
            optimizer.optimize(settings, directory, file_suffix=level)
            yield describe(directory / f"model_{level}.onnx", optimisation=level)

    def _optimum_int8(self, plain: OnnxFile, checkpoint: Path, per_channel: bool) -> OnnxFile:
        """A model in int8 as optimum makes it, by its own settings for such a CPU."""
        from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer

        say(f"optimum int8 of {checkpoint.name}")
        shutil.copy(checkpoint / "config.json", plain.path.parent)
        quantizer = ORTQuantizer.from_pretrained(plain.path.parent, file_name="model.onnx")
        settings = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=per_channel)
        directory = self.scratch / f"int8-{checkpoint.name}-{per_channel}"
        quantizer.quantize(settings, directory)
        return describe(directory / "model_quantized.onnx", precision="int8")

    def _int8(self, checkpoint: Path, plain: OnnxFile) -> Iterator[tuple[str, OnnxFile]]:
        """The int8 files of the default recipe and of full int8; of what is pruned, smoothed."""
        path = plain.path.with_name("model_quantized.onnx")
        yield "int8", quantise(plain, path, checkpoint)
        path = plain.path.with_name("model_full_quantized.onnx")
        yield "full int8", quantise(plain, path, checkpoint, FULL_INT8, batches=calibration())
        if checkpoint == self._exported(self.base, max(self.options.layers))[0]:
            return
        one = onnx_contender("pruned", plain, checkpoint, machine.CPU, self.options.threads)
        (workload,) = shape_grid([one], [8], [32])
        smoothed = smooth(plain, plain.path.with_name("smooth.onnx"), workload.batches)
        path = plain.path.with_name("model_smooth_quantized.onnx")
        yield "int8 smoothed", quantise(smoothed, path, checkpoint)

    def _best_level(self) -> str:
        """What prune-and-export would pick for the fewest layers, of which the last is a part."""
        say("choose among our own levels")
        checkpoint, plain = self._exported(self.base, min(self.options.layers))
        work = self.scratch / "levels"
        work.mkdir()
        threads = self.options.threads
        files = [plain, *candidates(plain, tuple(LEVELS), work, checkpoint)]
        one = pytorch_contender("unpruned", checkpoint, "cpu", threads)
        lengths = self.options.seq_lens
        choice = fastest(
            files,
            checkpoint,
            shape_grid([one], [min(self.options.batch_sizes)], lengths),
            provider=machine.CPU,
            threads=threads,
            timing=Timing(min_rounds=self.options.rounds, max_rounds=self.options.rounds),
        )
        for row in choice.table:
            found = row.speedup
            say(f"  {row.file.optimisation}: {found.value:.3f} [{found.low:.3f}–{found.high:.3f}]")
        shutil.rmtree(work)
        return choice.winner.optimisation

    def _entry(
        self, name: str, file: OnnxFile, checkpoint: Path, runtime: RuntimeName = "onnxruntime"
    ) -> Entry:
        role: ContenderName = (
            "unpruned" if name == PLAIN or name.startswith("optimum") else "pruned"
        )
        threads = self.options.threads
        contender = onnx_contender(role, file, checkpoint, machine.CPU, threads, runtime=runtime)
        return Entry(name, contender)


def calibration() -> list[dict[str, NDArray[np.int64]]]:
    """Random tokens in batches of two lengths: ranges decide nothing about latency."""
    random = np.random.default_rng(0)
    batches = []
    for length in (32, 64) * 4:
        ids = random.integers(1000, 30000, (8, length))
        batches.append(
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
        )
    return batches
