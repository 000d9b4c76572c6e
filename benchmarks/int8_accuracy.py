"""What int8 costs in accuracy, and what brings it back: mixed precision, SmoothQuant, QAT.

    python benchmarks/int8_accuracy.py --model MODEL --data DATA [DATA …] --depth 3

For every task a model is fine-tuned, cut to every other layer and distilled on `fit`, exported, and
made int8 in several ways. Which products stay in float is chosen on `select`; the tables are of the
test set, every file beside the fp32 file of the same depth on the same examples.

`DATA` is a directory of train and validation files or a GLUE task with its directory (`cola=DIR`).
With `--work` what was trained is kept there and taken from there.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from int8_files import calibration_batches, dynamic_int8, static_int8

from glp_export.artifact import OnnxFile, export_onnx, open_session, predict_onnx
from glp_export.artifact import describe as describe_file
from glp_export.compress.compressors.layers.strategies import Problem, order_by_rule
from glp_export.config.files import resolve
from glp_export.core.machine import describe
from glp_export.encoder import (
    RECOVERIES,
    ModelSource,
    TrainingInputs,
    finetune,
    load_model,
    predict,
    remove_layers,
    save_checkpoint,
)
from glp_export.precision.int8 import NARROW, find_matmuls, quantise, smooth
from glp_export.precision.int8.mixed_precision import (
    Kept,
    compare_with,
    divergence,
    fewest_in_float,
)
from glp_export.precision.int8.recipe import DYNAMIC, RECIPES
from glp_export.precision.qat import quantisation_aware
from glp_export.tasks import paired_difference_interval, score, truth_of
from glp_export.workflows.context import RunContext, make_context

BUDGETS = {"matthews_correlation": 0.01, "pearson": 0.01, "spearman": 0.01}
"""Metric points that int8 may cost; 0.005 of the other metrics."""

EXPLANATION = """\
The change of the test metric from the fp32 file to each int8 file, in points (hundredths), with its
95 % paired interval over the test examples; minus is worse. *ORT* is ONNX Runtime's own quantiser
of the exported graph, weights by channel; all others are the files of this package. Static ranges
are of {calibration_rows} examples, smoothing of {smoothing_rows}. "Float" keeps the fewest
multiply-adds in fp32 that bring the drop on `select` within 0.5 points (1 of a correlation): their
share, and the files built to find them. "QAT" is quantisation-aware training on the fp32 model's
own answers to `fit`. "Full" has attention's products and all tables in integers too."""


@dataclass(frozen=True)
class Subject:
    """One task's model of the wanted depth, and what int8 files are made and judged with."""

    context: RunContext
    directory: Path
    rows: int
    smoothing_rows: int

    @property
    def source(self) -> Path:
        """The fp32 file."""
        return self.directory / "model.onnx"

    def answers(self, path: Path, part: str) -> Any:
        """Logits of a file on `select` or `test`."""
        session = open_session(path, threads=self.context.execution.threads)
        rows, kind = getattr(self.context, part), self.context.execution.kind
        return predict_onnx(
            session, rows, self.context.tokenizer, read=kind.read, batch_size=kind.batch_size
        )

    def batches(self) -> list[dict[str, Any]]:
        """Batches of `fit` to see ranges on."""
        return calibration_batches(self.context.fit, self.context.tokenizer, self.rows)

    def build(
        self,
        plain: OnnxFile,
        name: str,
        keep_float: frozenset[str] = frozenset(),
        scope: Literal["matmuls", "full"] = "matmuls",
    ) -> Path:
        """An int8 file by one of the product's recipes."""
        recipe = replace(RECIPES[name], keep_float=keep_float, scope=scope)
        batches = () if name == DYNAMIC else self.batches()
        checkpoint = self.directory / "checkpoint"
        return quantise(
            plain, self.directory / "int8.onnx", checkpoint, recipe, batches=batches
        ).path

    @property
    def max_drop(self) -> float:
        """What int8 may cost."""
        return BUDGETS.get(self.context.data.task.metric, 0.005)


@dataclass(frozen=True)
class Outcome:
    """One int8 file of one task, on the test set."""

    way: str
    change: tuple[float, float, float]
    divergence: float
    note: str = ""


