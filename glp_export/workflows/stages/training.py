"""The stage that trains: every contender is brought to its best.

Each keeps what it made in the run's work directory and takes it from there when resumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.bench import ContenderName
from glp_export.compress.compressors.layers.strategies import Problem, order_by_rule
from glp_export.compress.plan import Plan
from glp_export.core.errors import UsageError
from glp_export.core.numbers import layers_in_words
from glp_export.core.progress import Progress
from glp_export.encoder import (
    RECOVERIES,
    ModelSource,
    Recovery,
    TrainingInputs,
    finetune,
    infer_kind,
    load_tokenizer,
    match_inputs,
    predict,
    remove_layers,
    save_checkpoint,
)
from glp_export.tasks import blank_labels, encode, labels_of, with_labels
from glp_export.workflows.context import RunContext, length_of, load_seeded, model_source

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STUDENT, NONE = "student", "none"


@dataclass(frozen=True)
class Trained:
    """A contender after its final training.

    Attributes:
        contender: `unpruned`, `pruned` or `distilled`.
        origin: the model that it comes from, for people.
        test: the test set, encoded by its own tokenizer.
        other_tests: further test sets, likewise, by name.
    """

    contender: ContenderName
    origin: str
    checkpoint: Path
    tokenizer: PreTrainedTokenizerBase
    test: Dataset
    other_tests: Mapping[str, Dataset] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """How many it has; read from its checkpoint."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self.checkpoint, local_files_only=True)
        return int(config.num_hidden_layers)

    @property
    def label(self) -> str:
        """What tells it from the others: `pruned, 6 layers`."""
        return f"{self.contender}, {layers_in_words(self.layers)}"


def train_contenders(
    context: RunContext, plans: Sequence[Plan], work: Path, progress: Progress
) -> list[Trained]:
    """Train the unpruned, the pruned and the distilled models on the same examples.

    The unpruned model is the teacher as well, of every depth. A made student lacks alternate
    layers, as DistilBERT does, and imitates the same teacher for as many steps.

    Args:
        plans: one for each depth.
    """
    given = context.execution.kind.loss is None
    title = "take the unpruned as it is" if given else "fine-tune the unpruned"
    teacher = _train(context, work / "unpruned", title, progress, _fine_tuned_unpruned(context))
    unpruned = _saved_model(context, teacher)
    rows = _training_rows(context, unpruned)
    examples = context.train if context.unlabeled is None else _encode(context, rows)
    inputs = TrainingInputs(
        examples=examples,
        tokenizer=context.tokenizer,
        teacher_logits=predict(
            unpruned, examples, context.tokenizer, device=context.execution.device
        ),
        settings=context.final,
        distillation=context.distillation,
    )
    students = _StudentTraining(context, unpruned, rows, inputs, work, progress)
    return [
        _own(context, "unpruned", context.source.name, teacher),
        *(_pruned(students, plan) for plan in plans),
        *_distilled(students, plans),
    ]


Make = Callable[[Callable[[int, int], None]], "PreTrainedModel"]
"""Trains a model, reporting its steps."""


def _training_rows(context: RunContext, unpruned: PreTrainedModel) -> Dataset:
    """The training rows, and after them the unlabelled texts with the labels the teacher gives."""
    from datasets import concatenate_datasets

    texts, task = context.unlabeled, context.data.task
    if texts is None:
        return context.data.train
    blank = with_labels(texts, blank_labels(texts, task), task)
    if context.execution.kind.blank:
        return concatenate_datasets([context.data.train, blank])
    unknown = _encode(context, blank)
    predictions = predict(unpruned, unknown, context.tokenizer, device=context.execution.device)
    found = labels_of(predictions, task)
    return concatenate_datasets([context.data.train, with_labels(texts, found, task)])


def _encode(context: RunContext, rows: Dataset) -> Dataset:
    return encode(rows, context.data.task, context.tokenizer, context.max_length)


@dataclass(frozen=True)
class _StudentTraining:
    """What all shallower models are trained with; `rows` is what the lesson is encoded from."""

    context: RunContext
    unpruned: PreTrainedModel
    rows: Dataset
    inputs: TrainingInputs
    work: Path
    progress: Progress

    def train(self, name: str, title: str, recovery: Recovery, removed: tuple[int, ...]) -> Path:
        """Train the model without these layers; it is kept under its name and depth."""
        depth = self.context.stack.num_layers - len(removed)

        def make(report: Callable[[int, int], None]) -> PreTrainedModel:
            ancestor = self.unpruned if recovery.inherits else self.context.pretrained()
            return recovery.train(remove_layers(ancestor, removed), self.inputs, report)

        title = f"{title}, {layers_in_words(depth)}"
        return _train(self.context, self.work / f"{name}-{depth}", title, self.progress, make)


