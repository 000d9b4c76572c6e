"""Which cheap look at a candidate foretells what it is worth in the end?

    python benchmarks/search_evidence.py --model MODEL --data DIR --depth 3 --max-train-samples 2000

Every set of layers that leaves `--depth` of them is recovered in full and scored on the test set.
Beside that stands what can be known of it earlier: after no training or a short one, the score and
the divergence of its own head, and the loss of a head that was refitted to it, all on `select`.
The table gives the rank correlation of each with the final score, and the final score of the set
that each would have picked.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean

import numpy as np
from scipy.special import log_softmax
from scipy.stats import spearmanr

from glp_export.compress.search.context import run_trial
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.compress.search.trial import Removed, Trial
from glp_export.config.files import resolve
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, predict, remove_layers
from glp_export.tasks import score
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages.evaluator import (
    Teacher,
    open_cache,
    open_evaluator,
    train_teacher,
)

EXAMPLES = (0, 128, 384, 768)


@dataclass(frozen=True)
class Look:
    """One kind of evidence: after how many examples, and what is looked at; larger is better."""

    examples: int
    name: str


def main() -> None:
    """Parse, measure, print the table and write it."""
    arguments = parse()
    logging.disable(logging.WARNING)
    context = make_context(
        resolve(
            {
                "model": arguments.model,
                "dataset": arguments.data,
                "depth": arguments.depth,
                "seed": arguments.seed,
                "epochs": arguments.epochs,
                "max_train_samples": arguments.max_train_samples,
                "threads": arguments.threads,
                "cache": arguments.cache,
            }
        )
    )
    cache = open_cache(context, Path("unused"))
    teacher = train_teacher(context, cache, Progress())
    found: dict[Removed, tuple[float, dict[Look, float]]] = {}
    with open_evaluator(context, RECOVERIES["distill"], teacher, cache, Progress()) as evaluator:
        for removed in combinations(context.stack.removable, context.cuts):
            final = recovered(context, evaluator, teacher, removed)
            found[removed] = final, dict(looks(context, evaluator, teacher, removed))
            print(f"{list(removed)} {final:.4f}", file=sys.stderr, flush=True)
    text = table(context, found, arguments)
    print(text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory or hub id")
    parser.add_argument("--data", required=True, help="directory of train and validation files")
    parser.add_argument("--depth", type=int, required=True, help="layers that stay")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--max-train-samples", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", default="none")
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    return parser.parse_args()


def recovered(
    context: RunContext, evaluator: TrialEvaluator, teacher: Teacher, removed: Removed
) -> float:
    """The test score of the model without these layers after the whole training on `fit`."""
    inputs = evaluator.context.inputs
    student = RECOVERIES["distill"].train(remove_layers(teacher.model, removed), inputs, None)
    logits = predict(student, context.test, context.tokenizer)
    return score(context.data.task, logits, context.test["labels"][:])


def looks(
    context: RunContext, evaluator: TrialEvaluator, teacher: Teacher, removed: Removed
) -> Iterator[tuple[Look, float]]:
    """What is known of a set of layers after each training."""
    wanted = log_softmax(teacher.predictions, axis=-1)
    for examples in EXAMPLES:
        outcome = run_trial(evaluator.context, Trial(removed, examples))
        given = log_softmax(outcome.logits, axis=-1)
        divergence = mean((np.exp(wanted) * (wanted - given)).sum(axis=-1).tolist())
        yield Look(examples, "own head: score"), outcome.candidate.score
        yield Look(examples, "own head: divergence from the teacher"), -divergence
        yield Look(examples, "refitted head: loss"), -float(outcome.candidate.loss or 0.0)


def table(
    context: RunContext,
    found: dict[Removed, tuple[float, dict[Look, float]]],
    arguments: argparse.Namespace,
) -> str:
    """Markdown: a row for each kind of evidence, then every set of layers."""
    machine, finals = describe(), [final for final, _ in found.values()]
    best = max(found, key=lambda removed: found[removed][0])
    lines = [
        f"# What foretells a candidate's worth: {context.data.task.name}, "
        f"{Path(arguments.model).name} to {arguments.depth} layers",
        "",
        f"{time.strftime('%Y-%m-%d')}, {machine.cpu}, torch {machine.versions['torch']}. "
        f"{len(found)} sets of layers, each recovered on {len(context.fit)} examples for "
        f"{arguments.epochs:g} epochs, seed {arguments.seed}; looks on {len(context.select)} rows. "
        f"Test {context.data.task.metric} of the sets: mean {100 * mean(finals):.1f}, worst "
        f"{100 * min(finals):.1f}, best {100 * max(finals):.1f} (without {list(best)}).",
        "",
        "| examples | evidence | rank correlation with the final score | final score of its pick |",
        "|---:|---|---:|---:|",
    ]
    for look in next(iter(found.values()))[1]:
        calibration = {removed: seen[look] for removed, (_, seen) in found.items()}
        correlation = spearmanr(list(calibration.values()), finals).statistic
        pick = max(calibration, key=calibration.__getitem__)
        lines.append(
            f"| {look.examples} | {look.name} | {correlation:+.2f} | {100 * found[pick][0]:.1f} |"
        )
    lines += ["", "| without | final score |", "|---|---:|"]
    for removed, (final, _) in sorted(found.items(), key=lambda one: -one[1][0]):
        lines.append(f"| {' '.join(map(str, removed))} | {100 * final:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
