"""What each step of the int8 recipe brings, against plain quantize_dynamic and against the floor.

The floor is a graph of the model's integer matrix products and nothing else. All files run in one
interleaved measurement. Weights are random: latency does not depend on them.

    python benchmarks/int8_recipe.py
    python benchmarks/int8_recipe.py --layers 3 --shape-list 1x64 16x64 --threads 1
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from encoders import SIZES, random_checkpoint
from floor_graph import floor_graph
from tables import markdown

from glp_export.artifact import OnnxFile, describe, export_onnx, optimise
from glp_export.artifact.graph_passes import PASSES
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.artifact.session import feeds_for
from glp_export.bench import (
    Contender,
    Samples,
    Timing,
    Workload,
    measure,
    onnx_contender,
    paired_ratio,
    shape_grid,
    summarise,
)
from glp_export.core import machine
from glp_export.precision.int8 import Int8Recipe, quantise, smooth

PLAIN, FLOOR = "quantize_dynamic, per channel", "floor: integer products alone"
BEST, REFERENCE = "int8, first-token form (default)", "fp32, as exported"
SMOOTHED = "int8, first-token form, smoothed"

EXPLANATION = """\
Random weights, two labels, full-length inputs. p50 is over the runs of {rounds} interleaved rounds;
ratios are medians of paired ratios with 95 % bootstrap intervals, above 1 is faster. *Share of
floor* is the floor's time over the file's. The floor holds the products of every layer for every
token; the first-token form computes fewer, so that with few layers its share can pass 100 %.
"""


class Builder:
    """Makes the files below a directory of its own, and says what the table calls them."""

    def __init__(self, scratch: Path, options: argparse.Namespace) -> None:
        self.scratch = scratch
        self.checkpoint = random_checkpoint(options.model, scratch / "m", layers=options.layers)
        self.source = export_onnx(
            self.checkpoint, scratch / "model.onnx", export_task="text-classification"
        )

    def files(self) -> Iterator[tuple[str, OnnxFile]]:
        """Every step, the baselines first."""
        from transformers import AutoConfig

        yield REFERENCE, self.source
        yield "fp32, first-token form", self._formed("first-token")
        yield "quantize_dynamic, per tensor", self._dynamic(self.source, per_channel=False)
        yield PLAIN, self._dynamic(self.source)
        fused = optimise(self.source, "O2", self.scratch / "fused.onnx", self.checkpoint)
        yield f"{PLAIN}, of the fused graph (QAttention)", self._dynamic(fused)
        for form in PASSES:
            label = BEST if form == Int8Recipe().form else f"int8, {form} form"
            yield label, self._quantised(f"int8_{form}", Int8Recipe(form=form))
        smoothed = smooth(self.source, self.scratch / "smooth.onnx", self._batches())
        path = self.scratch / "int8_smoothed.onnx"
        yield SMOOTHED, quantise(smoothed, path, self.checkpoint)
        yield "int8, static ranges", self._quantised("static", Int8Recipe(mode="static"))
        config = AutoConfig.from_pretrained(self.checkpoint)
        for label, attention in ((f"{FLOOR}, with attention's own in fp32", True), (FLOOR, False)):
            path = floor_graph(
                self.scratch / f"floor_{attention}.onnx", config, attention=attention
            )
            yield label, describe(path, precision="int8")

    def _formed(self, form: str) -> OnnxFile:
        model = read_graph(self.source.path, weights=True)
        PASSES[form](model)
        return describe(write_graph(model, self.scratch / f"fp32_{form}.onnx"))

    def _dynamic(self, source: OnnxFile, *, per_channel: bool = True) -> OnnxFile:
        """ONNX Runtime's own quantisation, as its documentation shows it."""
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic

        path = self.scratch / f"dynamic_{per_channel}_{source.path.name}"
        quantize_dynamic(
            source.path,
            path,
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
        return describe(path, precision="int8")

    def _quantised(self, name: str, recipe: Int8Recipe) -> OnnxFile:
        output = self.scratch / f"{name}.onnx"
        return quantise(self.source, output, self.checkpoint, recipe, batches=self._batches())

    def _batches(self) -> list[Mapping[str, Any]]:
        """Random tokens to see ranges on: the numbers do not matter, the nodes do."""
        from glp_export.artifact.session import open_session

        (workload,) = shape_grid([self.contender(self.source)], [16], [64])
        return [feeds_for(open_session(self.source.path, threads=1), workload.batches[0])]

    def contender(self, file: OnnxFile, threads: int = 1) -> Contender:
        """A file as the benchmark runs it."""
        return onnx_contender("pruned", file, self.checkpoint, machine.CPU, threads)


def main() -> None:
    """Build the files, measure them, say where the time goes, write it all down."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    here = machine.describe()
    timing = Timing(min_rounds=options.rounds, max_rounds=options.rounds, turn_seconds=0.15)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        builder = Builder(Path(scratch), options)
        files = dict(builder.files())
        contenders = [builder.contender(file, options.threads) for file in files.values()]
        workloads = [
            workload
            for batch, length in options.shape_list
            for workload in shape_grid(contenders, [batch], [length])
        ]
        samples = measure(contenders, workloads, timing=timing, progress=_progress)
        parts = [
            *_tables(list(files.items()), workloads, samples),
            *_profiles(files, workloads, options.threads),
        ]
    _write(options, here, parts)


def _tables(
    files: list[tuple[str, OnnxFile]], workloads: list[Workload], samples: list[Samples]
) -> Iterator[str]:
    """One table a shape; `samples` are in the order of shapes, then files."""
    head = ("file", "MB", "p50 ms", "× over fp32", f"× over {PLAIN}", "share of floor")
    for number, workload in enumerate(workloads):
        block = samples[number * len(files) : (number + 1) * len(files)]
        found = {name: one for (name, _), one in zip(files, block, strict=True)}
        rows = [head]
        for name, file in files:
            one = found[name]
            rows.append(
                (
                    name,
                    f"{file.bytes / 1e6:.0f}",
                    f"{summarise(one.milliseconds).p50_ms:.2f}",
                    _ratio(found[REFERENCE], one),
                    _ratio(found[PLAIN], one),
                    f"{paired_ratio(found[FLOOR].round_medians, one.round_medians).value:.0%}",
                )
            )
        yield f"## {workload.shape.name}\n\n" + markdown(rows)


def _ratio(reference: Samples, sample: Samples) -> str:
    if reference is sample:
        return "1"
    ratio = paired_ratio(reference.round_medians, sample.round_medians)
    return f"{ratio.value:.2f} [{ratio.low:.2f}–{ratio.high:.2f}]"


def _profiles(files: dict[str, OnnxFile], workloads: list[Workload], threads: int) -> Iterator[str]:
    """Where the time of the plain int8 file and of the best goes, at every shape."""
    for workload in workloads:
        for name in (PLAIN, BEST):
            table = _profile(files[name], workload, threads)
            yield f"## Where the time goes: {name}, {workload.shape.name}\n\n{table}"


def _profile(file: OnnxFile, workload: Workload, threads: int, runs: int = 15) -> str:
    """ONNX Runtime's profiler: the median of every node's runs, added up by operator."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(file.path.with_suffix(""))
    session = onnxruntime.InferenceSession(
        str(file.path), options, providers=["CPUExecutionProvider"]
    )
    for _ in range(runs):
        session.run(None, feeds_for(session, workload.batches[0]))
    nodes: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e3)
    spent: collections.Counter[str] = collections.Counter()
    count: collections.Counter[str] = collections.Counter()
    for (operator, _), durations in nodes.items():
        spent[operator] += median(durations)
        count[operator] += 1
    whole = sum(spent.values())
    rows = [("operator", "nodes", "ms", "share")]
    for operator, ms in spent.most_common(12):
        rows.append((operator, str(count[operator]), f"{ms:.2f}", f"{ms / whole:.1%}"))
    return markdown(rows)