def main() -> None:
    """Parse, measure, print the tables and write them."""
    arguments = parse()
    logging.disable(logging.WARNING)
    found: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="glp-int8-") as scratch:
        for data in arguments.data:
            work = arguments.work or Path(scratch)
            subject = prepare(arguments, data, work / Path(data).name)
            reference = subject.answers(subject.source, "test")
            task = subject.context.data.task
            labels = truth_of(task, subject.context.test)
            title = f"{task.name} | {task.metric} | {100 * score(task, reference, labels):.1f}"
            found[title] = []
            for way, path, note in files(subject):
                logits = subject.answers(path, "test")
                change = paired_difference_interval(task, logits, reference, labels)
                mean = reference.mean(axis=0, keepdims=True)
                distance = divergence(logits, reference) / divergence(reference, mean)
                found[title].append(Outcome(way, change, distance, note))
                print(data, found[title][-1], file=sys.stderr, flush=True)
            text = tables(found, arguments)
            if arguments.output:
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                arguments.output.write_text(text + "\n")
    print(text)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory or hub id")
    parser.add_argument("--data", required=True, nargs="+", help="directories")
    parser.add_argument("--depth", type=int, required=True, help="layers that stay")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--max-train-samples", type=int)
    parser.add_argument("--calibration-rows", type=int, default=128)
    parser.add_argument("--smoothing-rows", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--work", type=Path, help="keep trained models here")
    parser.add_argument("--output", type=Path, help="Markdown file for the tables")
    return parser.parse_args()


def prepare(arguments: argparse.Namespace, data: str, directory: Path) -> Subject:
    """The fp32 file of one task, trained unless it is there."""
    task, _, dataset = data.rpartition("=")
    wishes = ("model", "depth", "epochs", "learning_rate", "max_train_samples", "seed", "threads")
    config = resolve(
        {name: getattr(arguments, name) for name in wishes}
        | {"dataset": dataset, "cache": "none"}
        | ({"task": task} if task else {})
    )
    context = make_context(config)
    subject = Subject(context, directory, arguments.calibration_rows, arguments.smoothing_rows)
    if not subject.source.is_file():
        teacher = finetune(context.pretrained(), context.fit, context.tokenizer, context.final)
        answers = predict(teacher, context.fit, context.tokenizer)
        inputs = TrainingInputs(
            context.fit, context.tokenizer, answers, context.final, context.distillation
        )
        order = order_by_rule("alternate", Problem(context.stack.removable, context.cuts))
        student = RECOVERIES["distill"].train(remove_layers(teacher, order), inputs, None)
        export(subject, student, directory / "checkpoint", subject.source)
    return subject


def export(subject: Subject, model: Any, checkpoint: Path, path: Path) -> Path:
    """Save and export a model."""
    save_checkpoint(model, subject.context.tokenizer, checkpoint)
    task = subject.context.execution.kind.export_task
    return export_onnx(
        checkpoint, path, export_task=task, threads=subject.context.execution.threads
    ).path


def files(subject: Subject) -> Iterator[tuple[str, Path, str]]:
    """Every int8 file of a task: the way it was made, where it is, what is to be said of it."""
    directory, plain = subject.directory, describe_file(subject.source)
    threads = subject.context.execution.threads
    yield "ORT dynamic", dynamic_int8(plain.path, directory / "ort_dynamic.onnx"), ""
    yield (
        "ORT static",
        static_int8(plain.path, directory / "ort_static.onnx", subject.batches()),
        "",
    )
    for name in RECIPES:
        yield name, subject.build(plain, name), ""
    rows = calibration_batches(
        subject.context.fit, subject.context.tokenizer, subject.smoothing_rows
    )
    smoothed = smooth(plain, directory / "smoothed.onnx", rows, threads=threads)
    for name in RECIPES:
        yield f"{name}, smoothed", subject.build(smoothed, name), ""
    for name in RECIPES:
        if name != DYNAMIC:
            yield f"full, {name}", subject.build(plain, name, scope="full"), ""
            yield f"full, {name}, smoothed", subject.build(smoothed, name, scope="full"), ""
    kept = search(subject, plain)
    path = subject.build(plain, DYNAMIC, kept.keep_float)
    yield f"{DYNAMIC}, float", path, f"{100 * kept.share:.0f} %, {len(kept.trials)} files"
    trained = export(subject, inputs(subject), directory / "qat", directory / "qat.onnx")
    yield f"{DYNAMIC}, QAT", subject.build(describe_file(trained), DYNAMIC), ""


def search(subject: Subject, plain: OnnxFile) -> Kept:
    """Which products stay in float, chosen on `select`."""
    reference = subject.answers(subject.source, "select")
    labels = truth_of(subject.context.data.task, subject.context.select)
    return fewest_in_float(
        {one.name: float(one.work) for one in find_matmuls(plain) if one.columns >= NARROW},
        lambda keep: subject.answers(subject.build(plain, DYNAMIC, keep), "select"),
        reference,
        compare_with(subject.context.data.task, reference, labels),
        max_drop=subject.max_drop,
    )


def inputs(subject: Subject) -> Any:
    """The model after one epoch of quantisation-aware training on its own answers."""
    context = subject.context
    model = load_model(ModelSource(str(subject.directory / "checkpoint")), context.data.task)
    settings = replace(context.final, epochs=1.0, learning_rate=context.final.learning_rate / 4)
    own = TrainingInputs(
        examples=context.fit,
        tokenizer=context.tokenizer,
        teacher_logits=predict(model, context.fit, context.tokenizer),
        settings=settings,
        distillation=replace(context.distillation, weight=1.0, rate=1.0),
    )
    return quantisation_aware(model, own)


def tables(found: dict[str, list[Outcome]], arguments: argparse.Namespace) -> str:
    """Markdown: changes of the metric, and distances of the logits."""
    machine = describe()
    command = " ".join(Path(part).name if "/" in part else part for part in sys.argv)
    ways = [outcome.way for outcome in next(iter(found.values()))]
    head = f"| task | metric | fp32 | {' | '.join(ways)} |"
    rule = "|---" * (3 + len(ways)) + "|"
    lines = [
        f"# int8 accuracy: {Path(arguments.model).name} at {arguments.depth} layers",
        "",
        f"{time.strftime('%Y-%m-%d')}, {machine.cpu}, onnxruntime "
        f"{machine.versions['onnxruntime']}, torch {machine.versions['torch']}; seed "
        f"{arguments.seed}.",
        "",
        EXPLANATION.format(**vars(arguments)),
        "",
        f"`python {command}`",
        "",
        head,
        rule,
        *(f"| {title} | {' | '.join(map(changed, row))} |" for title, row in found.items()),
        "",
        "Mean squared distance of the logits from the fp32 file's, over their own variance, in "
        "thousandths; the product smooths where `dynamic` is above 1:",
        "",
        head,
        rule,
        *(
            f"| {title} | {' | '.join(f'{1000 * cell.divergence:.2f}' for cell in row)} |"
            for title, row in found.items()
        ),
    ]
    return "\n".join(lines)


def changed(outcome: Outcome) -> str:
    """One cell: the change of the metric with its interval."""
    middle, low, high = (100 * value for value in outcome.change)
    note = f"; {outcome.note}" if outcome.note else ""
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f}{note})"


if __name__ == "__main__":
    main()
