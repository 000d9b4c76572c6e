"""What depth, width and int8 save over PyTorch, ONNX Runtime, optimum, OpenVINO and DistilBERT.

All contenders of one base model run in one interleaved measurement. Weights are random: latency
does not depend on them, and nothing is downloaded. OpenVINO's rows need `openvino` and `nncf`.

    python benchmarks/production_speedup.py
    python benchmarks/production_speedup.py --models bert-base distilbert --layers 12 6 --rounds 20
    python benchmarks/production_speedup.py --models bert-base --layers 12 6 --width 0.5 --threads 1
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from encoders import SIZES, narrow_checkpoint, random_checkpoint
from numpy.typing import NDArray
from tables import Entry, Page, progress, ratio, say

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
    Samples,
    SamplesFile,
    Timing,
    fastest,
    measure,
    onnx_contender,
    pytorch_contender,
    shape_grid,
    summarise,
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
HEAD = (
    *("model", "shape", "contender", "layers", "file MB", "p50 ms"),
    *("× over PyTorch", "× over ONNX Runtime", "× over the best int8 of optimum"),
    *("× over DistilBERT int8", "× over the best of OpenVINO, same model"),
)

EXPLANATION = """\
Random weights, two labels; full-length inputs; MB of the file that runs. p50 is over the runs of
{rounds} interleaved rounds; ratios are medians of paired ratios with 95 % bootstrap intervals,
above 1 is faster. All ratios but the last are over the unpruned model, in fp32 if no more is said.
PyTorch, the plain export and what optimum makes are of the unpruned model; optimum's best int8 is
the faster of its two at the shape. "glp-export, LEVEL, N layers" is the fp32 file that the tool
picks, "glp-export int8" the file of its default recipe, "smoothed" the one that ships where
rounding moves the answers, "full int8" that of `--int8-scope full`, in either runtime. "OpenVINO"
is the plain export of the same model in OpenVINO, its int8 by NNCF's own post-training
quantisation, and what stays in float in bf16 where the CPU has it; the last column is over the
fastest of those at the shape. A structure has that share of the heads and neurons of each layer.
"""


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


def main() -> None:
    """Measure every base model, then write one table."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    start, others = time.monotonic(), machine.cpu_seconds_of_others()
    here = machine.describe()
    timing = Timing(
        min_rounds=options.rounds, max_rounds=options.rounds, turn_seconds=0.15, max_runs=4
    )
    lines: list[tuple[str, ...]] = []
    everything: list[Samples] = []
    for base in [model for model in options.models if model != DISTILLED]:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            entries = list(Builder(base, Path(scratch), options).entries())
            samples = _measured(entries, options, timing)
        lines += _table_lines(base, entries, samples)
        everything += samples
    wall = time.monotonic() - start
    shared = machine.sharing_notes(machine.cpu_seconds_of_others() - others, wall)
    _write(options, here, [*here.notes, *shared], lines, wall)
    SamplesFile.of(everything, timing).save(options.output.with_suffix(".samples.json"))


def _measured(entries: list[Entry], options: argparse.Namespace, timing: Timing) -> list[Samples]:
    contenders = [entry.contender for entry in entries]
    workloads = shape_grid(contenders, options.batch_sizes, options.seq_lens)
    return measure(contenders, workloads, timing=timing, progress=progress)


def _table_lines(
    base: str, entries: list[Entry], samples: list[Samples]
) -> Iterator[tuple[str, ...]]:
    """One line for each shape and contender; `samples` are in that order."""
    for first in range(0, len(samples), len(entries)):
        block = samples[first : first + len(entries)]
        found = dict(zip((entry.name for entry in entries), block, strict=True))
        peers = [sample for name, sample in found.items() if name.startswith(PEER)]
        for entry, sample in zip(entries, block, strict=True):
            yield (
                base,
                sample.shape.name,
                entry.name,
                str(sample.contender.layers),
                f"{sample.contender.bytes / 1e6:.0f}",
                f"{summarise(sample.milliseconds).p50_ms:.1f}",
                ratio(found[PYTORCH], sample),
                ratio(found[PLAIN], sample),
                ratio(min((found[name] for name in OPTIMUM_INT8), key=_median), sample),
                ratio(found.get(DISTILLED_INT8), sample),
                ratio(_best_of_same_model(peers, sample), sample),
            )


def _best_of_same_model(peers: list[Samples], sample: Samples) -> Samples | None:
    """The fastest of some that have as many layers and parameters; None where there is none."""
    own = (sample.contender.layers, sample.contender.parameters)
    same = [one for one in peers if (one.contender.layers, one.contender.parameters) == own]
    return min(same, key=_median, default=None)


def _median(sample: Samples) -> float:
    return summarise(sample.milliseconds).p50_ms


def _write(
    options: argparse.Namespace,
    here: machine.Machine,
    notes: list[str],
    lines: list[tuple[str, ...]],
    wall: float,
) -> None:
    page = Page(
        title="What depth and int8 save on a CPU",
        device=f"{here.cpu} ({', '.join(here.features)}), {options.threads} threads of "
        f"{here.usable_cores} usable cores",
        notes=notes,
        explanation=EXPLANATION.format(rounds=options.rounds),
        head=HEAD,
        lines=lines,
        texts=3,
        wall=wall,
    )
    page.write(here, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--layers", type=int, nargs="+", default=[12, 8, 6], metavar="N")
    parser.add_argument(
        "--width", type=float, nargs="*", default=[], metavar="SHARE", help="of heads and neurons"
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8], metavar="N")
    parser.add_argument("--seq-lens", type=int, nargs="+", default=[32, 128], metavar="N")
    parser.add_argument("--optimum-levels", nargs="*", default=["O1", "O2", "O3"])
    parser.add_argument("--rounds", type=int, default=12, help="at every shape")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--scratch", type=Path, help="where 10 GB fit; the system's default")
    parser.add_argument("--quick", action="store_true", help="one base model, one small shape")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/production_speedup.md")
    )
    options = parser.parse_args()
    if options.quick:
        options.models, options.layers = ["bert-base", DISTILLED], [12, 6]
        options.batch_sizes, options.seq_lens, options.rounds = [1], [32], 3
    options.layers = sorted(set(options.layers), reverse=True)
    if len(options.models) == 1 and DISTILLED in options.models:
        parser.error("DistilBERT is measured beside a base model; name one")
    return options


if __name__ == "__main__":
    # Must be set before transformers is imported: a missing hub must not cost a retry.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
