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
    Lesson,
    ModelSource,
    Recovery,
    finetune,
    load_tokenizer,
    match_inputs,
    predict,
    remove_layers,
    save_checkpoint,
    settle_kind,
)
from glp_export.tasks import blank_labels, encode, labels_of, with_labels
from glp_export.workflows.context import Setup, load_seeded, model_source

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
    setup: Setup, plans: Sequence[Plan], work: Path, progress: Progress
) -> list[Trained]:
    """Train the unpruned, the pruned and the distilled models on the same examples.

    The unpruned model is the teacher as well, of every depth. A made student lacks alternate
    layers, as DistilBERT does, and imitates the same teacher for as many steps.

    Args:
        plans: one for each depth.
    """
    given = setup.place.kind.loss is None
    title = "take the unpruned as it is" if given else "fine-tune the unpruned"
    teacher = _train(setup, work / "unpruned", title, progress, _fine_tuned_unpruned(setup))
    unpruned = _saved_model(setup, teacher)
    rows = _lesson_rows(setup, unpruned)
    examples = setup.train if setup.unlabeled is None else _encode(setup, rows)
    lesson = Lesson(
        examples=examples,
        tokenizer=setup.tokenizer,
        teacher_logits=predict(unpruned, examples, setup.tokenizer, device=setup.place.device),
        settings=setup.final,
        distillation=setup.distillation,
    )
    school = _School(setup, unpruned, rows, lesson, work, progress)
    return [
        _own(setup, "unpruned", setup.source.name, teacher),
        *(_pruned(school, plan) for plan in plans),
        *_distilled(school, plans),
    ]


Make = Callable[[Callable[[int, int], None]], "PreTrainedModel"]
"""Trains a model, reporting its steps."""


def _lesson_rows(setup: Setup, unpruned: PreTrainedModel) -> Dataset:
    """The training rows, and after them the unlabelled texts with the labels the teacher gives."""
    from datasets import concatenate_datasets

    texts, task = setup.unlabeled, setup.data.task
    if texts is None:
        return setup.data.train
    blank = with_labels(texts, blank_labels(texts, task), task)
    if setup.place.kind.blank:
        return concatenate_datasets([setup.data.train, blank])
    unknown = _encode(setup, blank)
    answers = predict(unpruned, unknown, setup.tokenizer, device=setup.place.device)
    found = labels_of(answers, task)
    return concatenate_datasets([setup.data.train, with_labels(texts, found, task)])


def _encode(setup: Setup, rows: Dataset) -> Dataset:
    return encode(rows, setup.data.task, setup.tokenizer, setup.config.max_length)


@dataclass(frozen=True)
class _School:
    """What all shallower models are trained with; `rows` is what the lesson is encoded from."""

    setup: Setup
    unpruned: PreTrainedModel
    rows: Dataset
    lesson: Lesson
    work: Path
    progress: Progress

    def train(self, name: str, title: str, recovery: Recovery, removed: tuple[int, ...]) -> Path:
        """Train the model without these layers; it is kept under its name and depth."""
        depth = self.setup.stack.num_layers - len(removed)

        def make(report: Callable[[int, int], None]) -> PreTrainedModel:
            ancestor = self.unpruned if recovery.inherits else self.setup.pretrained()
            return recovery.teach(remove_layers(ancestor, removed), self.lesson, report)

        title = f"{title}, {layers_in_words(depth)}"
        return _train(self.setup, self.work / f"{name}-{depth}", title, self.progress, make)


def _pruned(school: _School, plan: Plan) -> Trained:
    setup, recovery = school.setup, RECOVERIES[school.setup.config.recover]
    checkpoint = school.train("pruned", f"{recovery.name} the pruned", recovery, plan.order)
    return _own(setup, "pruned", setup.source.name, checkpoint)


def _distilled(school: _School, plans: Sequence[Plan]) -> list[Trained]:
    """A student for each plan, or the one rival that was named."""
    wanted = school.setup.config.distilled
    if wanted == NONE:
        return []
    if wanted != STUDENT:
        return [_distilled_rival(school, wanted)]
    return [_made_student(school, plan) for plan in plans]


def _made_student(school: _School, plan: Plan) -> Trained:
    setup = school.setup
    alternate = order_by_rule("alternate", Problem(setup.stack.removable, len(plan.order)))
    if set(alternate) == set(plan.order):
        school.progress.say(
            f"at {layers_in_words(plan.depth)} the plan removes alternate layers: "
            "pruned and distilled start alike"
        )
    checkpoint = school.train("distilled", "distill the student", RECOVERIES["distill"], alternate)
    return _own(setup, "distilled", f"alternate layers of {setup.source.name}", checkpoint)


def _distilled_rival(school: _School, name: str) -> Trained:
    """Train another model on the same examples, in the same way, by its own tokenizer."""
    setup, lesson = school.setup, school.lesson
    source = model_source(setup.config, name)
    tokenizer = load_tokenizer(source)
    model = load_seeded(source, setup.data, setup.config.seed)
    match_inputs(tokenizer, model)
    task, length = setup.data.task, setup.config.max_length
    examples = encode(school.rows, task, tokenizer, length)
    _require_comparable(setup, source, lesson, examples)
    own_lesson = Lesson(
        examples=examples,
        tokenizer=tokenizer,
        teacher_logits=lesson.teacher_logits,
        settings=lesson.settings,
        distillation=lesson.distillation,
    )

    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return RECOVERIES[setup.config.recover].teach(model, own_lesson, report)

    title = f"{setup.config.recover} {Path(name).name}"
    checkpoint = _train(setup, school.work / "distilled", title, school.progress, make, tokenizer)
    test, *others = (
        encode(rows, task, tokenizer, length)
        for rows in (setup.data.test, *setup.data.other_tests.values())
    )
    others_by_name = dict(zip(setup.data.other_tests, others, strict=True))
    return Trained("distilled", name, checkpoint, tokenizer, test, others_by_name)


def _require_comparable(
    setup: Setup, source: ModelSource, lesson: Lesson, examples: Dataset
) -> None:
    """Check that a rival's answers stand where the teacher's do.

    Raises:
        UsageError: it pools tokens in another way, or answers for each of other tokens.
    """
    kind = settle_kind(setup.data.task, source).kind
    of_tokens = lesson.teacher_logits is not None and lesson.teacher_logits.ndim > 2
    other = of_tokens and examples["input_ids"][:] != lesson.examples["input_ids"][:]
    if kind != setup.data.task.kind or other:
        raise UsageError(
            "its tokenizer cuts texts otherwise, and every token has its answer here"
            if other
            else f"it is for {kind}, and the model that is pruned for {setup.data.task.kind}",
            where=f"--distilled {source.name}",
            fix="name a model of the same kind, or --distilled student",
        )


def _fine_tuned_unpruned(setup: Setup) -> Make:
    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return finetune(setup.pretrained(), setup.train, setup.tokenizer, setup.final, report)

    return make


def _train(
    setup: Setup,
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
        save_checkpoint(model, tokenizer or setup.tokenizer, unfinished)
        return unfinished.rename(directory)


def _saved_model(setup: Setup, checkpoint: Path) -> PreTrainedModel:
    return load_seeded(ModelSource(str(checkpoint)), setup.data, setup.config.seed)


def _own(setup: Setup, contender: ContenderName, origin: str, checkpoint: Path) -> Trained:
    others = {
        name: encode(rows, setup.data.task, setup.tokenizer, setup.config.max_length)
        for name, rows in setup.data.other_tests.items()
    }
    return Trained(contender, origin, checkpoint, setup.tokenizer, setup.test, others)
