"""What does choosing the layers cost, and what is the choice worth? One table for many tasks.

    python benchmarks/search_cost.py --model MODEL --data DATA [DATA …] --depth 3 --cache DIR

For every task and seed: the unpruned model, the paper's choice with the paper's fine-tuning, and
models of the same depth whose layers were chosen in several ways, all recovered by distilling.
All see the same examples for as many epochs. Layers are chosen on `select`; the table is of the
test set. `--ablations` adds the search without each of its ingredients.

`DATA` is a directory of train and validation files, a GLUE task with its directory (`cola=DIR`),
or `demo`. Searches are taken from the cache where it has them; their cost is what they cost then.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.compressors.layers.strategies import (
    RULES,
    STRATEGIES,
    Problem,
    order_by_rule,
)
from glp_export.compress.compressors.layers.strategies.fast_greedy import (
    FAST_GREEDY,
    FastGreedy,
)
from glp_export.compress.plan import Cost, Plan
from glp_export.config.files import resolve
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import (
    RECOVERIES,
    DistillSettings,
    TrainingInputs,
    finetune,
    predict,
    remove_layers,
)
from glp_export.tasks import Task, paired_difference_interval, score
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages.search import choose_plans


@dataclass(frozen=True)
class Row:
    """A line of the table: how layers are chosen, and how the model is recovered."""

    name: str
    strategy: str | None
    recovery: str = "distill"
    ablation: bool = False


OURS, PAPER = "fast-greedy, distilled", "greedy, fine-tuned (the paper)"

ROWS = (
    Row("unpruned", None),
    Row(PAPER, "greedy", "finetune"),
    Row("greedy, distilled", "greedy"),
    Row(OURS, "fast-greedy"),
    Row("alternate, distilled (the student)", "alternate"),
    Row("symmetric, distilled", "symmetric"),
    Row("top, distilled", "top"),
    Row("fast-greedy, fine-tuned", "fast-greedy", "finetune", ablation=True),
    Row("fast-greedy, distilled slowly", "fast-greedy", "slowly", ablation=True),
    Row("without trainings and play-off, distilled", "no-training", ablation=True),
    Row("without play-off, distilled", "no-play-off", ablation=True),
)

VARIANTS = {
    "no-training": FastGreedy(examples_per_candidate=0, finals=()),
    "no-play-off": FastGreedy(finals=()),
}

SLOWLY = DistillSettings(weight=0.9, rate=1.0, warmup_ratio=0.0)


@dataclass(frozen=True)
class Outcome:
    """What one row came to with one task and seed."""

    row: str
    task: Task
    data: str
    seed: int
    layers: tuple[int, ...]
    value: float
    logits: NDArray[np.float32]
    labels: list[float]
    cost: Cost


def main() -> None:
    """Parse, measure, print the table and write it."""
    arguments = parse()
    logging.disable(logging.WARNING)
    STRATEGIES.update(
        {
            name: replace(FAST_GREEDY, name=name, choose=v.choose, search_cost=v.search_cost)
            for name, v in VARIANTS.items()
        }
    )
    outcomes: list[Outcome] = []
    for data in arguments.data:
        for seed in arguments.seeds:
            outcomes += measure(arguments, data, seed)
            text = table(outcomes, arguments)
            if arguments.output:  # after every seed: hours of work are not lost to a kill
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                arguments.output.write_text(text + "\n")
    print(text)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory, hub id or `demo`")
    parser.add_argument("--data", required=True, nargs="+", help="directories, or `demo`")
    parser.add_argument("--depth", type=int, required=True, help="layers that stay")
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--max-train-samples", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", help="directory of searches, `none` for no cache")
    parser.add_argument("--skip", nargs="*", default=[], help="rows to leave out, by strategy")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace, data: str, seed: int) -> dict[str, object]:
    """The configuration of one task and seed."""
    task, _, directory = data.partition("=") if "=" in data else ("", "", data)
    where = {"task": "demo"} if data == "demo" else {"dataset": directory}
    return {
        "model": arguments.model,
        "depth": arguments.depth,
        "seed": seed,
        "epochs": arguments.epochs,
        "learning_rate": arguments.learning_rate,
        "max_train_samples": arguments.max_train_samples,
        "threads": arguments.threads,
        "cache": arguments.cache,
        **({"task": task} if task else {}),
        **where,
    }


def measure(arguments: argparse.Namespace, data: str, seed: int) -> Iterator[Outcome]:
    """All rows of one task with one seed."""
    config = resolve(settings_of(arguments, data, seed))
    context = make_context(config)
    teacher = finetune(context.pretrained(), context.train, context.tokenizer, context.final)
    inputs = TrainingInputs(
        examples=context.train,
        tokenizer=context.tokenizer,
        teacher_logits=predict(teacher, context.train, context.tokenizer),
        settings=context.final,
        distillation=context.distillation,
    )
    labels = context.test["labels"][:]
    for row in ROWS:
        if row.strategy in arguments.skip or (row.ablation and not arguments.ablations):
            continue
        model, plan = teacher, None
        if row.strategy is not None:
            plan = plan_of(context, row.strategy, arguments)
            own = replace(inputs, distillation=SLOWLY) if row.recovery == "slowly" else inputs
            recovery = RECOVERIES["finetune" if row.recovery == "finetune" else "distill"]
            ancestor = teacher if recovery.inherits else context.pretrained()
            model = recovery.train(remove_layers(ancestor, plan.order), own, None)
        logits = predict(model, context.test, context.tokenizer)
        value = score(context.data.task, logits, labels)
        order, cost = (plan.order, plan.cost) if plan else ((), Cost())
        print(f"{data} seed {seed}: {row.name} {value:.4f} {list(order)} {cost}", file=sys.stderr)
        yield Outcome(row.name, context.data.task, data, seed, order, value, logits, labels, cost)


def plan_of(context: RunContext, strategy: str, arguments: argparse.Namespace) -> Plan:
    """The layers that a strategy removes, with what it cost to find them."""
    problem = Problem(context.stack.removable, context.cuts)
    if strategy in RULES:
        facts = {"base_model": "", "num_layers": context.stack.num_layers, "task": "", "metric": ""}
        return Plan.of_layers(order_by_rule(strategy, problem), **facts, strategy=strategy)
    asked = replace(context, config=context.config.updated(search=strategy))
    return choose_plans(asked, Path("unused"), Progress())[-1].plan


def table(outcomes: list[Outcome], arguments: argparse.Namespace) -> str:
    """Markdown: a table for each task, one over all tasks."""
    machine = describe()
    seeds = " ".join(map(str, dict.fromkeys(outcome.seed for outcome in outcomes)))
    lines = [
        f"# Search cost and quality: {Path(arguments.model).name} to {arguments.depth} layers",
        "",
        f"{time.strftime('%Y-%m-%d')}, {machine.cpu}, {arguments.threads or machine.usable_cores} "
        f"thread(s), torch {machine.versions['torch']}, "
        f"transformers {machine.versions['transformers']}. Test set, percent, seeds {seeds}; "
        "± is the standard deviation over seeds; the last column compares with fast-greedy on "
        "the same examples of all seeds (95 % paired bootstrap). M is millions of training "
        "examples times the layers that they pass through, the search's teacher included.",
        "",
        f"`python {' '.join([Path(sys.argv[0]).name, *shown(sys.argv[1:])])}`",
    ]
    for data in dict.fromkeys(outcome.data for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.data == data]
        lines += ["", f"## {own[0].task.name} ({own[0].task.metric})", ""]
        lines += [
            "| | value | each seed | layers removed | search | its cost | less fast-greedy |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [line(name, own) for name in dict.fromkeys(outcome.row for outcome in own)]
    return "\n".join([*lines, "", *averages(outcomes)])


def line(name: str, own: list[Outcome]) -> str:
    """One contender of one task."""
    same = [outcome for outcome in own if outcome.row == name]
    values = [100 * outcome.value for outcome in same]
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    removed = "; ".join(" ".join(map(str, outcome.layers)) for outcome in same) or "–"
    each = " ".join(f"{value:.1f}" for value in values)
    return (
        f"| {name} | {mean(values):.1f}{spread} | {each} | {removed} | {spent(same)} | "
        f"{relative_cost(same, own)} | {difference(same, own)} |"
    )


def spent(same: list[Outcome]) -> str:
    """What the searches of a row cost on average."""
    if not any(outcome.cost.seconds for outcome in same):
        return "–"
    trained = mean(outcome.cost.sample_layers for outcome in same) / 1e6
    scored = mean(outcome.cost.scored_sample_layers for outcome in same) / 1e6
    seconds = mean(outcome.cost.seconds for outcome in same)
    return f"{trained:.2f} M trained, {scored:.2f} M scored, {seconds:.0f} s"


def relative_cost(same: list[Outcome], own: list[Outcome]) -> str:
    """The searches' cost over the paper's, in training-sample-layers and in seconds."""
    paper = [outcome for outcome in own if outcome.row == PAPER]
    if not paper or not any(outcome.cost.seconds for outcome in same):
        return "–"
    layers, seconds = (
        mean(getattr(p.cost, unit) for p in paper) / mean(getattr(o.cost, unit) for o in same)
        for unit in ("sample_layers", "seconds")
    )
    return f"1/{layers:.1f} of the training, 1/{seconds:.1f} of the time"


def difference(same: list[Outcome], own: list[Outcome]) -> str:
    """How far a row is from ours, on the same examples of the same seeds."""
    ours = [outcome for outcome in own if outcome.row == OURS]
    if not ours or same[0].row == OURS or len(ours) != len(same):
        return "–"
    a, b = (np.concatenate([outcome.logits for outcome in part]) for part in (same, ours))
    labels = np.concatenate([outcome.labels for outcome in ours])
    middle, low, high = paired_difference_interval(same[0].task, a, b, labels)
    return f"{100 * middle:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def averages(outcomes: list[Outcome]) -> list[str]:
    """Every contender over all tasks, and what it retains of the unpruned model."""
    tasks = list(dict.fromkeys(outcome.data for outcome in outcomes))
    lines = ["## Average over tasks", "", "| | mean | of the unpruned |", "|---|---|---|"]
    whole = {task: average(outcomes, "unpruned", task) for task in tasks}
    for name in dict.fromkeys(outcome.row for outcome in outcomes):
        values = {task: average(outcomes, name, task) for task in tasks}
        if None in values.values():
            continue
        kept = mean(values[task] / whole[task] for task in tasks)
        lines.append(f"| {name} | {100 * mean(values.values()):.1f} | {100 * kept:.1f} % |")
    return lines


def average(outcomes: list[Outcome], row: str, data: str) -> float | None:
    """Mean over the seeds of one contender on one task."""
    values = [o.value for o in outcomes if (o.row, o.data) == (row, data)]
    return mean(values) if values else None


def shown(arguments: list[str]) -> list[str]:
    """The command line without this machine's directories."""
    return [Path(part).name if "/" in part else part for part in arguments]


if __name__ == "__main__":
    main()
