"""Does the choice of layers matter, and does recovery? One table for a model and its tasks.

    python benchmarks/search_quality.py --model MODEL --data DATA [DATA …] --depth 3

For every seed the unpruned model is fine-tuned, the paper's greedy search is run, and models of
the same depth are recovered in several ways. All see the same examples for as many epochs; layers
are chosen on `select`, the table is of the test set.

`DATA` is a directory of train and validation files, or `demo`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

from glp_export.config import resolve
from glp_export.encoder import (
    RECOVERIES,
    Lesson,
    finetune,
    predict,
    remove_layers,
)
from glp_export.machine import describe
from glp_export.progress import Progress
from glp_export.search import STRATEGIES, Plan, Problem
from glp_export.setup import Setup, set_up
from glp_export.tasks import score
from glp_export.training_stages import choose_layers

ROWS = (
    ("unpruned", None, None),
    ("greedy, fine-tuned (the paper)", "greedy", "finetune"),
    ("greedy, distilled", "greedy", "distill"),
    ("top, fine-tuned", "top", "finetune"),
    ("top, distilled", "top", "distill"),
    ("alternate, fine-tuned", "alternate", "finetune"),
    ("alternate, distilled (the student)", "alternate", "distill"),
)


@dataclass(frozen=True)
class Outcome:
    """What one row of the table came to with one seed."""

    row: str
    task: str
    metric: str
    layers: tuple[int, ...]
    value: float
    search_seconds: float
    search_trainings: int


def main() -> None:
    """Parse, measure, print the table and write it."""
    arguments = parse()
    logging.disable(logging.WARNING)
    outcomes = [
        outcome
        for data in arguments.data
        for seed in arguments.seeds
        for outcome in measure(arguments, data, seed)
    ]
    text = table(outcomes, arguments)
    print(text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory, hub id or `demo`")
    parser.add_argument("--data", required=True, nargs="+", help="directories, or `demo`")
    parser.add_argument("--depth", type=int, required=True, help="layers that stay")
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--search-epochs", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--max-train-samples", type=int)
    parser.add_argument("--max-search-samples", type=int)
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, data: str, seed: int) -> Iterator[Outcome]:
    """All rows of one task with one seed."""
    settings = {
        "model": arguments.model,
        "depth": arguments.depth,
        "seed": seed,
        "epochs": arguments.epochs,
        "search_epochs": arguments.search_epochs,
        "learning_rate": arguments.learning_rate,
        "max_train_samples": arguments.max_train_samples,
        "max_search_samples": arguments.max_search_samples,
        "task" if data == "demo" else "dataset": data,
    }
    setup = set_up(resolve(settings))
    teacher = finetune(setup.pretrained(), setup.train, setup.tokenizer, setup.final)
    lesson = Lesson(
        examples=setup.train,
        tokenizer=setup.tokenizer,
        teacher_logits=predict(teacher, setup.train, setup.tokenizer),
        settings=setup.final,
        distillation=setup.distillation,
    )
    plan = search(setup)
    for row, strategy, recovery in ROWS:
        removed: tuple[int, ...] = ()
        model = teacher
        if strategy is not None:
            removed = plan.order if strategy == "greedy" else rule(setup, strategy)
            how = RECOVERIES[recovery]
            ancestor = teacher if how.inherits else setup.pretrained()
            model = how.teach(remove_layers(ancestor, removed), lesson, None)
        logits = predict(model, setup.test, setup.tokenizer)
        value = score(setup.data.task, logits, setup.test["labels"][:])
        cost = plan.cost if strategy == "greedy" else Plan.model_fields["cost"].default
        task, metric = setup.data.task.name, setup.data.task.metric
        yield Outcome(row, task, metric, removed, value, cost.seconds, cost.trainings)
        print(f"{task} seed {seed}: {row} {value:.4f} {list(removed)}", file=sys.stderr)


def search(setup: Setup) -> Plan:
    """The paper's search."""
    with TemporaryDirectory(prefix="glp-quality-") as scratch:
        return choose_layers(setup, Path(scratch), Progress())


def rule(setup: Setup, strategy: str) -> tuple[int, ...]:
    """The layers that a rule without scores removes."""
    problem = Problem(setup.problem.layers, setup.problem.cuts)
    choices = STRATEGIES[strategy].choose(problem, lambda _: [])
    return tuple(layer for choice in choices for layer in choice.removed)


def table(outcomes: list[Outcome], arguments: argparse.Namespace) -> str:
    """One Markdown table: a row a contender, mean ± standard deviation over the seeds."""
    machine = describe()
    seeds = " ".join(map(str, arguments.seeds))
    lines = [
        f"# Search quality: {arguments.model} to {arguments.depth} layers",
        "",
        f"{time.strftime('%Y-%m-%d')}, {machine.cpu}, {machine.usable_cores} threads, "
        f"torch {machine.versions['torch']}, transformers {machine.versions['transformers']}. "
        f"Mean ± standard deviation over seeds {seeds}, in percent of the test set.",
        "",
        f"`{' '.join(['python', *sys.argv])}`",
        "",
        "| task | contender | metric | value | each seed | layers removed | search |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in dict.fromkeys(outcome.task for outcome in outcomes):
        for row, _, _ in ROWS:
            same = [o for o in outcomes if (o.task, o.row) == (task, row)]
            values = [100 * outcome.value for outcome in same]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            removed = "; ".join(dict.fromkeys(" ".join(map(str, o.layers)) for o in same)) or "–"
            seconds = mean(outcome.search_seconds for outcome in same)
            cost = f"{same[0].search_trainings} trainings, {seconds:.0f} s" if seconds else "–"
            each = " ".join(f"{value:.1f}" for value in values)
            lines.append(
                f"| {task} | {row} | {same[0].metric} | {mean(values):.1f}{spread} | {each} | "
                f"{removed} | {cost} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
