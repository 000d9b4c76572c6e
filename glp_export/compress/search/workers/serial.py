"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from glp_export.compress.search.context import Outcome, TrialContext, run_trial
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers.base import RunTrials, Say, WorkerResources, Workers


@contextmanager
def open_here(context: TrialContext, resources: WorkerResources, say: Say) -> Iterator[RunTrials]:
    """Carry trials out as their outcomes are asked for."""

    def outcomes(trials: Sequence[Trial]) -> Generator[Outcome, None, None]:
        return (run_trial(context, trial) for trial in trials)

    yield outcomes


SERIAL = Workers("serial", "one after the other, in this process", open_here)
