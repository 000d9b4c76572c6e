"""Trials and what came of them, for every place where they run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers import WORKERS, WorkerResources
from glp_export.core.errors import ModelError
from glp_export.encoder import Recovery

TRIALS = [Trial((layer,), 24) for layer in range(4)] + [Trial((0, 3), 24, repeat=1)]


def outcomes_of(name, context, trials=TRIALS):
    with WORKERS[name].open(context, WorkerResources(), lambda message: None) as run_trial:
        return list(run_trial(trials))


def plain(outcomes):
    """What outcomes say, the time they took excepted."""
    return [
        (
            outcome.candidate.model_copy(update={"seconds": 0.0}),
            outcome.logits.tobytes(),
            outcome.losses.tobytes(),
        )
        for outcome in outcomes
    ]


def trained_by(context, train):
    recovery = context.recovery
    return replace(context, recovery=Recovery(recovery.name, recovery.summary, True, train))


def untrainable(directory, student, inputs, progress):
    (Path(directory) / str(time.time_ns())).touch()
    raise ModelError("the model cannot be trained", where="here", fix="take another")
