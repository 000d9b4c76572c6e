"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glp_export.search.ground import Ground, Outcome, carry_out
from glp_export.search.trial import Trial
from glp_export.search.workers.base import Workers


def outcomes(ground: Ground, trials: Sequence[Trial]) -> Iterator[Outcome]:
    """Carry the trials out as they are asked for."""
    return (carry_out(ground, trial) for trial in trials)


SERIAL = Workers("serial", "one after the other, in this process", outcomes)
