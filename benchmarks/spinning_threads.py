"""Do a contender's idle threads slow down the next one, and does the benchmark's pause help?

Writes three tables: the CPU time that a process uses while it sleeps after a run (nothing should),
what a run costs right after another contender's run, and whether a contender measured among
others has the median that it has alone.

    python benchmarks/spinning_threads.py --output benchmarks/results/spinning_threads.md
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from encoders import random_checkpoint
from tables import markdown

from glp_export.artifact import export_onnx
from glp_export.bench import (
    Contender,
    ContenderName,
    Timing,
    Workload,
    measure,
    onnx_contender,
    pytorch_contender,
    shape_grid,
)
from glp_export.bench.runtimes import open_contender
from glp_export.core import machine

Table = list[list[str]]
LONG_PAUSE = 0.15  # seconds; longer than any thread spins


def main() -> None:
    """Build four contenders of bert-base's width, measure, write the tables."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        contenders = _contenders(Path(scratch), options.layers, options.threads)
        workloads = shape_grid(contenders, [1], options.seq_lens)
        text = "\n\n".join(
            [
                "# Spinning threads",
                _setting(options),
                "## CPU milliseconds that the process uses while it sleeps 200 ms after a run",
                markdown(_idle_table(contenders, workloads, options.repeats)),
                "## A run right after another's, as a multiple of one after a long pause",
                *(
                    f"{workload.shape.name}\n\n"
                    + markdown(_successor_table(contenders, workload, options.repeats))
                    for workload in workloads
                ),
                "## Median ms, alone and in turns",
                "Ratio to alone in parentheses. *naive*: one run each, no pause, none dropped. "
                "*dropped*: blocks with the first run dropped, no pause. *paused*: as the "
                "benchmark does it.",
                markdown(_alone_table(contenders, workloads, options.rounds)),
            ]
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


def _idle_table(
    contenders: Sequence[Contender], workloads: Sequence[Workload], repeats: int
) -> Table:
    """CPU time burnt by idle threads: the process does nothing, so all of it is spinning."""
    table = [["contender", *(workload.shape.name for workload in workloads)]]
    for contender in contenders:
        run = open_contender(contender)
        cells = []
        for workload in workloads:
            burnt = []
            for _ in range(repeats):
                run(workload.batches[0])
                start = time.process_time()
                time.sleep(0.2)
                burnt.append((time.process_time() - start) * 1e3)
            cells.append(f"{median(burnt):.1f}")
        table.append([contender.label, *cells])
    return table


def _successor_table(contenders: Sequence[Contender], workload: Workload, repeats: int) -> Table:
    """Rows: who is timed; columns: who ran just before."""
    runners = [open_contender(contender) for contender in contenders]
    feeds = workload.batches[0]

    def timed(run: Callable[..., object]) -> float:
        start = time.perf_counter()
        run(feeds)
        return time.perf_counter() - start

    table = [["timed", "after a pause, ms", *(f"after {c.label}" for c in contenders)]]
    for contender, run in zip(contenders, runners, strict=True):
        rested: list[float] = []
        after: list[list[float]] = [[] for _ in runners]
        for _ in range(repeats):
            time.sleep(LONG_PAUSE)
            rested.append(timed(run))
            for before, times in zip(runners, after, strict=True):
                time.sleep(LONG_PAUSE)
                before(feeds)
                times.append(timed(run))
        cells = [f"{median(times) / median(rested):.2f}" for times in after]
        table.append([contender.label, f"{median(rested) * 1e3:.2f}", *cells])
    return table


def _alone_table(
    contenders: Sequence[Contender], workloads: Sequence[Workload], rounds: int
) -> Table:
    """Each contender alone, then all in turns in three ways."""
    same = {"min_rounds": rounds, "max_rounds": rounds}
    alone = [
        sample
        for contender in contenders
        for sample in measure([contender], workloads, timing=Timing(**same))
    ]
    expected = {(s.contender, s.shape): median(s.milliseconds) for s in alone}
    ways = {
        "naive": Timing(**same, pause_s=0.0, dropped=0, max_runs=1),
        "dropped": Timing(**same, pause_s=0.0),
        "paused": Timing(**same),
    }
    found = {
        name: {
            (s.contender, s.shape): median(s.milliseconds)
            for s in measure(contenders, workloads, timing=timing)
        }
        for name, timing in ways.items()
    }
    table = [["contender", "shape", "alone", *ways]]
    for (contender, shape), base in expected.items():
        cells = [
            f"{medians[contender, shape]:.2f} ({medians[contender, shape] / base:.2f})"
            for medians in found.values()
        ]
        table.append([contender.label, shape.name, f"{base:.2f}", *cells])
    return table


def _contenders(scratch: Path, layers: Sequence[int], threads: int) -> list[Contender]:
    made = []
    roles: tuple[ContenderName, ...] = ("unpruned", "pruned")
    for role, depth in zip(roles, layers, strict=True):
        checkpoint = random_checkpoint("bert-base", scratch / role, layers=depth)
        file = export_onnx(
            checkpoint, scratch / role / "onnx" / "model.onnx", export_task="text-classification"
        )
        made.append(pytorch_contender(role, checkpoint, "cpu", threads))
        made.append(onnx_contender(role, file, checkpoint, machine.CPU, threads))
    return made


def _setting(options: argparse.Namespace) -> str:
    here = machine.describe()
    notes = " ".join(f"**{note}.**" for note in here.notes)
    versions = ", ".join(f"{name} {here.versions[name]}" for name in ("torch", "onnxruntime"))
    return (
        f"bert-base's width, {' and '.join(map(str, options.layers))} layers, random weights; "
        f"{here.cpu}, {options.threads} threads; {versions}. {notes}"
    ).strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs=2, default=[4, 2], metavar="N")
    parser.add_argument("--seq-lens", type=int, nargs="+", default=[32, 128], metavar="N")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the third table")
    parser.add_argument("--repeats", type=int, default=15, help="runs behind a cell of the others")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--quick", action="store_true", help="a minute, for trying the script")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/spinning_threads.md")
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.repeats, options.seq_lens = 5, 3, [32]
    return options


if __name__ == "__main__":
    main()
