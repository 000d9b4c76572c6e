"""What a search may spend: known before it, for `--dry-run` and the question before a long one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrialGroup:
    """Trials that cost alike.

    Attributes:
        trials: how many.
        removed: layers that each of their models lacks.
        examples: that each is taught from; None for the whole teaching.
    """

    trials: int
    removed: int
    examples: int | None = None


@dataclass(frozen=True)
class SearchCost:
    """What a strategy may spend on a problem, at most.

    Attributes:
        groups: the candidates that are carried out.
        teachers: whole trainings of the unpruned model before them.
        certain: whether it spends all of it in any case.
    """

    groups: tuple[TrialGroup, ...] = ()
    teachers: int = 0
    certain: bool = True

    @property
    def trials(self) -> int:
        """Candidates that are carried out."""
        return sum(group.trials for group in self.groups)

    @property
    def trainings(self) -> int:
        """Whole trainings, the teacher's included."""
        return self.teachers + sum(group.trials for group in self.groups if group.examples is None)

    @property
    def examples(self) -> int:
        """Examples of the shorter lessons, all together."""
        return sum(group.trials * (group.examples or 0) for group in self.groups)
