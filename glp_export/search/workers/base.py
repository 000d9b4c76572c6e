"""What a place for trials is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from glp_export.search.ground import Ground, Outcome
from glp_export.search.trial import Trial


@dataclass(frozen=True)
class Workers:
    """A row of the table of workers.

    Attributes:
        name: as given to `--workers`.
        summary: one line for people.
        outcomes: carries out trials that do not depend on one another and yields their outcomes
            in the order of the trials, each as soon as it and those before it are known.
    """

    name: str
    summary: str
    outcomes: Callable[[Ground, Sequence[Trial]], Iterator[Outcome]]
