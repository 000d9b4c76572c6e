"""What a search may spend: known before it, for `--dry-run` and the question before a long one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrialGroup:
    """Trials that cost alike.

    Attributes:
        trials: how many.
        removed: layers that each of their models lacks.
        examples: that each is trained on; None for a whole training.
        sure: whether they take place whatever comes of others.
    """

    trials: int
    removed: int
    examples: int | None = None
    sure: bool = True


@dataclass(frozen=True)
class SearchCost:
    """What a search may spend at most.

    Attributes:
        groups: the candidates that are trained.
        teachers: whole trainings of the unpruned model before them.
        certain: whether it spends all of it in any case.
        strategy: what chooses: a key of `STRATEGIES` or of `CRITERIA`, or the compressor's name.
        flag: that another strategy is chosen by.
        stages: of the progress, without the teacher's.
    """

    groups: tuple[TrialGroup, ...] = ()
    teachers: int = 0
    certain: bool = True
    strategy: str = ""
    flag: str = "--compress"
    stages: int = 1

    @property
    def trials(self) -> int:
        """Candidates that are trained."""
        return sum(group.trials for group in self.groups)

    @property
    def trainings(self) -> int:
        """Whole trainings, the teacher's included."""
        return self.teachers + sum(group.trials for group in self.groups if group.examples is None)

    @property
    def examples(self) -> int:
        """Examples of the shorter trainings, all together."""
        return sum(group.trials * (group.examples or 0) for group in self.groups)
