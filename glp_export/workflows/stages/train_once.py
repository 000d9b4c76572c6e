"""A model is trained once: what it became stays in the work directory of the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.compress.plan import Plan
from glp_export.core.progress import Progress
from glp_export.encoder import ModelSource, save_checkpoint
from glp_export.encoder.compaction import compact
from glp_export.encoder.kronecker import factorize
from glp_export.encoder.structure import STRUCTURE, Structure, read_structure
from glp_export.encoder.vocabulary import write_vocabulary_files
from glp_export.workflows.context import RunContext, load_seeded
from glp_export.workflows.stages.block_training import write_blocks

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


Report = Callable[[int, int], None]
"""Told the updates done and those in all."""

Make = Callable[[Report], "PreTrainedModel"]
"""Trains a model, reporting its steps."""


def train_once(
    context: RunContext,
    directory: Path,
    title: str,
    progress: Progress,
    make: Make,
    tokenizer: PreTrainedTokenizerBase | None = None,
    plan: Plan | None = None,
) -> Path:
    """Train a model and keep it at `directory`, unless it is there already.

    An interrupted run has made it then, or it is the rival of another plan too. It is saved and
    loaded again before anything else looks at it: layer numbers inside the model are right only
    then. What a plan narrowed is saved in its dense form.
    """
    if directory.exists():
        progress.skip(title, "made already")
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


def copied(checkpoint: Path, directory: Path) -> Path:
    """A copy of a checkpoint without its record, unless an interrupted run has made it."""
    if directory.exists():
        return directory
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(checkpoint, unfinished, ignore=shutil.ignore_patterns(STRUCTURE.name))
    return unfinished.rename(directory)


def record_structure(
    context: RunContext, checkpoint: Path, plan: Plan, rival_of: str | None
) -> None:
    """Write what the plan left of the model beside its checkpoint, if that is not there yet."""
    if read_structure(checkpoint) is not None:
        return
    model, kept, factors = saved_model(context, checkpoint), plan.kept_units, plan.factors
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


def saved_model(context: RunContext, checkpoint: Path) -> PreTrainedModel:
    """Load a model that was kept."""
    return load_seeded(
        ModelSource(str(checkpoint)), context.data, context.config.training.seed
    ).model
