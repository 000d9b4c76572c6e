"""Is the unpruned model that `--epochs auto` trains as good as the best of a grid?

    python benchmarks/epochs_grid.py --model MODEL --data DATA [DATA …] --work DIR --output FILE

For every task and seed the unpruned model is trained by the rule of `--epochs auto`, and with every
one of four learning rates for every one of four lengths. All see the same rows; a grid point has
its last weights, as a fixed number of epochs leaves them. The table says what each is on dev and on
test, and how far `auto` is from the point that is best on test, which nobody could have chosen, and
from the one that dev would have chosen.

`DATA` is a directory of train and validation files or a GLUE task with its directory (`cola=DIR`).
`DIR/results.json` keeps what is finished, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cells import measure_cells, shown_command
from numpy.typing import NDArray
from tables import PACKAGES, markdown

from glp_export.config.files import resolve
from glp_export.core import machine
from glp_export.encoder import finetune, predict
from glp_export.tasks import paired_difference_interval, score, truth_of
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.final_training import learning_rate_for

AUTO = "auto"
RATES = (0.5, 1.0, 2.0, 4.0)
"""Learning rates of the grid, over the one for the model's width."""

EPOCHS = (1.0, 3.0, 6.0, 12.0)
"""Lengths of the grid, in passes over train without dev."""

EXPLANATION = """\
Metric in percent on dev (15 % of the training rows) and on the whole test set; at most {rows}
training rows a task, dev included. All were trained on the rows besides dev. `auto` has the weights
that it keeps by dev; a grid point has its last. "auto less it" is `auto` minus the grid point on
the same test rows, with the 95 % paired bootstrap interval. The best of sixteen
on test is too good by chance: it is a bound, not a rival. The examples of `auto` are
the most that it may take."""


@dataclass(frozen=True)
class Cell:
    """One training of one task and seed.

    Attributes:
        point: `auto`, or rate and epochs.
        examples: that passed through the model in training; of `auto` the most, those of rates that
            are tried too.
        difference: of `auto` from it on test: value, low, high; empty for `auto`.
    """

    task: str
    metric: str
    rows: int
    seed: int
    point: str
    dev: float
    test: float
    examples: int
    difference: list[float]
    seconds: float

    def __str__(self) -> str:
        return f"dev {self.dev:.4f}, test {self.test:.4f}, {self.seconds:.0f} s"


def main() -> None:
    """Parse, measure what is not there yet, and write the table after each cell."""
    measure_cells(parse(), _measured, write_page)


def _measured(arguments: argparse.Namespace, kept: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    for seed in arguments.seeds:
        for data in arguments.data:
            yield from Group(arguments, data, seed, kept).run()


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory or hub id")
    parser.add_argument("--data", required=True, nargs="+", help="directories")
    parser.add_argument("--seeds", type=int, nargs="+", default=[41])
    parser.add_argument("--rates", type=float, nargs="*", default=list(RATES))
    parser.add_argument("--lengths", type=float, nargs="*", default=list(EPOCHS))
    parser.add_argument("--max-train-samples", type=int, default=4000)
    parser.add_argument("--max-length", default="auto", help="longest text in tokens")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="what is finished is kept here")
    parser.add_argument("--device", default="this machine", help="words on it for the page")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file for the table")
    return parser.parse_args()


