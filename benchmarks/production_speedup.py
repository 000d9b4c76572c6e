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
import tempfile
from collections.abc import Iterator
from pathlib import Path

from encoders import SIZES
from production_contenders import (
    DISTILLED,
    DISTILLED_INT8,
    OPTIMUM_INT8,
    PEER,
    PLAIN,
    PYTORCH,
    Builder,
)
from tables import Entry, Page, progress, ratio

from glp_export.bench import (
    Samples,
    SamplesFile,
    Timing,
    measure,
    shape_grid,
    summarise,
)
from glp_export.core import machine
from glp_export.core.sharing import SharingMonitor

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


def main() -> None:
    """Measure every base model, then write one table."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    monitor = SharingMonitor()
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
    wall, shared = monitor.seconds, monitor.notes()
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
