"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from glp_export.compress.search.ground import Ground, Outcome, carry_out
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers.base import CarryOut, Say, Share, Workers


@contextmanager
def open_here(ground: Ground, share: Share, say: Say) -> Iterator[CarryOut]:
    """Carry trials out as their outcomes are asked for."""

    def outcomes(trials: Sequence[Trial]) -> Generator[Outcome, None, None]:
        return (carry_out(ground, trial) for trial in trials)

    yield outcomes


SERIAL = Workers("serial", "one after the other, in this process", open_here)
