"""What a search works with: its cache, its teacher, and the evaluator of its trials."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache, default_root
from glp_export.compress.plan import Cost
from glp_export.compress.search.context import TrialContext
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.compress.search.trial_log import TrialLog
from glp_export.compress.search.workers import WORKERS, WorkerResources
from glp_export.compress.steps import Part
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import (
    ModelSource,
    Recovery,
    TrainingInputs,
    finetune,
    save_checkpoint,
)
from glp_export.tasks.own_metric import code_of, is_own
from glp_export.workflows.auxiliary import joint_of, transfer_facts
from glp_export.workflows.context import RunContext, load_seeded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COST = "cost.json"
NO_CACHE = "none"
DECIDING = ("glp-export", "torch", "transformers")
"""Packages of which another version may train another model."""


def open_cache(context: RunContext, work: Path) -> Cache:
    """The user's cache; with `--cache none` one that lives and dies with this run."""
    wanted = context.config.compress.cache
    if wanted is None:
        return Cache(default_root())
    return Cache(work / "cache" if wanted == NO_CACHE else Path(wanted))


@dataclass(frozen=True)
class Teacher:
    """The unpruned model that candidates inherit from and imitate.

    Attributes:
        model: as it was given; else fine-tuned on `fit` alone, so that no weight follows from
            dev.
        predictions: its logits on dev, float32.
        cost: of its training.
    """

    model: PreTrainedModel
    predictions: NDArray[np.float32]
    cost: Cost


def train_teacher(context: RunContext, cache: Cache, progress: Progress) -> Teacher:
    """The model as it was given; else it is fine-tuned, or another search has paid for that."""
    if context.as_is:
        model = context.pretrained().eval()
        return Teacher(model, context.answers_of(model, context.select), Cost())
    title = "fine-tune the unpruned" if context.schedule else "fine-tune the search's teacher"
    made = False

    def make(directory: Path) -> None:
        nonlocal made
        made = True
        with progress.stage(title) as meter:
            start = time.perf_counter()
            model = context.pretrained()
            joint = joint_of(context, "joint", context.tokenizer)
            model = finetune(
                model,
                context.train if context.schedule else context.fit,
                context.tokenizer,
                context.reported(context.candidate, title),
                meter.update,
                context.watch(),
                joint(model) if joint else None,
            )
            save_checkpoint(model, context.tokenizer, directory)
            seconds = round(time.perf_counter() - start, 1)
            (directory / COST).write_text(json.dumps({"seconds": seconds}))

    directory = cache.get_or_make("teacher", training_facts(context), make)
    if not made:
        progress.skip(title, "in the cache")
    model = load_seeded(
        ModelSource(str(directory)), context.data, context.config.training.seed
    ).model
    examples = round(len(context.fit) * context.candidate.epochs)
    cost = Cost.of_part(
        Part.TEACHER,
        json.loads((directory / COST).read_text())["seconds"],
        trainings=1,
        sample_layers=examples * context.stack.num_layers,
    )
    return Teacher(model, context.answers_of(model, context.select), cost)


@contextmanager
def open_evaluator(
    context: RunContext,
    recovery: Recovery,
    teacher: Teacher | None,
    cache: Cache,
    progress: Progress,
) -> Iterator[TrialEvaluator]:
    """Where candidates are tried, with the journal of all that were tried in the same way.

    Args:
        context: what the run stands on.
        recovery: how a candidate is trained.
        teacher: candidates inherit its layers and imitate it; None: the pretrained ones, and the
            labels.
        cache: keeps the journal.
        progress: shows where trials are.
    """
    trial_context = TrialContext(
        ancestor=teacher.model if teacher else context.pretrained(),
        inputs=TrainingInputs(
            examples=context.fit,
            tokenizer=context.tokenizer,
            teacher_logits=context.answers_of(teacher.model, context.fit) if teacher else None,
            settings=context.candidate,
            distillation=context.distillation,
        ),
        recovery=recovery,
        task=context.data.task,
        select=context.select,
        refit=teacher is not None,
        predictions=teacher.predictions if teacher else None,
        threads=context.config.compress.worker_cpus or context.execution.threads,
    )
    facts = _candidate_facts(context, trial_context)
    trial_log = TrialLog(cache.open("candidates", facts) / "journal.jsonl", facts)
    with WORKERS[context.config.compress.workers].open(
        trial_context, _resources(context), progress.say
    ) as run_trial:
        yield TrialEvaluator(trial_context, run_trial, trial_log, context.stack.num_layers)


def _resources(context: RunContext) -> WorkerResources:
    """A whole GPU for each trial unless less is said; on the CPU none."""
    if context.execution.device == "cpu":
        return WorkerResources()
    return WorkerResources(gpus=context.config.compress.worker_gpus or 1.0)


def training_facts(context: RunContext) -> dict[str, Any]:
    """All that a training on `fit` depends on."""
    versions = describe().versions
    given: dict[str, Any] = {"teacher": "as-is"} if context.as_is else {}
    if context.schedule:
        given |= {"schedule": asdict(context.schedule)}
    if is_own(context.data.task.metric):
        given |= {"metric_code": code_of(context.data.task.metric)}
    if not context.data.labelled:
        given |= {"labels": "the teacher's"}
    if context.config.compress.max_search_samples is not None:
        given |= {"fit": "drawn"}
    return (
        given
        | transfer_facts(context)
        | {
            "model": context.source.name,
            "revision": context.commit,
            "model_checksum": context.model_checksum,
            "tokenizer": context.tokenizer_checksum,
            "task": context.data.task.name,
            "kind": context.data.task.kind,
            "metric": context.data.task.metric,
            "data_checksum": context.data.checksum,
            "max_length": context.max_length,
            "fit_rows": len(context.fit),
            "training": context.candidate.facts(),
            "threads": context.execution.threads,
            "versions": {name: versions[name] for name in DECIDING},
        }
    )


def _candidate_facts(context: RunContext, trial_context: TrialContext) -> dict[str, Any]:
    """All that a candidate's score depends on, besides what it lacks and how long it is trained."""
    trained: dict[str, Any] = {
        "recovery": trial_context.recovery.name,
        "candidate_threads": trial_context.threads,
    }
    if trial_context.recovery.inherits:
        trained |= {"distillation": asdict(context.distillation)}
    return training_facts(context) | trained
