"""What depth and half precision save on a GPU, beside what PyTorch reaches there by itself.

All contenders of one base model run in one interleaved measurement. Weights are random: latency
does not depend on them, and nothing is downloaded. Before anything is timed, every contender's
logits are held against PyTorch fp32 on a padded batch.

    python benchmarks/gpu_speedup.py
    python benchmarks/gpu_speedup.py --device cpu --quick      # the same code, to try it anywhere
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from encoders import SIZES
from gpu_contenders import FULL_FP16, FULL_FP32, Files, Recipes, prove
from tables import Entry, Page, progress, ratio, say

from glp_export.bench import (
    ContenderName,
    Samples,
    SamplesFile,
    Timing,
    measure,
    shape_grid,
    summarise,
)
from glp_export.core import machine
from glp_export.core.errors import GlpError
from glp_export.core.sharing import SharingMonitor
from glp_export.precision.devices import gpu_capability

DISTILLED = "distilbert"
HEAD = (
    *("model", "shape", "contender", "layers", "file MB", "p50 ms"),
    *("× over PyTorch fp32 unpruned", "× over PyTorch fp16 unpruned"),
)

EXPLANATION = """\
Random weights, two labels; full-length inputs; MB of the file that runs. A call goes from host
memory to host memory. p50 is over the runs of {rounds} interleaved rounds; ratios are medians of
paired ratios with 95 % bootstrap intervals, above 1 is faster. Every ONNX Runtime session was
asserted to run on the provider it names, and every contender's logits were within its precision's
tolerance of PyTorch fp32 on a padded batch. "Fused fp16" is the O3 graph in fp16, which optimum
calls O4. "Bound" means IO binding to buffers on the device; the compiled model replays CUDA graphs
of its own on a GPU (`reduce-overhead`). What could not be built or run is at the end, with why.
"""


@dataclass
class Measured:
    """What came out, over all base models."""

    lines: list[tuple[str, ...]] = field(default_factory=list)
    failures: list[tuple[str, ...]] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)


def main() -> None:
    """Measure every base model, then write one table."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    monitor = SharingMonitor()
    options.device = machine.resolve_device(options.device)
    here = machine.describe()
    rounds = options.rounds
    timing = Timing(min_rounds=rounds, max_rounds=rounds, turn_seconds=0.1, max_runs=8)
    measured = Measured()
    for base in [model for model in options.models if model != DISTILLED]:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            _measure_base(base, Path(scratch), options, timing, measured)
    wall, shared = monitor.seconds, monitor.notes()
    _write(options, here, [*here.notes, *shared], measured, wall)
    SamplesFile.of(measured.samples, timing).save(options.output.with_suffix(".samples.json"))


def _measure_base(
    base: str, scratch: Path, options: argparse.Namespace, timing: Timing, measured: Measured
) -> None:
    entries: list[Entry] = []
    shortest = min(length for _, length in options.shapes)
    for size, layers, role in _models(base, options):
        files = Files(size, layers, scratch / f"{size}-{layers}")
        recipes = Recipes(files, role, options.device, options.threads)
        made = recipes.all() if role == "unpruned" else recipes.in_half()
        prefix = "" if role == "unpruned" else f"{size if role == 'distilled' else 'pruned'}: "
        for name, make in made.items():
            try:
                contender = make()
                prove(contender, files, options.device, length=shortest)
            except GlpError as error:
                say(f"  not run: {prefix}{name}: {error.what}")
                measured.failures.append((base, f"{prefix}{name}", str(files.depth), error.what))
                continue
            entries.append(Entry(f"{prefix}{name}", contender))
    contenders = [entry.contender for entry in entries]
    workloads = [shape_grid(contenders, [batch], [length])[0] for batch, length in options.shapes]
    samples = measure(contenders, workloads, timing=timing, progress=progress)
    measured.lines += _lines(base, entries, samples)
    measured.samples += samples


def _models(
    base: str, options: argparse.Namespace
) -> Iterator[tuple[str, int | None, ContenderName]]:
    deepest = max(options.layers)
    yield base, deepest, "unpruned"
    for layers in sorted(set(options.layers) - {deepest}, reverse=True):
        yield base, layers, "pruned"
    if DISTILLED in options.models:
        yield DISTILLED, options.distilled_layers, "distilled"


def _lines(
    base: str, entries: Sequence[Entry], samples: Sequence[Samples]
) -> Iterator[tuple[str, ...]]:
    """One line for each shape and contender; `samples` are in that order."""
    for first in range(0, len(samples), len(entries)):
        block = samples[first : first + len(entries)]
        found = dict(zip((entry.name for entry in entries), block, strict=True))
        for name, sample in found.items():
            yield (
                base,
                sample.shape.name,
                name,
                str(sample.contender.layers),
                f"{sample.contender.bytes / 1e6:.0f}",
                f"{summarise(sample.milliseconds).p50_ms:.2f}",
                ratio(found.get(FULL_FP32), sample),
                ratio(found.get(FULL_FP16), sample),
            )


def _write(
    options: argparse.Namespace,
    here: machine.Machine,
    notes: Sequence[str],
    measured: Measured,
    wall: float,
) -> None:
    capability = gpu_capability() if options.device == "cuda" else None
    device = f"{here.cpu}, {options.threads} threads of {here.usable_cores} usable cores"
    if capability:
        device = f"{here.gpu} (compute capability {capability[0]}.{capability[1]}), {device}"
    failed = [
        (base, "all", name, layers, "", "not run", why.replace("\n", " ").replace("|", "/"), "")
        for base, name, layers, why in measured.failures
    ]
    page = Page(
        title=f"What depth and half precision save on {here.gpu or 'a CPU (a trial of the code)'}",
        device=device,
        notes=notes,
        explanation=EXPLANATION.format(rounds=options.rounds),
        head=HEAD,
        lines=[*measured.lines, *failed],
        texts=3,
        wall=wall,
    )
    page.write(here, options.output)


def _shape(text: str) -> tuple[int, int]:
    batch, _, length = text.partition("x")
    return int(batch), int(length)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--layers", type=int, nargs="+", default=[12, 6], metavar="N")
    parser.add_argument(
        "--shapes",
        type=_shape,
        nargs="+",
        default=[(1, 128), (8, 128), (64, 128), (1, 32)],
        metavar="BxL",
    )
    parser.add_argument("--rounds", type=int, default=10, help="at every shape")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--scratch", type=Path, help="where 10 GB fit; the system's default")
    parser.add_argument("--quick", action="store_true", help="two shallow models, one short shape")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/gpu_speedup.md"))
    options = parser.parse_args()
    options.distilled_layers = None
    if options.quick:
        options.models, options.layers = ["bert-base", DISTILLED], [2, 1]
        options.distilled_layers, options.shapes, options.rounds = 1, [(1, 16)], 3
    return options


if __name__ == "__main__":
    # Must be set before transformers is imported: a missing hub must not cost a retry.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        main()
    except GlpError as error:
        say(str(error))
        sys.exit(error.exit_code)