def _write(options: argparse.Namespace, here: machine.Machine, parts: list[str]) -> None:
    versions = ", ".join(f"{name} {here.versions.get(name)}" for name in ("onnxruntime", "onnx"))
    text = "\n\n".join(
        [
            "# What each step of the int8 recipe brings",
            f"{datetime.date.today()}. `python benchmarks/int8_recipe.py {' '.join(sys.argv[1:])}`",
            f"{options.model}, {options.layers} layers. {here.cpu} ({', '.join(here.features)}), "
            f"{options.threads} threads of {here.usable_cores} usable cores; {versions}.",
            *(f"**Note: {note}.**" for note in here.notes),
            EXPLANATION.format(rounds=options.rounds).strip(),
            *parts,
        ]
    )
    print(text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n", encoding="utf-8")


def _progress(stage: str, done: int, total: int) -> None:
    if done == total or sys.stderr.isatty():
        print(f"{stage}: {done}/{total}", file=sys.stderr, flush=True)


def _shape(text: str) -> tuple[int, int]:
    batch, length = text.split("x")
    return int(batch), int(length)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list(SIZES), default="bert-base")
    parser.add_argument("--layers", type=int, default=6, metavar="N")
    parser.add_argument(
        "--shape-list",
        type=_shape,
        nargs="+",
        default=[(1, 32), (1, 128), (8, 128)],
        metavar="BxL",
        help="batch size and length, 8x128",
    )
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--rounds", type=int, default=15, help="at every shape")
    parser.add_argument("--scratch", type=Path, help="where 2 GB fit; the system's default")
    parser.add_argument("--quick", action="store_true", help="two layers, one small shape")
    parser.add_argument("--output", type=Path, help="benchmarks/results/int8_recipe.md")
    options = parser.parse_args()
    if options.quick:
        options.layers, options.shape_list, options.rounds = 2, [(1, 32)], 3
    return options


if __name__ == "__main__":
    # Must be set before transformers is imported: a missing hub must not cost a retry.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
