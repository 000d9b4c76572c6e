"""The stage that trains: every contender is brought to its best.

Each keeps what it made in the run's work directory and takes it from there when resumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.bench import ContenderName
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
)
from glp_export.progress import Progress
from glp_export.search import Plan, Problem, order_by_rule
from glp_export.setup import Setup, load_seeded, model_source
from glp_export.tasks import encode

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


def train_contenders(setup: Setup, plan: Plan, work: Path, progress: Progress) -> list[Trained]:
    """Train the unpruned, the pruned and the distilled model on the same examples.

    The unpruned model is the teacher as well. The made student lacks alternate layers, as
    DistilBERT does, and imitates the same teacher for as many steps.
    """
    recovery = RECOVERIES[setup.config.recover]
    teacher = _train(
        setup, work / "unpruned", "fine-tune the unpruned", progress, _fine_tuned_unpruned(setup)
    )
    unpruned = _saved_model(setup, teacher)
    lesson = Lesson(
        examples=setup.train,
        tokenizer=setup.tokenizer,
        teacher_logits=predict(unpruned, setup.train, setup.tokenizer, device=setup.place.device),
        settings=setup.final,
        distillation=setup.distillation,
    )
    pruned = _train(
        setup,
        work / "pruned",
        f"{recovery.name} the pruned",
        progress,
        _student(setup, recovery, unpruned, plan.order, lesson),
    )
    contenders = [
        _own(setup, "unpruned", setup.source.name, teacher),
        _own(setup, "pruned", setup.source.name, pruned),
    ]
    return [*contenders, *_distilled(setup, plan, unpruned, lesson, work, progress)]


Make = Callable[[Callable[[int, int], None]], "PreTrainedModel"]
"""Trains a model, reporting its steps."""


def _distilled(
    setup: Setup,
    plan: Plan,
    unpruned: PreTrainedModel,
    lesson: Lesson,
    work: Path,
    progress: Progress,
) -> list[Trained]:
    wanted = setup.config.distilled
    if wanted == NONE:
        return []
    if wanted != STUDENT:
        return [_distilled_rival(setup, wanted, lesson, work, progress)]
    alternate = order_by_rule("alternate", Problem(setup.stack.removable, len(plan.order)))
    if set(alternate) == set(plan.order):
        progress.say("the plan removes alternate layers: pruned and distilled start alike")
    student = _student(setup, RECOVERIES["distill"], unpruned, alternate, lesson)
    checkpoint = _train(setup, work / "distilled", "distill the student", progress, student)
    return [_own(setup, "distilled", f"alternate layers of {setup.source.name}", checkpoint)]


def _distilled_rival(
    setup: Setup, name: str, lesson: Lesson, work: Path, progress: Progress
) -> Trained:
    """Train another model on the same examples, in the same way, by its own tokenizer."""
    source = model_source(setup.config, name)
    tokenizer = load_tokenizer(source)
    model = load_seeded(source, setup.data, setup.config.seed)
    match_inputs(tokenizer, model)
    task, length = setup.data.task, setup.config.max_length
    own_lesson = Lesson(
        examples=encode(setup.data.train, task, tokenizer, length),
        tokenizer=tokenizer,
        teacher_logits=lesson.teacher_logits,
        settings=lesson.settings,
        distillation=lesson.distillation,
    )

    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return RECOVERIES[setup.config.recover].teach(model, own_lesson, report)

    title = f"{setup.config.recover} {Path(name).name}"
    checkpoint = _train(setup, work / "distilled", title, progress, make, tokenizer)
    test, *others = (
        encode(rows, task, tokenizer, length)
        for rows in (setup.data.test, *setup.data.other_tests.values())
    )
    others_by_name = dict(zip(setup.data.other_tests, others, strict=True))
    return Trained("distilled", name, checkpoint, tokenizer, test, others_by_name)


def _fine_tuned_unpruned(setup: Setup) -> Make:
    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return finetune(setup.pretrained(), setup.train, setup.tokenizer, setup.final, report)

    return make


def _student(
    setup: Setup,
    recovery: Recovery,
    unpruned: PreTrainedModel,
    removed: tuple[int, ...],
    lesson: Lesson,
) -> Make:
    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        ancestor = unpruned if recovery.inherits else setup.pretrained()
        return recovery.teach(remove_layers(ancestor, removed), lesson, report)

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
        progress.say(f"{title}: kept from the interrupted run")
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
