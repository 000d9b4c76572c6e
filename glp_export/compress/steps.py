"""What a plan records of its search: the candidates, the choices and the cost."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum

from pydantic import Field

from glp_export.compress.search.trial import Trial
from glp_export.core.records import Record


class Part(StrEnum):
    """A part of what a search spends."""

    TEACHER = "teacher"
    TABLE = "latency table"
    RANKING = "ranking"
    CHOICE = "choice"
    TRIALS = "trials"
    FINAL_ROUND = "final round"


class Candidate(Record):
    """One shallower model that was tried: the layers it lacks and how it scored on dev.

    Layers are numbered as in the base model, from 0 at the input. `examples` is how many it was
    trained on before that, null for a whole training. `loss` is that of a head refitted to its
    features, null where none was. `repeat` tells seeds apart. `plan_id` and `label` name a
    candidate that differs in more than its layers.
    """

    removed: tuple[int, ...]
    score: float
    examples: int | None = None
    repeat: int = 0
    loss: float | None = None
    seconds: float = 0.0
    plan_id: str | None = None
    label: str | None = None

    @property
    def trial(self) -> Trial:
        """What was tried."""
        return Trial(self.removed, self.examples, self.repeat)


class Step(Record):
    """One choice: the candidates that were compared and the layers that went for good.

    A step that a rule prescribed has no score and no candidates. `lead` is by how much the
    winner's loss was smaller than the runner-up's, and `probability` how surely it is on other
    examples of this kind; both are null for a choice by score. Where whole orders were
    compared in the end, the step at which they were has its candidates, lead and probability.
    """

    kind: str = "layer"
    removed: tuple[int, ...]
    score: float | None
    sample_size: int
    candidates: tuple[Candidate, ...]
    lead: float | None = None
    probability: float | None = None


class Cost(Record):
    """What the search spent.

    `sample_layers` counts every training example once for each layer it passed through, the
    measure that machines do not change; `scored_sample_layers` counts the examples that were
    only scored, a third of the work. The teacher's training is part of both cost and seconds.
    `parts` divides the seconds: teacher, latency table, ranking, choice, trials, final round.
    """

    trainings: int = 0
    sample_layers: int = 0
    scored_sample_layers: int = 0
    seconds: float = 0.0
    parts: dict[str, float] = Field(default={})

    @classmethod
    def of_part(cls, part: Part, seconds: float, **counts: int) -> Cost:
        """What one part took."""
        seconds = round(seconds, 1)
        return cls(seconds=seconds, parts={part.value: seconds}, **counts)

    @property
    def choosing_seconds(self) -> float:
        """Seconds without the teacher's training and the latency table, which others share."""
        return round(
            self.seconds - sum(self.parts.get(one, 0.0) for one in (Part.TEACHER, Part.TABLE)), 1
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            trainings=self.trainings + other.trainings,
            sample_layers=self.sample_layers + other.sample_layers,
            scored_sample_layers=self.scored_sample_layers + other.scored_sample_layers,
            seconds=round(self.seconds + other.seconds, 1),
            parts={
                part: round(self.parts.get(part, 0.0) + other.parts.get(part, 0.0), 1)
                for part in {**self.parts, **other.parts}
            },
        )


def digest_of_choices(plan: Record) -> str:
    """SHA-256 of a plan of any schema, without times and versions, 64 hexadecimal digits."""
    decided = plan.model_dump(
        mode="json", exclude={"versions": True, "cost": {"seconds", "parts"}}, exclude_defaults=True
    )
    for step in decided.get("steps", ()):
        for candidate in step["candidates"]:
            candidate.pop("seconds", None)
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
