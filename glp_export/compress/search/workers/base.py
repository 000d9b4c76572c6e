"""What a place for trials is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from glp_export.compress.search.context import Outcome, TrialContext
from glp_export.compress.search.trial import Trial

RunTrials = Callable[[Sequence[Trial]], Generator[Outcome, None, None]]
"""Runs trials that do not depend on one another and yields their outcomes.

They come in the order of the trials, each as soon as it and those before it are known. Closing
the generator gives up the rest.
"""

Say = Callable[[str], None]
"""Tells the user one thing that they will want to know."""


@dataclass(frozen=True)
class WorkerResources:
    """What a trial may take of a machine, besides as many CPUs as `TrialContext.threads` says.

    Attributes:
        gpus: 0 for none; several trials may share one.
    """

    gpus: float = 0.0


@dataclass(frozen=True)
class Workers:
    """A row of the table of workers.

    Attributes:
        name: as given to `--workers`.
        summary: one line for people.
        open: makes the place ready for all trials of one search, and clears up after it.
        require: raises UsageError where it cannot be used at all; asked before any work is done.
    """

    name: str
    summary: str
    open: Callable[[TrialContext, WorkerResources, Say], AbstractContextManager[RunTrials]]
    require: Callable[[], None] = lambda: None
