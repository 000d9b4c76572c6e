"""Training of what imitates the unpruned model: pruned models, made students, a named rival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

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
    infer_kind,
    load_tokenizer,
    match_inputs,
)
from glp_export.encoder.bf16 import fails_in_bf16
from glp_export.encoder.structure import read_structure
from glp_export.tasks import encode
from glp_export.workflows.auxiliary import joint_of
from glp_export.workflows.context import RunContext, load_seeded
from glp_export.workflows.sources import model_source
from glp_export.workflows.stages.block_training import train_blocks
from glp_export.workflows.stages.factor_training import train_factors
from glp_export.workflows.stages.recovery_start import (
    alternate_student,
    ancestor_of,
    has_student,
    hidden_states_of,
    needs_no_recovery,
    start_of,
    tokenizer_of,
)
from glp_export.workflows.stages.train_once import Report, copied, record_structure, train_once
from glp_export.workflows.stages.trained import Trained, trained_contender

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class StudentTraining:
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

        def make(report: Report) -> PreTrainedModel:
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
            inputs = replace(inputs, settings=self.context.reported(inputs.settings, title))
            if plan.blocks is not None:
                return train_blocks(begun, plan.blocks, plan, recovery, inputs, report)
            if plan.factors is not None:
                labelled = len(self.context.train)  # a row may have several windows
                return train_factors(begun, plan, recovery, inputs, labelled, report)
            return recovery.train(begun, inputs, report)

        made = train_once(
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
            made = copied(made, self.work / f"{made.name}-beside-{str(rival_of)[:8]}")
        record_structure(self.context, made, plan, rival_of)
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


def train_pruned(students: StudentTraining, found: Found) -> Trained:
    """The model that a plan makes, after its recovery."""
    context, recovery = students.context, RECOVERIES[students.context.config.training.recover]
    plan = found.plan
    how = "take over" if needs_no_recovery(plan, recovery) else recovery.name
    title = f"{how} the pruned"
    checkpoint = students.train("pruned", title, recovery, plan, start=found.start)
    return trained_contender(
        context, "pruned", context.source.name, checkpoint, tokenizer_of(context, plan)
    )


def train_distilled(students: StudentTraining, plans: Sequence[Plan]) -> list[Trained]:
    """A student for each plan, or the one rival that was named."""
    training = students.context.config.training
    if training.distilled == NO_RIVAL:
        return []
    if training.named_rival:
        return [_distilled_rival(students, training.named_rival)]
    return [_made_student(students, plan) for plan in plans if _has_rival(students, plan)]


def _has_rival(students: StudentTraining, plan: Plan) -> bool:
    """Whether a student is faster than the unpruned model at all."""
    if has_student(plan):
        return True
    students.progress.say("no layers go, so there is no student beside the pruned model")
    return False


def _made_student(students: StudentTraining, plan: Plan) -> Trained:
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
    return trained_contender(
        context, "distilled", f"alternate layers of {context.source.name}", checkpoint
    )


def _distilled_rival(students: StudentTraining, name: str) -> Trained:
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
    length = min(context.config.data.max_length, tokenizer.model_max_length)
    examples = encode(students.rows, context.data.task, tokenizer, length)
    _require_comparable(context, source, inputs, examples)
    settings = context.reported(inputs.settings, f"distill {name}")
    if settings.bf16 and (failure := fails_in_bf16(model)):
        students.progress.say(f"{name} is trained in fp32: it computes nothing in bf16: {failure}")
        settings = replace(settings, bf16=False)
    own_inputs = replace(
        inputs,
        examples=examples,
        tokenizer=tokenizer,
        settings=settings,
        watch=_own_watch(context, inputs, tokenizer),
        joint=joint_of(context, "recovery", tokenizer),
    )

    def make(report: Report) -> PreTrainedModel:
        return RECOVERIES[context.config.training.recover].train(model, own_inputs, report)

    title = f"{context.config.training.recover} {Path(name).name}"
    checkpoint = train_once(
        context, students.work / "distilled", title, students.progress, make, tokenizer
    )
    return trained_contender(context, "distilled", name, checkpoint, tokenizer)


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


def _own_watch(
    context: RunContext, inputs: TrainingInputs, tokenizer: PreTrainedTokenizerBase
) -> Watch | None:
    """What the training of a rival with another tokenizer is looked at with."""
    if inputs.watch is None:
        return None
    select = encode(context.data.select, context.data.task, tokenizer, context.max_length)
    own = replace(context, select=select, tokenizer=tokenizer)
    return own.watch(inputs.watch.teacher_answers)
