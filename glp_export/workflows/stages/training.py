"""The stage that trains: every contender is brought to its best.

Each keeps what it made in the run's work directory and takes it from there when resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.cache.store import Cache
from glp_export.compress.compressors.base import Found
from glp_export.core.progress import Progress
from glp_export.encoder import ModelSource, TrainingInputs, finetune, save_checkpoint
from glp_export.encoder.structure import Structure, read_structure
from glp_export.workflows.auxiliary import joint_of
from glp_export.workflows.context import RunContext, load_seeded
from glp_export.workflows.stages.evaluator import open_cache, train_teacher, training_facts
from glp_export.workflows.stages.labelled_texts import encoded, with_unlabeled
from glp_export.workflows.stages.students import StudentTraining, train_distilled, train_pruned
from glp_export.workflows.stages.train_once import Make, Report, saved_model, train_once
from glp_export.workflows.stages.trained import Trained, trained_contender

if TYPE_CHECKING:
    from transformers import PreTrainedModel

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
    teacher = train_once(context, work / "unpruned", title, progress, make)
    unpruned = saved_model(context, teacher)
    if read_structure(teacher) is None:
        Structure.of(unpruned, plan_id=UNPRUNED).save(teacher)
    rows = with_unlabeled(context, context.train_rows, unpruned)
    examples = context.train if context.unlabeled is None else encoded(context, rows)
    inputs = TrainingInputs(
        examples=examples,
        tokenizer=context.tokenizer,
        teacher_logits=context.answers_of(unpruned, examples),
        settings=context.final,
        distillation=context.distillation,
        watch=context.watch(
            context.answers_of(unpruned, context.select) if context.schedule else None
        ),
        joint=joint_of(context, "recovery", context.tokenizer),
    )
    students = StudentTraining(context, unpruned, rows, inputs, work, progress)
    return [
        trained_contender(context, "unpruned", context.source.name, teacher),
        *(train_pruned(students, one) for one in found),
        *train_distilled(students, [one.plan for one in found]),
    ]


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