def _pruned(students: _StudentTraining, plan: Plan) -> Trained:
    context, recovery = students.context, RECOVERIES[students.context.config.recover]
    checkpoint = students.train("pruned", f"{recovery.name} the pruned", recovery, plan.order)
    return _own(context, "pruned", context.source.name, checkpoint)


def _distilled(students: _StudentTraining, plans: Sequence[Plan]) -> list[Trained]:
    """A student for each plan, or the one rival that was named."""
    wanted = students.context.config.distilled
    if wanted == NONE:
        return []
    if wanted != STUDENT:
        return [_distilled_rival(students, wanted)]
    return [_made_student(students, plan) for plan in plans]


def _made_student(students: _StudentTraining, plan: Plan) -> Trained:
    context = students.context
    alternate = order_by_rule("alternate", Problem(context.stack.removable, len(plan.order)))
    if set(alternate) == set(plan.order):
        students.progress.say(
            f"at {layers_in_words(plan.depth)} the plan removes alternate layers: "
            "pruned and distilled start alike"
        )
    checkpoint = students.train(
        "distilled", "distill the student", RECOVERIES["distill"], alternate
    )
    return _own(context, "distilled", f"alternate layers of {context.source.name}", checkpoint)


def _distilled_rival(students: _StudentTraining, name: str) -> Trained:
    """Train another model on the same examples, in the same way, by its own tokenizer."""
    context, inputs = students.context, students.inputs
    source = model_source(context.config, name)
    tokenizer = load_tokenizer(source)
    model = load_seeded(source, context.data, context.config.seed)
    match_inputs(tokenizer, model, where=name)
    task, length = context.data.task, length_of(context.config, tokenizer)
    examples = encode(students.rows, task, tokenizer, length)
    _require_comparable(context, source, inputs, examples)
    own_inputs = TrainingInputs(
        examples=examples,
        tokenizer=tokenizer,
        teacher_logits=inputs.teacher_logits,
        settings=inputs.settings,
        distillation=inputs.distillation,
    )

    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return RECOVERIES[context.config.recover].train(model, own_inputs, report)

    title = f"{context.config.recover} {Path(name).name}"
    checkpoint = _train(
        context, students.work / "distilled", title, students.progress, make, tokenizer
    )
    test, *others = (
        encode(rows, task, tokenizer, length)
        for rows in (context.data.test, *context.data.other_tests.values())
    )
    others_by_name = dict(zip(context.data.other_tests, others, strict=True))
    return Trained("distilled", name, checkpoint, tokenizer, test, others_by_name)


def _require_comparable(
    context: RunContext, source: ModelSource, inputs: TrainingInputs, examples: Dataset
) -> None:
    """Check that a rival's answers stand where the teacher's do.

    Raises:
        UsageError: it pools tokens in another way, or answers for each of other tokens.
    """
    kind = infer_kind(context.data.task, source).kind
    of_tokens = inputs.teacher_logits is not None and inputs.teacher_logits.ndim > 2
    other = of_tokens and examples["input_ids"][:] != inputs.examples["input_ids"][:]
    if kind != context.data.task.kind or other:
        raise UsageError(
            "its tokenizer cuts texts otherwise, and every token has its answer here"
            if other
            else f"it is for {kind}, and the model that is pruned for {context.data.task.kind}",
            where=f"--distilled {source.name}",
            fix="name a model of the same kind, or --distilled student",
        )


def _fine_tuned_unpruned(context: RunContext) -> Make:
    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return finetune(
            context.pretrained(), context.train, context.tokenizer, context.final, report
        )

    return make


def _train(
    context: RunContext,
    directory: Path,
    title: str,
    progress: Progress,
    make: Make,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Path:
    """Train a model and keep it at `directory`, unless an interrupted run has done so.

    It is saved and loaded again before anything else looks at it: layer numbers inside the
    model are right only then.
    """
    if directory.exists():
        progress.skip(title, "kept from the interrupted run")
        return directory
    with progress.stage(title) as meter:
        model = make(lambda done, total: meter.update(done, total))
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        save_checkpoint(model, tokenizer or context.tokenizer, unfinished)
        return unfinished.rename(directory)


def _saved_model(context: RunContext, checkpoint: Path) -> PreTrainedModel:
    return load_seeded(ModelSource(str(checkpoint)), context.data, context.config.seed)


def _own(context: RunContext, contender: ContenderName, origin: str, checkpoint: Path) -> Trained:
    others = {
        name: encode(rows, context.data.task, context.tokenizer, context.max_length)
        for name, rows in context.data.other_tests.items()
    }
    return Trained(contender, origin, checkpoint, context.tokenizer, context.test, others)
