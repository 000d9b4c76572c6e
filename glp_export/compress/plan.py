"""The plan: what was taken away, in which order, with which score, at what cost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glp_export.compress.search.trial import Trial
from glp_export.core.errors import DataError, UsageError

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Candidate(_Record):
    """One shallower model that was tried: the layers it lacks and how it scored on `select`.

    Layers are numbered as in the base model, from 0 at the input. `examples` is how many it was
    taught from before that, null for the whole teaching. `loss` is that of a head refitted to its
    features, null where none was. `repeat` tells seeds apart.
    """

    removed: tuple[int, ...]
    score: float
    examples: int | None = None
    repeat: int = 0
    loss: float | None = None
    seconds: float = 0.0

    @property
    def trial(self) -> Trial:
        """What was tried."""
        return Trial(self.removed, self.examples, self.repeat)


class Step(_Record):
    """One choice: the candidates that were compared and the layers that went for good.

    A step that a rule prescribed has no score and no candidates. `lead` is by how much the
    winner's loss was smaller than the runner-up's, and `probability` how surely it is on other
    examples of this kind; both are null for a choice by score. Where whole orders were
    compared in a play-off, the step at which they were has its candidates, lead and probability.
    """

    kind: str = "layer"
    removed: tuple[int, ...]
    score: float | None
    sample_size: int
    candidates: tuple[Candidate, ...]
    lead: float | None = None
    probability: float | None = None


class Cost(_Record):
    """What the search spent.

    `sample_layers` counts every training example once for each layer it passed through, the
    measure that machines do not change; `scored_sample_layers` counts the examples that were
    only scored, a third of the work. The teacher's training is part of both cost and seconds.
    """

    trainings: int = 0
    sample_layers: int = 0
    scored_sample_layers: int = 0
    seconds: float = 0.0


class Plan(_Record):
    """Which layers a task can do without; `order` is nested, so a prefix is a plan too.

    Attributes:
        schema_version: of this file.
        base_model: name of the model that was searched.
        revision: of it on the hub; null for a local one.
        checksum: of its weights; null for one on the hub.
        num_layers: that it has.
        task: name of the data.
        metric: that candidates were scored by.
        strategy: key of `STRATEGIES`, or where the plan comes from.
        seed: of the search; null where nothing was drawn.
        order: layers in the order of removal, numbered as in the base model from 0 at the input.
        steps: one for each choice, in that order.
        cost: what the search spent.
        settings: that the candidates were trained with.
        data_checksum: of the data and its splits.
        versions: of the packages.
        source: of a published plan.
    """

    schema_version: int = SCHEMA_VERSION
    base_model: str
    revision: str | None = None
    checksum: str | None = None
    num_layers: int = Field(gt=1)
    task: str
    metric: str
    strategy: str
    seed: int | None = None
    order: tuple[int, ...]
    steps: tuple[Step, ...] = ()
    cost: Cost = Cost()
    settings: dict[str, Any] = {}
    data_checksum: str | None = None
    versions: dict[str, str] = {}
    source: str | None = None

    @model_validator(mode="after")
    def _order_fits_the_stack(self) -> Plan:
        if len(set(self.order)) != len(self.order):
            raise ValueError(f"order names a layer twice: {list(self.order)}")
        if any(not 0 <= layer < self.num_layers for layer in self.order):
            raise ValueError(f"order {list(self.order)} leaves the {self.num_layers} layers")
        if len(self.order) >= self.num_layers:
            raise ValueError("order removes every layer")
        return self

    @property
    def depth(self) -> int:
        """How many layers stay."""
        return self.num_layers - len(self.order)

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers that stay, bottom first, numbered as in the base model."""
        return tuple(layer for layer in range(self.num_layers) if layer not in self.order)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the search decided: all but times and versions.

        Two runs that chose alike from the same scores have the same digest. Fields that hold their
        default are left out, so that a field that is added later changes no old plan.
        """
        decided = self.model_dump(
            mode="json", exclude={"versions": True, "cost": {"seconds"}}, exclude_defaults=True
        )
        for step in decided.get("steps", ()):
            for candidate in step["candidates"]:
                candidate.pop("seconds", None)
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    def cut(self, removals: int) -> Plan:
        """The plan of the first `removals` layers in the order.

        Raises:
            UsageError: the order is shorter than that.
        """
        if not 1 <= removals <= len(self.order):
            raise UsageError(
                f"the plan removes {len(self.order)} layers, {removals} were asked for",
                fix=f"ask for 1 to {len(self.order)}, or search anew",
            )
        if removals == len(self.order):
            return self
        return self.model_copy(
            update={"order": self.order[:removals], "steps": self.steps[:removals]}
        )

    def save(self, path: Path) -> Path:
        """Write the plan as JSON, with its digest for people to compare."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {**self.model_dump(mode="json"), "digest": self.digest}
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan that `save` wrote.

        Raises:
            DataError: no file there, no JSON, not a plan, or edited since (the digest differs).
        """
        try:
            content = json.loads(path.read_text())
            digest = content.pop("digest", None)
            plan = cls.model_validate(content)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DataError(_reason(error), where=str(path), fix="give a plan.json") from error
        if digest is not None and digest != plan.digest:
            raise DataError(
                "the plan was changed after it was written: its digest differs",
                where=str(path),
                fix="remove the `digest` line if the change is meant",
            )
        return plan


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"not a plan: {place + ': ' if place else ''}{first['msg']}"
    return f"the plan cannot be read: {error}"
