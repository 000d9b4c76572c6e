"""How a long job says where it is, without knowing who listens.

Stages call; a terminal, a log or nobody answers. The rich bars are in `glp_export.terminal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Meter:
    """One stage's progress."""

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how many of how many units of work are done, and what is in hand."""

    def advance(self, note: str = "") -> None:
        """Say that one more unit is done."""


class Progress:
    """Listens to nothing; the base of what does."""

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Enter a stage of the job; `total` units of work if known beforehand."""
        yield Meter()

    def say(self, message: str) -> None:
        """Tell the user one thing that they will want to know."""
