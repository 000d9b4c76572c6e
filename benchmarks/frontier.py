"""What is left of the accuracy at 2, 3 and 6 times the speed? Structure beside its rivals.

    python benchmarks/frontier.py --model MODEL --data DATA [DATA …] --speedups 2 3 --work DIR

For every task and seed an unpruned model is trained until dev stops improving. Models that are so
many times as fast in ONNX Runtime are made of it in several ways, and all are recovered in the same
way on the same examples. Choices are made on dev; the table is of the test set, by the files that
are timed. Those of one task and seed are timed in one interleaved run.

`DATA` is a directory of train and validation files or a GLUE task with its directory (`cola=DIR`).
What is finished stands in `DIR/results.json`, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from frontier_cells import Cell, Results
from frontier_rows import FIRST, LAYERS, ROWS, UNPRUNED, Rows
from frontier_table import FRONTIER, Layout, write_page
from numpy.typing import NDArray
from tables import say

from glp_export.artifact import ArtifactLayout, describe, open_session, predict_onnx
from glp_export.bench import (
    ContenderName,
    Timing,
    measure,
    onnx_contender,
    paired_ratio,
    shape_grid,
    summarise,
)
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.core.errors import LatencyError
from glp_export.core.progress import Progress
from glp_export.core.sharing import SharingMonitor
from glp_export.encoder import ModelSource, predict
from glp_export.encoder.schedule import TRIED
from glp_export.tasks import (
    against_chance,
    encode,
    paired_difference_interval,
    score,
    score_interval,
    truth_of,
)
from glp_export.workflows.context import RunContext, load_seeded, make_context
from glp_export.workflows.stages.export import Exported, export_contender
from glp_export.workflows.stages.precision import add_precisions, calibration_data_of
from glp_export.workflows.stages.run_evaluator import RunEvaluator
from glp_export.workflows.stages.trained import Trained
from glp_export.workflows.stages.training import train_contenders

LOOKS = 8
"""At dev in a recovery of so many `--updates`."""


RECORD, LOGITS = "made.json", "test.npy"


@dataclass(frozen=True)
class Made:
    """A model and its file, as they lie on disk.

    Attributes:
        form: of the file's graph.
    """

    contender: ContenderName
    checkpoint: Path
    file: Path
    form: str

    @classmethod
    def of(cls, exported: Exported) -> Made:
        """Of an export."""
        trained, chosen = exported.trained, exported.chosen
        return cls(trained.contender, trained.checkpoint, chosen.path, chosen.optimisation)

    def save(self, directory: Path) -> None:
        """Write it into the directory of its cell, seen from there."""
        checkpoint, file = (
            str(path.absolute().relative_to(directory.absolute()))
            for path in (self.checkpoint, self.file)
        )
        found = {"contender": self.contender, "form": self.form}
        found |= {"checkpoint": checkpoint, "file": file}
        (directory / RECORD).write_text(json.dumps(found) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Made:
        """Read it."""
        found = json.loads((directory / RECORD).read_text())
        checkpoint, file = directory / found["checkpoint"], directory / found["file"]
        return cls(found["contender"], checkpoint, file, found["form"])

    @property
    def logits(self) -> NDArray[np.float32]:
        """Answers to the test rows, by the file."""
        answers: NDArray[np.float32] = np.load(self.checkpoint.parent / LOGITS)
        return answers


def main() -> None:
    """Measure the rows of the frontier."""
    run(parse(__doc__, ROWS, [2.0, 3.0]), FRONTIER)


def run(arguments: argparse.Namespace, layout: Layout) -> None:
    """Measure what is not there yet, and write the page after each task and seed."""
    logging.disable(logging.WARNING)
    begin, results = time.perf_counter(), Results(arguments.work / "results.json")
    for seed in arguments.seeds:
        for data in arguments.data:
            for _ in Group(arguments, data, seed, results).run():
                if arguments.output:
                    write_page(results, arguments, time.perf_counter() - begin, layout)


def parse(what: str, rows: Sequence[str], speedups: Sequence[float]) -> argparse.Namespace:
    """The command line of a script that measures some rows at some speedups."""
    parser = argparse.ArgumentParser(description=what.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory or hub id")
    parser.add_argument("--data", required=True, nargs="+", help="directories")
    parser.add_argument("--speedups", type=float, nargs="+", default=speedups)
    parser.add_argument("--shape", default="1x32", help="rows x tokens of what is timed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[41])
    parser.add_argument("--max-train-samples", type=int, default=4000)
    parser.add_argument(
        "--updates", type=int, help="of every recovery; else by the rule of the task"
    )
    parser.add_argument("--optimize", default="first-token", help="form of every file")
    parser.add_argument("--precision", choices=["fp32", "int8"], default="fp32", help="likewise")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=rows, default=list(rows))
    parser.add_argument("--seconds", type=float, default=20.0, help="of timing a task and seed")
    parser.add_argument("--work", type=Path, required=True, help="what is finished is kept here")
    parser.add_argument("--device", default="this machine", help="words on it for the page")
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    return parser.parse_args()


class Group:
    """All cells of one task and seed."""

    def __init__(
        self, arguments: argparse.Namespace, data: str, seed: int, results: Results
    ) -> None:
        self._arguments, self._results = arguments, results
        task, _, directory = data.rpartition("=")
        samples = arguments.max_train_samples
        self._directory = arguments.work / f"{Path(directory).name}-{samples}-{seed}"
        config = resolve(
            {
                "model": arguments.model,
                "dataset": directory,
                "seed": seed,
                "max_train_samples": samples,
                "threads": arguments.threads,
                "optimize": arguments.optimize,
                "precision": (arguments.precision,),
                "distilled": "none",
                "batch_sizes": (self._shape[0],),
                "seq_lens": (self._shape[1],),
                "cache": str(arguments.work / "cache"),
                **({"task": task} if task else {}),
            }
        )
        self._context = make_context(config)
        self._recovery = _shorter(self._context, arguments.updates)
        self._progress = Progress()
        evaluator = RunEvaluator(self._context, self._directory / "search", self._progress)
        self._rows = Rows(
            evaluator,
            self._directory / "plans",
            tuple(sorted(arguments.speedups)),
            self._shape,
            StructureOptions(),
            arguments.rows,
        )

    @property
    def _shape(self) -> tuple[int, int]:
        batch, length = self._arguments.shape.split("x")
        return int(batch), int(length)

    def run(self) -> Iterator[None]:
        """Finish every cell, then time them together; yields where there is more to show."""
        files: dict[str, Made] = {}
        for target, row in self._wanted():
            key = f"{self._group}|{target:g}|{row}"
            try:
                found = None if row == UNPRUNED else self._rows.found(row, target)
            except LatencyError as error:
                say(f"{key}: {error}")
                continue
            files[key] = self._made(row, target, found, key)
            self._compare(files)
            yield
        self._time(files)
        yield

    @property
    def _group(self) -> str:
        rows = self._arguments.max_train_samples
        return f"{self._context.data.task.name}|{rows}|{self._context.config.training.seed}"

    def _wanted(self) -> Iterator[tuple[float, str]]:
        """What matters most comes first: a run that is stopped has something to compare."""
        yield 1.0, UNPRUNED
        for row in sorted(set(self._arguments.rows) - {UNPRUNED}, key=FIRST.index):
            yield from ((target, row) for target in sorted(self._arguments.speedups))

    def _made(self, row: str, target: float, found: Found | None, key: str) -> Made:
        """What a cell is measured by: trained, exported and scored unless that was done before."""
        own = self._directory / "models" / f"{row} {target:g}"
        if key not in self._results.cells or not (own / RECORD).is_file():
            begin = time.perf_counter()
            exported = self._exported(own, found)
            cell = self._scored(row, target, found.plan if found else None, exported)
            Made.of(exported).save(own)
            self._results.add(replace(cell, seconds=round(time.perf_counter() - begin, 1)))
            say(f"{key}: {cell.value:.4f}, dev {cell.dev:.4f}, {cell.label}")
        return Made.load(own)

    def _exported(self, own: Path, found: Found | None) -> Exported:
        unpruned = self._directory / "models" / f"{UNPRUNED} 1" / UNPRUNED
        own.mkdir(parents=True, exist_ok=True)
        if found is not None and not (own / UNPRUNED).exists():
            (own / UNPRUNED).symlink_to(unpruned.resolve())
        # The unpruned model is trained by the rule of the task, whatever the others get.
        context = self._recovery if found else self._context
        trained = train_contenders(context, [found] if found else [], own, self._progress)[-1]
        return self._files(trained, ArtifactLayout(own / "files"), own / "scratch")

    def _files(self, trained: Trained, layout: ArtifactLayout, scratch: Path) -> Exported:
        """The files of a model, the one that is timed as its choice."""
        execution, progress = self._context.execution, self._progress
        exported = export_contender(execution, trained, layout, scratch, progress)
        if self._arguments.precision == "fp32":
            return exported
        rows = calibration_data_of(self._context, trained)
        exported = add_precisions(execution, exported, layout, scratch, rows, progress)
        return replace(exported, chosen=exported.lower[-1].file)

    def _scored(self, row: str, target: float, plan: Plan | None, exported: Exported) -> Cell:
        context, trained = self._context, exported.trained
        task, truth = context.data.task, truth_of(context.data.task, context.test)
        logits = self._answers(exported)
        np.save(trained.checkpoint.parent / LOGITS, logits)
        low, high = score_interval(task, logits, truth)
        chance = against_chance(task, logits, truth) if plan is None else None
        return Cell(
            task=task.name,
            metric=task.metric,
            train_rows=self._arguments.max_train_samples,
            seed=context.config.training.seed,
            target=target,
            row=row,
            value=score(task, logits, truth),
            low=low,
            high=high,
            dev=_dev_score(context, trained),
            label=plan.label if plan else trained.label,
            plan_id=plan.id if plan else UNPRUNED,
            predicted=plan.predicted_speedup if plan else 1.0,
            seconds=0.0,
            search_seconds=plan.cost.choosing_seconds if plan else 0.0,
            megabytes=round(exported.chosen.bytes / 1e6, 2),
            parameters=trained.structure.parameters if trained.structure else None,
            chance=chance.chance if chance else None,
            significant=chance.significant if chance else None,
        )

    def _answers(self, exported: Exported) -> NDArray[np.float32]:
        execution, trained = self._context.execution, exported.trained
        path, kind = exported.chosen.path, execution.kind
        session = open_session(path, provider=execution.provider, threads=execution.threads)
        return predict_onnx(
            session, trained.test, trained.tokenizer, read=kind.read, batch_size=kind.batch_size
        )

    def _compare(self, files: dict[str, Made]) -> None:
        """How far each cell is from whole layers at its target, on the same test examples."""
        task, truth = self._context.data.task, truth_of(self._context.data.task, self._context.test)
        logits = {key: one.logits for key, one in files.items()}
        for key, own in logits.items():
            layers = logits.get(f"{key.rpartition('|')[0]}|{LAYERS}")
            if layers is not None and own is not layers:
                found = paired_difference_interval(task, own, layers, truth)
                self._results.differences[key] = [float(value) for value in found]
        self._results.save()

    def _time(self, files: dict[str, Made]) -> None:
        """Time all files in one interleaved run, unless these very cells were timed before."""
        kept = self._results.timings.get(self._group)
        if kept is not None and kept["speedups"].keys() >= files.keys():
            return
        execution = self._context.execution
        contenders = [
            onnx_contender(
                one.contender,
                describe(one.file, precision=self._arguments.precision, optimisation=one.form),
                one.checkpoint,
                execution.provider,
                execution.threads,
                auto_class=execution.kind.auto_class,
            )
            for one in files.values()
        ]
        batch, length = self._shape
        workloads = shape_grid(contenders, [batch], [length])
        timing = Timing.lasting(self._arguments.seconds, 12, execution.seed)
        monitor = SharingMonitor()
        samples = measure(contenders, workloads, timing=timing)
        reference = samples[0].round_medians
        self._results.timings[self._group] = {
            "shape": f"{batch}x{length}",
            "rounds": len(reference),
            "notes": list(monitor.notes()),
            "ms": {
                key: summarise(sample.milliseconds).p50_ms
                for key, sample in zip(files, samples, strict=True)
            },
            "speedups": {
                key: asdict(paired_ratio(reference, sample.round_medians))
                for key, sample in zip(files, samples, strict=True)
            },
        }
        self._results.save()


def _shorter(context: RunContext, updates: int | None) -> RunContext:
    """The context of students that are trained for so many updates; the rates are tried as ever."""
    if updates is None or context.schedule is None:
        return context
    every = max(1, -(-updates // LOOKS))
    schedule = replace(
        context.schedule,
        updates=updates,
        every=every,
        least=updates // 2,
        tried=max(1, round(TRIED * updates)),
    )
    return replace(context, schedule=schedule)


def _dev_score(context: RunContext, trained: Trained) -> float:
    """Of the checkpoint, on the rows that its training was watched on."""
    source = ModelSource(str(trained.checkpoint))
    model = load_seeded(source, context.data, context.config.training.seed).model
    rows = context.select
    if trained.tokenizer is not context.tokenizer:
        length = context.config.data.max_length
        rows = encode(context.data.select, context.data.task, trained.tokenizer, length)
    answers = predict(model, rows, trained.tokenizer)
    return score(context.data.task, answers, truth_of(context.data.task, context.select))


if __name__ == "__main__":
    main()
