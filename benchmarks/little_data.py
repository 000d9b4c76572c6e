r"""What do other tasks bring to one with few examples? Auxiliary tasks and their rivals.

    python benchmarks/little_data.py --model MODEL --target TREC --near BANKING77 --far SST2 \
        --rows 100 300 --seeds 41 --work DIR --output benchmarks/results/little_data.md

For every number of rows and seed the training rows of the target are cut, the same for all arms: no
transfer; a near and a far auxiliary task, learned before the target or beside it; texts of the
target without labels; the near task and these texts; and what `--transfer auto` decides about both.
Of each arm the unpruned model and the pruned one are scored on the whole test set.

`DIR/results.json` keeps what is finished, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from cells import measure_cells, shown_command
from numpy.typing import NDArray
from tables import PACKAGES, markdown

from glp_export.config.files import resolve
from glp_export.core import machine
from glp_export.core.progress import Progress
from glp_export.encoder import ModelSource, predict
from glp_export.tasks import paired_difference_interval, score, truth_of
from glp_export.tasks.splits import sample
from glp_export.workflows.context import RunContext, load_seeded, make_context
from glp_export.workflows.stages.search import choose_plans
from glp_export.workflows.stages.training import train_contenders
from glp_export.workflows.stages.transfer import with_transfer

NONE = "no transfer"
ARMS: dict[str, tuple[tuple[str, ...], str, bool]] = {
    NONE: ((), "auto", False),
    "near, before": (("near",), "before", False),
    "far, before": (("far",), "before", False),
    "unlabelled": ((), "auto", True),
    "near, before, unlabelled": (("near",), "before", True),
    "near, joint": (("near",), "joint", False),
    "far, joint": (("far",), "joint", False),
    "near and far, auto": (("near", "far"), "auto", False),
}
"""By arm: its auxiliary tasks, `--transfer`, and whether it has texts without labels."""

LOOKS = 8
"""At dev in a training of so many `--updates`."""

CONTENDERS = ("unpruned", "pruned")

EXPLANATION = """\
Test metric in percent, unpruned and pruned ({pruned}); the whole test set, which nothing was chosen
on. Rows are the labelled rows of the target, dev (15 %) included, the same for all arms of a seed.
Auxiliary tasks have at most {auxiliary} rows; texts without labels are {unlabeled} other training
rows of the target. {updates}
"less none" is the difference from no transfer on the same test rows, with the 95 % paired bootstrap
interval over them; the mean is over the seeds that were run. An interval over test rows does not
say how far another training would move a number: with one seed nothing here is settled."""


@dataclass(frozen=True)
class Cell:
    """One arm of one target, number of rows and seed.

    Attributes:
        values: test metric of the unpruned and of the pruned model.
        differences: of each from no transfer: value, low, high; empty for that arm itself.
        auxiliary: what was used, in words.
        seconds: of the whole cell.
    """

    target: str
    metric: str
    rows: int
    seed: int
    arm: str
    values: dict[str, float]
    differences: dict[str, list[float]]
    auxiliary: list[str]
    seconds: float

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.values.items())
        return f"{values}, {self.seconds:.0f} s"


def main() -> None:
    """Parse, measure what is not there yet, and write the table after each cell."""
    measure_cells(parse(), _measured, write_page)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory or hub id")
    parser.add_argument("--target", type=Path, nargs="+", required=True, help="directories")
    parser.add_argument("--near", nargs="+", required=True, help="an auxiliary task a target")
    parser.add_argument("--far", nargs="+", required=True, help="likewise")
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--max-auxiliary-samples", type=int, default=5000)
    parser.add_argument("--unlabeled-samples", type=int, default=2000)
    parser.add_argument("--target-speedup", default="2@1x32", help="of the pruned model")
    parser.add_argument("--latency-table", help="measured before, for all cells")
    parser.add_argument("--final-round", type=int, help="examples of it; 0 skips it")
    parser.add_argument("--depth", type=int, help="so many layers by rule instead of a speedup")
    parser.add_argument("--updates", type=int, help="of every training; else the task's own rule")
    parser.add_argument("--max-length", type=int, help="longest text in tokens, of all tasks")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="what is finished is kept here")
    parser.add_argument("--device", default="this machine", help="words on it for the page")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file for the table")
    return parser.parse_args()


def _measured(arguments: argparse.Namespace, kept: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    """The cells in the order of work: a run that is stopped has whole comparisons."""
    for seed in arguments.seeds:
        for target in arguments.target:
            for rows in arguments.rows:
                for arm in sorted(arguments.arms, key=list(ARMS).index):
                    key = f"{target.name}|{rows}|{seed}|{arm}"
                    if key not in kept:
                        yield key, measure(arguments, target, rows, seed, arm)


def measure(arguments: argparse.Namespace, target: Path, rows: int, seed: int, arm: str) -> Cell:
    """Train and score the models of one arm."""
    begin = time.perf_counter()
    group = arguments.work / f"{target.name}-{rows}-{seed}"
    data, texts = cut(target, group, rows, seed, arguments.unlabeled_samples)
    work = group / arm.replace(", ", "-").replace(" ", "-")
    shutil.rmtree(work, ignore_errors=True)  # of a cell that was not finished
    work.mkdir(parents=True)
    context = _context(arguments, target, data, texts, arm, seed)
    progress = Progress()
    context = _shorter(with_transfer(context, work, progress), arguments.updates)
    trained = train_contenders(context, choose_plans(context, work, progress), work, progress)
    task, truth = context.data.task, truth_of(context.data.task, context.test)
    values, differences = {}, {}
    for name, one in zip(CONTENDERS, trained, strict=True):
        source = ModelSource(str(one.checkpoint))
        model = load_seeded(source, context.data, context.config.training.seed).model
        answers = predict(model, context.test, context.tokenizer)
        np.save(group / f"{arm} {name}.npy", answers)
        values[name] = score(task, answers, truth)
        reference = group / f"{NONE} {name}.npy"
        if arm != NONE and reference.is_file():
            alone: NDArray[np.float32] = np.load(reference)
            found = paired_difference_interval(task, answers, alone, truth)
            differences[name] = [float(value) for value in found]
    shutil.rmtree(work)
    used = context.transfer.lines if context.transfer else ()
    names = {Path(name).name for name in (*arguments.near, *arguments.far)}
    return Cell(
        target=target.name,
        metric=task.metric,
        rows=rows,
        seed=seed,
        arm=arm,
        values=values,
        differences=differences,
        auxiliary=[_without_directories(line, names) for line in used],
        seconds=round(time.perf_counter() - begin, 1),
    )


def _without_directories(line: str, names: set[str]) -> str:
    words = line.split(" ")
    return " ".join(Path(word).name if Path(word).name in names else word for word in words)


def cut(target: Path, group: Path, rows: int, seed: int, texts: int) -> tuple[Path, Path]:
    """The target with so many training rows, every label among them, and other rows as texts."""
    data, unlabeled = group / "data", group / "texts.jsonl"
    if unlabeled.is_file():
        return data, unlabeled
    lines = (target / "train.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    labels = [str(record.get("label")) for record in records]
    few = len(set(labels)) <= rows // 2
    strata = np.unique(labels, return_inverse=True)[1] if few else np.zeros(len(lines), int)
    kept = sample(strata.astype(np.int64), rows, seed)
    others = np.setdiff1d(np.arange(len(lines)), kept)
    drawn = np.random.default_rng(seed).permutation(others)[:texts]
    data.mkdir(parents=True, exist_ok=True)
    (data / "train.jsonl").write_text("".join(f"{lines[row]}\n" for row in kept))
    shutil.copyfile(target / "validation.jsonl", data / "validation.jsonl")
    bare = [{k: v for k, v in records[row].items() if k != "label"} for row in drawn]
    unlabeled.write_text("".join(json.dumps(record) + "\n" for record in bare))
    return data, unlabeled


def _context(
    arguments: argparse.Namespace, target: Path, data: Path, texts: Path, arm: str, seed: int
) -> RunContext:
    which, transfer, unlabeled = ARMS[arm]
    place = arguments.target.index(target)
    tasks = [getattr(arguments, name)[place] for name in which]
    removed: dict[str, Any] = {"target_speedup": arguments.target_speedup}
    for name in ("latency_table", "final_round"):
        if getattr(arguments, name) is not None:
            removed[name] = getattr(arguments, name)
    if arguments.depth:
        removed = {"depth": arguments.depth, "search": "alternate"}
    if arguments.max_length:
        removed["max_length"] = arguments.max_length
    config = resolve(
        {
            "model": arguments.model,
            "dataset": str(data),
            "seed": seed,
            "threads": arguments.threads,
            "precision": ("fp32",),
            "distilled": "none",
            "cache": str(arguments.work / "cache"),
            **removed,
            **(_auxiliary(arguments, tasks, transfer) if tasks else {}),
            **({"unlabeled": str(texts)} if unlabeled else {}),
        }
    )
    return make_context(config)


def _auxiliary(arguments: argparse.Namespace, tasks: list[str], transfer: str) -> dict[str, Any]:
    most = arguments.max_auxiliary_samples
    return {"auxiliary": tasks, "transfer": (transfer,), "max_auxiliary_samples": most}


def _shorter(context: RunContext, updates: int | None) -> RunContext:
    """The context of trainings of so many updates at the middle rate."""
    if updates is None or context.schedule is None:
        return context
    every, rates = max(1, -(-updates // LOOKS)), context.schedule.rates
    schedule = replace(
        context.schedule,
        updates=updates,
        every=every,
        least=updates // 2,
        rates=rates[len(rates) // 2 :][:1],
        tried=0,
    )
    batch = context.final.batch_size
    final = replace(
        context.final,
        learning_rate=schedule.rates[0],
        epochs=updates * batch / len(context.fit),
    )
    return replace(context, schedule=schedule, final=final, candidate=final)


def write_page(arguments: argparse.Namespace, kept: dict[str, Any]) -> None:
    """Write the page as Markdown; cells that were not run are marked."""
    here = machine.describe()
    versions = ", ".join(f"{n} {here.versions[n]}" for n in PACKAGES if n in here.versions)
    pruned = (
        f"{arguments.depth} layers, every other one"
        if arguments.depth
        else (f"heads, neurons and layers, {arguments.target_speedup} by the latency table")
    )
    updates = "Trainings last as long as the task's own rule says, ended by dev."
    if arguments.updates:
        updates = (
            f"Every training is cut to {arguments.updates} updates at one learning rate, the "
            "weights by dev."
        )
    if arguments.max_length:
        updates += f" Texts are cut to {arguments.max_length} tokens."
    text = [
        "# Little data: auxiliary tasks, texts without labels, neither",
        f"{datetime.date.today()}. `python {shown_command()}`",
        f"{arguments.device}; Python {here.python}, {versions}.",
        EXPLANATION.format(
            pruned=pruned,
            auxiliary=arguments.max_auxiliary_samples,
            unlabeled=arguments.unlabeled_samples,
            updates=updates,
        ),
    ]
    cells = [Cell(**one) for one in kept.values()]
    for place, target in enumerate(arguments.target):
        near, far = Path(arguments.near[place]).name, Path(arguments.far[place]).name
        own = [cell for cell in cells if cell.target == target.name]
        metric = own[0].metric if own else "not run"
        text.append(f"## {target.name} ({metric}); near: {near}, far: {far}")
        text.append(markdown([_HEAD, *_lines(arguments, own)], texts=2))
        decided = [
            f"- {cell.rows} rows, seed {cell.seed}: {'; '.join(cell.auxiliary)}."
            for cell in own
            if ARMS[cell.arm][1] == "auto" and cell.auxiliary
        ]
        if decided:
            text += ["What `auto` decided:", "\n".join(decided)]
    spent = sum(cell.seconds for cell in cells)
    text.append(f"The cells that were run took {spent / 60:.0f} minutes.\n")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n\n".join(text), encoding="utf-8")


_HEAD = ("rows", "", "unpruned", "less none", "mean", "pruned", "less none", "mean", "seeds")


def _lines(arguments: argparse.Namespace, own: Sequence[Cell]) -> list[list[str]]:
    lines = []
    for rows in sorted({*arguments.rows, *(cell.rows for cell in own)}):
        for arm in ARMS:
            same = sorted(
                (cell for cell in own if (cell.rows, cell.arm) == (rows, arm)),
                key=lambda cell: cell.seed,
            )
            if not same:
                lines.append([str(rows), arm, "not run", *[""] * (len(_HEAD) - 3)])
                continue
            parts = [part for name in CONTENDERS for part in _columns(same, name)]
            seeds = " / ".join(str(cell.seed) for cell in same)
            lines.append([str(rows), arm, *parts, seeds])
    return lines


def _columns(same: Sequence[Cell], name: str) -> tuple[str, str, str]:
    values = " / ".join(f"{100 * cell.values[name]:.1f}" for cell in same)
    found = [cell.differences[name] for cell in same if name in cell.differences]
    each = " / ".join(
        f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" for value, low, high in found
    )
    average = f"{100 * mean(one[0] for one in found):+.1f}" if found else "–"
    return values, each or "–", average


if __name__ == "__main__":
    main()
