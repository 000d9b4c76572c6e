"""How many stages a run will go through: what its line of progress counts down."""

from __future__ import annotations

from glp_export.config.sections import NO_RIVAL, STUDENT
from glp_export.workflows.compressors import LAYERS, compressors_of, search_cost_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.transfer import stages_of_transfer

AT_THE_END = 2
"""Scoring on the test set, and the benchmark."""


def stages_of_search(context: RunContext) -> int:
    """Stages that find which layers go, and how many.

    The search's teacher is counted where it is trained; one that is in the cache is skipped.
    """
    cost = search_cost_of(context)
    # Where dev ends the training, the unpruned model is the search's teacher.
    teachers = (cost.teachers or context.schedule is not None) and not context.as_is
    of_layers = compressors_of(context)[0] == LAYERS
    accurate_enough = (2 - context.as_is) * (
        of_layers and context.config.compress.max_drop is not None
    )
    return stages_of_transfer(context) + cost.stages + bool(teachers) + accurate_enough


def stages_after_search(context: RunContext, depths: int) -> int:
    """Stages that train, export, score and measure models of so many depths."""
    rivals = {NO_RIVAL: 0, STUDENT: depths}.get(context.config.training.distilled, 1)
    contenders = 1 + depths + rivals
    files = 1 + len(context.execution.precisions.names) + len(context.execution.runtimes)
    return contenders * (1 + files) + AT_THE_END


def stages_of_run(context: RunContext) -> int:
    """All stages after the data and the model are read; targets leave one depth."""
    return stages_of_search(context) + stages_after_search(context, len(context.depths) or 1)
