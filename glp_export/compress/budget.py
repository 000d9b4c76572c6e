"""What a compressed model may take: layers, time, accuracy, bytes; None is not asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeBudget:
    """Time at one shape of input, in the file that will ship.

    Attributes:
        batch_size: rows.
        sequence_length: tokens a row.
        speedup: at least so many times as fast as the unpruned model; None for any.
        milliseconds: median of a batch at most; None for any.
    """

    batch_size: int
    sequence_length: int
    speedup: float | None = None
    milliseconds: float | None = None

    def kept_by(self, milliseconds: float, unpruned: float) -> bool:
        """Whether a batch of so long is fast enough beside the unpruned model's."""
        short = self.milliseconds is None or milliseconds <= self.milliseconds
        return short and unpruned >= milliseconds * (self.speedup or 0.0)


@dataclass(frozen=True)
class Budget:
    """All that a model has to keep.

    Attributes:
        cuts: whole layers that go at most.
        depths: layers of each model, deepest first; () where the other budgets say it.
        times: the time budgets, one model for each.
        shape: rows and tokens that count where an accuracy is asked for and no time.
        max_drop: metric points on dev that may be lost.
        megabytes: of the artifact, in 10⁶ bytes.
    """

    cuts: int = 0
    depths: tuple[int, ...] = ()
    times: tuple[TimeBudget, ...] = ()
    shape: tuple[int, int] = (1, 128)
    max_drop: float | None = None
    megabytes: float | None = None
