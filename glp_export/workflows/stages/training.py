"""The stage that trains: every contender is brought to its best.

Each keeps what it made in the run's work directory and takes it from there when resumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.bench import ContenderName
from glp_export.cache.store import Cache
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.structure.ranked import needs_trained
from glp_export.compress.plan import Plan
from glp_export.config.sections import NO_RIVAL
from glp_export.core.errors import UsageError
from glp_export.core.numbers import layers_in_words
from glp_export.core.progress import Progress
from glp_export.encoder import (
    RECOVERIES,
    ModelSource,
    Recovery,
    TrainingInputs,
    Watch,
    finetune,
    infer_kind,
    load_tokenizer,
    match_inputs,
    predict,
    save_checkpoint,
)
from glp_export.encoder.compaction import compact
from glp_export.encoder.kronecker import factorize
from glp_export.encoder.structure import STRUCTURE, Structure, read_structure
from glp_export.encoder.vocabulary import write_vocabulary_files
from glp_export.tasks import blank_labels, encode, labels_of, with_labels
from glp_export.workflows.auxiliary import joint_of
from glp_export.workflows.context import RunContext, load_seeded, model_source
from glp_export.workflows.stages.block_training import train_blocks, write_blocks
from glp_export.workflows.stages.evaluator import open_cache, train_teacher, training_facts
from glp_export.workflows.stages.factor_training import train_factors
from glp_export.workflows.stages.recovery_start import (
    alternate_student,
    ancestor_of,
    hidden_states_of,
    needs_no_recovery,
    start_of,
    tokenizer_of,
)
from glp_export.workflows.stages.trained import Trained

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

UNPRUNED = "unpruned"
_BASELINE = "fine-tune the unpruned"


def train_contenders(
    context: RunContext, found: Sequence[Found], work: Path, progress: Progress
) -> list[Trained]:
    """Train the unpruned, the pruned and the distilled models on the same examples.

    The unpruned model is the teacher as well, of every depth. A made student lacks alternate
    layers, as DistilBERT does, and imitates the same teacher for as many steps.

    Args:
        found: the plan of each model, and where its recovery begins.
    """
    title, make = _unpruned(context, work, progress)
    teacher = _train(context, work / "unpruned", title, progress, make)
    unpruned = _saved_model(context, teacher)
    if read_structure(teacher) is None:
        Structure.of(unpruned, plan_id=UNPRUNED).save(teacher)
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
        watch=context.watch(
            predict(unpruned, context.select, context.tokenizer, device=context.execution.device)
            if context.schedule
            else None
        ),
        joint=joint_of(context, "recovery", context.tokenizer),
    )
    students = _StudentTraining(context, unpruned, rows, inputs, work, progress)
    return [
        _own(context, "unpruned", context.source.name, teacher),
        *(_pruned(students, one) for one in found),
        *_distilled(students, [one.plan for one in found]),
    ]


Report = Callable[[int, int], None]
Make = Callable[[Report], "PreTrainedModel"]
"""Trains a model, reporting its steps."""


def _training_rows(context: RunContext, unpruned: PreTrainedModel) -> Dataset:
    """The training rows, and after them the unlabelled texts with the labels the teacher gives."""
    from datasets import concatenate_datasets

    texts, task = context.unlabeled, context.data.task
    if texts is None:
        return context.train_rows
    blank = with_labels(texts, blank_labels(texts, task), task)
    if context.execution.kind.blank:
        return concatenate_datasets([context.train_rows, blank])
    unknown = _encode(context, blank)
    predictions = predict(unpruned, unknown, context.tokenizer, device=context.execution.device)
    found = labels_of(predictions, task)
    return concatenate_datasets([context.train_rows, with_labels(texts, found, task)])


def _encode(context: RunContext, rows: Dataset) -> Dataset:
    return encode(rows, context.data.task, context.tokenizer, context.config.data.max_length)


@dataclass(frozen=True)
class _StudentTraining:
    """What all shallower models are trained with; `rows` is what its examples are encoded from."""

    context: RunContext
    unpruned: PreTrainedModel
    rows: Dataset
    inputs: TrainingInputs
    work: Path
    progress: Progress

    def train(
        self,
        name: str,
        title: str,
        recovery: Recovery,
        plan: Plan,
        *,
        start: Path | None = None,
        rival_of: str | None = None,
    ) -> Path:
        """Train the model that a plan makes; it is kept under its name and the plan's.

        Args:
            start: where the weights are that recovery begins with, if they do not follow from the
                plan.
            rival_of: id of the plan beside which a rival stands.
        """
        tokenizer = tokenizer_of(self.context, plan)

        def make(report: Callable[[int, int], None]) -> PreTrainedModel:
            ancestor = ancestor_of(self.context, recovery, self.unpruned, start)
            if start is None and needs_trained(plan):
                self.progress.say(
                    f"the weights that {plan.strategy} trained are not at hand: recovery begins "
                    "with those of the unpruned model"
                )
            begun = start_of(self.context, plan, ancestor)
            if needs_no_recovery(plan, recovery):
                return begun
            inputs = self._inputs_of(plan, tokenizer, begun)
            told = self.context.reported(inputs.settings, title)
            inputs = replace(inputs, settings=told)
            if plan.blocks is not None:
                return train_blocks(begun, plan.blocks, plan, recovery, inputs, report)
            if plan.factors is not None:
                rows = len(self.context.train_rows)
                return train_factors(begun, plan, recovery, inputs, rows, report)
            return recovery.train(begun, inputs, report)

        made = _train(
            self.context,
            self.work / f"{name}-{plan.id[:8]}",
            f"{title}, {plan.label}",
            self.progress,
            make,
            tokenizer,
            plan=plan,
        )
        structure = read_structure(made)
        if structure is not None and structure.rival_of != rival_of:
            # Of two plans the rival may be the same model, which stands beside each.
            made = _copied(made, self.work / f"{made.name}-beside-{str(rival_of)[:8]}")
        _record(self.context, made, plan, rival_of)
        return made

    def _inputs_of(
        self, plan: Plan, tokenizer: PreTrainedTokenizerBase, student: PreTrainedModel
    ) -> TrainingInputs:
        """The training rows as a plan's tokenizer cuts them; the teacher's answers stay."""
        states = hidden_states_of(self.context, plan, self.unpruned, student, self.progress)
        inputs = replace(self.inputs, hidden_states=states)
        if plan.kept_tokens is None:
            return inputs
        context, length = self.context, self.context.config.data.max_length
        return replace(
            inputs,
            examples=encode(self.rows, context.data.task, tokenizer, length),
            tokenizer=tokenizer,
            watch=_own_watch(context, inputs, tokenizer),
            joint=joint_of(context, "recovery", tokenizer),
        )


def _pruned(students: _StudentTraining, found: Found) -> Trained:
    context, recovery = students.context, RECOVERIES[students.context.config.training.recover]
    plan = found.plan
    how = "take over" if needs_no_recovery(plan, recovery) else recovery.name
    title = f"{how} the pruned"
    checkpoint = students.train("pruned", title, recovery, plan, start=found.start)
    return _own(context, "pruned", context.source.name, checkpoint, tokenizer_of(context, plan))


def _distilled(students: _StudentTraining, plans: Sequence[Plan]) -> list[Trained]:
    """A student for each plan, or the one rival that was named."""
    training = students.context.config.training
    if training.distilled == NO_RIVAL:
        return []
    if training.named_rival:
        return [_distilled_rival(students, training.named_rival)]
    return [_made_student(students, plan) for plan in plans if _has_rival(students, plan)]


def _has_rival(students: _StudentTraining, plan: Plan) -> bool:
    """Whether a student is faster than the unpruned model at all."""
    if plan.order or plan.inside_layers:
        return True
    students.progress.say("no layers go, so there is no student beside the pruned model")
    return False


def _made_student(students: _StudentTraining, plan: Plan) -> Trained:
    context = students.context
    student = alternate_student(plan, context.stack.removable)
    if student.id == plan.id:
        students.progress.say(
            f"at {layers_in_words(plan.depth)} the plan removes alternate layers: "
            "pruned and distilled start alike"
        )
    checkpoint = students.train(
        "distilled", "distill the student", RECOVERIES["distill"], student, rival_of=plan.id
    )
    return _own(context, "distilled", f"alternate layers of {context.source.name}", checkpoint)


def _distilled_rival(students: _StudentTraining, name: str) -> Trained:
    """Train another model on the same examples, in the same way, by its own tokenizer."""
    context, inputs = students.context, students.inputs
    source = model_source(context.config.model, name)
    tokenizer = load_tokenizer(source)
    model = load_seeded(
        source,
        context.data,
        context.config.training.seed,
        doubtful=context.config.training.teacher != "finetune",
    ).model
    match_inputs(tokenizer, model, where=name)
    task = context.data.task
    length = min(context.config.data.max_length, tokenizer.model_max_length)
    examples = encode(students.rows, task, tokenizer, length)
    _require_comparable(context, source, inputs, examples)
    own_inputs = TrainingInputs(
        examples=examples,
        tokenizer=tokenizer,
        teacher_logits=inputs.teacher_logits,
        settings=context.reported(inputs.settings, f"distill {name}"),
        distillation=inputs.distillation,
        watch=_own_watch(context, inputs, tokenizer),
        joint=joint_of(context, "recovery", tokenizer),
    )

    def make(report: Callable[[int, int], None]) -> PreTrainedModel:
        return RECOVERIES[context.config.training.recover].train(model, own_inputs, report)

    title = f"{context.config.training.recover} {Path(name).name}"
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


def _unpruned(context: RunContext, work: Path, progress: Progress) -> tuple[str, Make]:
    """Where the unpruned model comes from: it was given, the search trained it, or it is new."""
    if context.as_is:
        return "take the unpruned as it is", lambda report: context.pretrained()
    if context.schedule is None:
        return _BASELINE, lambda report: _tuned_unpruned(context, open_cache(context, work), report)
    if (work / "unpruned").exists():
        return "take the search's teacher", lambda report: context.pretrained()
    model = train_teacher(context, open_cache(context, work), progress).model
    return "take the search's teacher", lambda report: model


def _tuned_unpruned(context: RunContext, cache: Cache, report: Report) -> PreTrainedModel:
    """The unpruned model, fine-tuned on fit and dev; another run may have paid for that."""

    def make(directory: Path) -> None:
        settings = context.reported(context.final, _BASELINE)
        model, tokenizer = context.pretrained(), context.tokenizer
        joint = joint_of(context, "joint", tokenizer)
        regulariser = joint(model) if joint else None
        finetune(model, context.train, tokenizer, settings, report, regulariser=regulariser)
        save_checkpoint(model, tokenizer, directory)

    final = {"training": context.final.facts(), "rows": len(context.train)}
    directory = cache.get_or_make(UNPRUNED, training_facts(context) | final, make)
    seed = context.config.training.seed
    return load_seeded(ModelSource(str(directory)), context.data, seed).model


def _own_watch(
    context: RunContext, inputs: TrainingInputs, tokenizer: PreTrainedTokenizerBase
) -> Watch | None:
    """What the training of a rival with another tokenizer is looked at with."""
    if inputs.watch is None:
        return None
    select = encode(context.data.select, context.data.task, tokenizer, context.max_length)
    own = replace(context, select=select, tokenizer=tokenizer)
    return own.watch(inputs.watch.teacher_answers)


def _train(
    context: RunContext,
    directory: Path,
    title: str,
    progress: Progress,
    make: Make,
    tokenizer: PreTrainedTokenizerBase | None = None,
    plan: Plan | None = None,
) -> Path:
    """Train a model and keep it at `directory`, unless an interrupted run has done so.

    It is saved and loaded again before anything else looks at it: layer numbers inside the
    model are right only then. What a plan narrowed is saved in its dense form.
    """
    if directory.exists():
        progress.skip(title, "kept from the interrupted run")
        return directory
    with progress.stage(title) as meter:
        model = make(lambda done, total: meter.update(done, total))
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        dense = plan.expand(model) if plan else model
        save_checkpoint(dense, tokenizer or context.tokenizer, unfinished)
        if plan and plan.kept_tokens is not None:
            write_vocabulary_files(tokenizer or context.tokenizer, unfinished)
        return unfinished.rename(directory)


def _copied(checkpoint: Path, directory: Path) -> Path:
    """A copy of a checkpoint without its record, unless an interrupted run has made it."""
    if directory.exists():
        return directory
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(checkpoint, unfinished, ignore=shutil.ignore_patterns(STRUCTURE.name))
    return unfinished.rename(directory)


def _record(context: RunContext, checkpoint: Path, plan: Plan, rival_of: str | None) -> None:
    """Write what the plan left of the model beside its checkpoint, if that is not there yet."""
    if read_structure(checkpoint) is not None:
        return
    model, kept, factors = _saved_model(context, checkpoint), plan.kept_units, plan.factors
    small = model if kept is None else compact(model, kept)
    small = small if factors is None else factorize(small, factors, fit=False)
    structure = Structure.of(
        small,
        plan_id=plan.id,
        rival_of=rival_of,
        kept=kept,
        factors=factors,
        block_sparse=None if plan.blocks is None else write_blocks(model, plan.blocks, checkpoint),
    )
    structure.save(checkpoint)


def _saved_model(context: RunContext, checkpoint: Path) -> PreTrainedModel:
    return load_seeded(
        ModelSource(str(checkpoint)), context.data, context.config.training.seed
    ).model


def _own(
    context: RunContext,
    contender: ContenderName,
    origin: str,
    checkpoint: Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Trained:
    own, length = tokenizer or context.tokenizer, context.config.data.max_length

    def encoded(rows: Dataset) -> Dataset:
        return encode(rows, context.data.task, own, length)

    others = {name: encoded(rows) for name, rows in context.data.other_tests.items()}
    test = context.test if own is context.tokenizer else encoded(context.data.test)
    return Trained(contender, origin, checkpoint, own, test, others)
