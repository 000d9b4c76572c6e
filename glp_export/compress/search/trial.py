"""A trial: one shallower model, trained for a while or not at all, and then scored."""

from __future__ import annotations

from dataclasses import dataclass

Removed = tuple[int, ...]
"""The layers that a model lacks, sorted, numbered as in the base model."""


@dataclass(frozen=True)
class Trial:
    """What is to be tried.

    Attributes:
        removed: the layers that the model lacks.
        examples: so many it is trained on before it is scored, once each; None is a whole
            training, 0 none.
        repeat: 0 for the run's own seed, 1, 2, … for the ones after it.
    """

    removed: Removed
    examples: int | None = None
    repeat: int = 0