class Group:
    """All trainings of one task and seed."""

    def __init__(
        self, arguments: argparse.Namespace, data: str, seed: int, kept: dict[str, Any]
    ) -> None:
        self._arguments, self._kept, self._seed = arguments, kept, seed
        task, _, self._data = data.rpartition("=")
        self._task = task

    @property
    def _name(self) -> str:
        return f"{self._task or Path(self._data).name}|{self._arguments.max_train_samples}"

    def run(self) -> Iterator[tuple[str, Cell]]:
        """Train what is not there; `auto` first."""
        grid = [
            (rate, length) for rate in self._arguments.rates for length in self._arguments.lengths
        ]
        points = {
            AUTO: None,
            **{f"{rate:g}× for {length:g}": (rate, length) for rate, length in grid},
        }
        keys = {f"{self._name}|{self._seed}|{point}": point for point in points}
        if all(key in self._kept for key in keys):
            return
        context = self._context()
        for key, point in keys.items():
            if key not in self._kept:
                yield key, self._measured(context, point, points[point])

    def _context(self) -> RunContext:
        return make_context(
            resolve(
                {
                    "model": self._arguments.model,
                    "dataset": self._data,
                    "seed": self._seed,
                    "max_train_samples": self._arguments.max_train_samples,
                    "max_length": self._arguments.max_length,
                    "threads": self._arguments.threads,
                    "teacher": "finetune",
                    **({"task": self._task} if self._task else {}),
                }
            )
        )

    def _measured(self, context: RunContext, point: str, grid: tuple[float, float] | None) -> Cell:
        begin, model = time.perf_counter(), context.pretrained()
        settings, watch = context.final, context.watch()
        examples = context.schedule.most * settings.batch_size if context.schedule else 0
        if grid is not None:
            rate, length = grid
            width = learning_rate_for(model.config.hidden_size)
            settings = replace(settings, learning_rate=rate * width, epochs=length)
            settings = replace(settings, warmup_ratio=0.1)
            watch, examples = None, round(length * len(context.fit))
        model = finetune(model, context.fit, context.tokenizer, settings, watch=watch)
        task = context.data.task
        dev, test = (
            predict(model, rows, context.tokenizer) for rows in (context.select, context.test)
        )
        truth = truth_of(task, context.test)
        return Cell(
            task=self._name.partition("|")[0],
            metric=task.metric,
            rows=self._arguments.max_train_samples,
            seed=self._seed,
            point=point,
            dev=score(task, dev, truth_of(task, context.select)),
            test=score(task, test, truth),
            examples=examples,
            difference=self._difference(context, point, test, truth),
            seconds=round(time.perf_counter() - begin, 1),
        )

    def _difference(
        self, context: RunContext, point: str, answers: NDArray[np.float32], truth: Any
    ) -> list[float]:
        own = self._arguments.work / f"{self._name}-{self._seed}-auto.npy".replace("|", "-")
        if point == AUTO:
            own.parent.mkdir(parents=True, exist_ok=True)
            np.save(own, answers)
            return []
        auto: NDArray[np.float32] = np.load(own)
        found = paired_difference_interval(context.data.task, auto, answers, truth)
        return [float(value) for value in found]


def write_page(arguments: argparse.Namespace, kept: dict[str, Any]) -> None:
    """Write the page as Markdown; points that were not run are marked."""
    here = machine.describe()
    versions = ", ".join(f"{n} {here.versions[n]}" for n in PACKAGES if n in here.versions)
    text = [
        "# `--epochs auto` against a grid of learning rates and lengths",
        f"{datetime.date.today()}. `python {shown_command()}`",
        f"{arguments.device}; Python {here.python}, {versions}.",
        EXPLANATION.format(rows=arguments.max_train_samples),
    ]
    cells = [Cell(**one) for one in kept.values()]
    for task, seed in dict.fromkeys((cell.task, cell.seed) for cell in cells):
        own = {cell.point: cell for cell in cells if (cell.task, cell.seed) == (task, seed)}
        first = next(iter(own.values()))
        text.append(f"## {task} ({first.metric}), {first.rows} rows, seed {seed}")
        text += [_verdict(own), markdown([_HEAD, *_lines(arguments, own)])]
    spent = sum(cell.seconds for cell in cells)
    text.append(f"The trainings took {spent / 60:.0f} minutes.\n")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n\n".join(text), encoding="utf-8")


_HEAD = ("rate × epochs", "dev", "test", "auto less it", "examples", "seconds")


def _lines(arguments: argparse.Namespace, own: dict[str, Cell]) -> list[list[str]]:
    grid = [f"{rate:g}× for {n:g}" for rate in arguments.rates for n in arguments.lengths]
    lines = []
    for point in (AUTO, *grid):
        cell = own.get(point)
        if cell is None:
            lines.append([point, "not run", *[""] * (len(_HEAD) - 2)])
            continue
        numbers = [f"{100 * cell.dev:.1f}", f"{100 * cell.test:.1f}", _span(cell)]
        lines.append([point, *numbers, f"{cell.examples:,}", f"{cell.seconds:.0f}"])
    return lines


def _span(cell: Cell) -> str:
    if not cell.difference:
        return "–"
    value, low, high = (100 * one for one in cell.difference)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _verdict(own: dict[str, Cell]) -> str:
    """How far `auto` is from the best of the grid, as far as that was run."""
    grid = [cell for point, cell in own.items() if point != AUTO]
    if AUTO not in own or not grid:
        return "Not enough was run to say anything."
    best, chosen = max(grid, key=lambda c: c.test), max(grid, key=lambda c: c.dev)
    value, _, high = best.difference
    held = value >= -0.01 or high >= 0
    return (
        f"Of {len(grid)} points that were run the best on test is {best.point}: auto is "
        f"{_span(best)} from it, {'within' if held else 'beyond'} the bound (1 point, or not "
        f"significant). Dev would have chosen {chosen.point}: {_span(chosen)}."
    )


if __name__ == "__main__":
    main()
