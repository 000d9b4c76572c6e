"""What heads, neurons and layers cost on the target machine: the record that a choice is made by.

A model's time is taken for the sum of its embeddings and head, and of a time for each sublayer that
depends on its heads or neurons, affine between the counts that were measured. From the topmost
layer with heads on, times are others: a file in the first-token form computes one token of them.
`latency_fit` takes the numbers from whole models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from glp_export.core.errors import DataError, UsageError
from glp_export.core.records import Record
from glp_export.core.shape import ModelShape

_Time = Annotated[float, Field(ge=0)]


class Conditions(Record):
    """What was measured, and where; a table holds for nothing else.

    Attributes:
        device: name of the processor or GPU.
        runtime: "onnxruntime".
        provider: execution provider.
        precision: of the file, "fp32" or "int8".
        form: of the file's graph: "none", a level of optimisation or a form.
        threads: intra-op threads.
        batch_size: rows.
        sequence_length: tokens a row.
        family: the model type of the configuration.
        versions: of the packages that times depend on.
    """

    device: str
    runtime: str
    provider: str
    precision: str
    form: str
    threads: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    sequence_length: int = Field(ge=1)
    family: str
    versions: dict[str, str]


class SublayerTimes(Record):
    """Time of a sublayer by its heads or neurons.

    Attributes:
        counts: ascending from 0, where the sublayer is emptied.
        milliseconds: for each.
    """

    counts: tuple[int, ...] = Field(min_length=2)
    milliseconds: tuple[_Time, ...]

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if len(self.counts) != len(self.milliseconds) or self.counts[0] != 0:
            raise ValueError("there must be a time for each count, and one for 0")
        if any(low >= high for low, high in zip(self.counts, self.counts[1:], strict=False)):
            raise ValueError("the counts must ascend")
        return self

    def at(self, count: int) -> float:
        """Milliseconds, affine between the counts of the table; 0 stands alone.

        Raises:
            UsageError: the table does not go so far.
        """
        if not 0 <= count <= self.counts[-1]:
            raise UsageError(f"the latency table goes to {self.counts[-1]} units, not {count}")
        return float(
            sum(w * t for w, t in zip(hat(self.counts, count), self.milliseconds, strict=True))
        )


class WholeModel(Record):
    """A model that was measured whole.

    Attributes:
        shape: its own.
        milliseconds: the median.
    """

    shape: ModelShape
    milliseconds: float = Field(gt=0)


class LatencyTable(Record):
    """Times on one device, for one shape of input.

    Attributes:
        schema_version: of the file.
        conditions: what it holds for.
        base: the unpruned model.
        base_ms: embeddings and head.
        attention: below the topmost layer with heads.
        feed_forward: below the topmost layer with heads.
        topmost_attention: in that layer and above it.
        topmost_feed_forward: in that layer and above it.
        measured: the whole models that it was fitted to or corrected by.
        worst_error: largest relative error of a predicted speedup over the unpruned model among
            the models of the last fit.
        notes: what disturbed the measurement, in sentences.
    """

    schema_version: Literal[1] = 1
    conditions: Conditions
    base: ModelShape
    base_ms: _Time
    attention: SublayerTimes
    feed_forward: SublayerTimes
    topmost_attention: SublayerTimes
    topmost_feed_forward: SublayerTimes
    measured: tuple[WholeModel, ...]
    worst_error: float = Field(ge=0)
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """SHA-256 of the times and what they hold for, 64 hexadecimal digits."""
        content = json.dumps(self.model_dump(mode="json", exclude={"notes"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def predict(self, shape: ModelShape) -> float:
        """Milliseconds of a batch.

        Raises:
            UsageError: the shape has more heads or neurons in a layer than the table.
        """
        total, topmost = self.base_ms, topmost_with_heads(shape)
        for number, layer in enumerate(shape.layers):
            attention, feed_forward = self.times(top=number >= topmost)
            total += attention.at(layer.heads) + feed_forward.at(layer.neurons)
        return total

    def times(self, *, top: bool) -> tuple[SublayerTimes, SublayerTimes]:
        """Of attention and feed-forward, from the topmost layer with heads on or below it."""
        if top:
            return self.topmost_attention, self.topmost_feed_forward
        return self.attention, self.feed_forward

    def speedup(self, shape: ModelShape) -> float:
        """Predicted speed over that of the unpruned model."""
        return self.predict(self.base) / self.predict(shape)

    def errors(self, models: Sequence[WholeModel]) -> list[float]:
        """Relative errors of the predicted speedups over the unpruned model, which is among them.

        Raises:
            UsageError: it is not.
        """
        unpruned = self.unpruned_ms(models)
        return [
            abs(self.speedup(model.shape) * model.milliseconds / unpruned - 1) for model in models
        ]

    def unpruned_ms(self, models: Sequence[WholeModel]) -> float:
        """Median milliseconds of the unpruned model among others.

        Raises:
            UsageError: it is not among them.
        """
        found = [model.milliseconds for model in models if model.shape == self.base]
        if not found:
            raise UsageError("the unpruned model must be among those that correct a latency table")
        return float(np.median(found))

    def keep(self, work: Path) -> Path:
        """Write it into a run's work directory, where `kept_table` finds it by its id."""
        path = _kept_path(work, self.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.save(path)

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read it.

        Raises:
            DataError: it cannot be read.
        """
        return cls.read(
            path,
            what="the latency table",
            fix="Measure it again with glp-export latency-table.",
        )

    def require(self, base: ModelShape, conditions: Conditions) -> None:
        """Check that the table is for a model and for what is to be deployed.

        The device and its versions may be others: a table is made where the model will serve.

        Raises:
            DataError: it is for another model, precision, form, number of threads or input shape.
        """
        wanted, own = conditions.model_dump(), self.conditions.model_dump()
        differ = [
            f"{name} {own[name]}, not {wanted[name]}"
            for name in Conditions.model_fields
            if name not in ("device", "versions") and own[name] != wanted[name]
        ]
        if (self.base.layers, self.base.hidden_size) != (base.layers, base.hidden_size):
            differ.append(f"a model of {self.base.label()}, not {base.label()}")
        if differ:
            raise DataError(
                f"The latency table is for {'; '.join(differ)}.",
                fix="Measure one for this model with glp-export latency-table.",
            )


def kept_table(work: Path, table_id: str | None) -> LatencyTable | None:
    """The table of this id that a run has kept; None where there is none.

    Raises:
        DataError: it cannot be read.
    """
    path = _kept_path(work, table_id or "")
    return LatencyTable.load(path) if path.is_file() else None


def _kept_path(work: Path, table_id: str) -> Path:
    return work / "latency" / "chosen" / f"{table_id[:16]}.json"


def topmost_with_heads(shape: ModelShape) -> int:
    """The number of the topmost layer that has heads; 0 where none has."""
    return max((number for number, layer in enumerate(shape.layers) if layer.heads), default=0)


def hat(counts: Sequence[int], count: int) -> list[float]:
    """Weights of the counts of a grid by which a count between them is interpolated."""
    if count in counts:
        return [float(own == count) for own in counts]
    high = next(place for place, own in enumerate(counts) if own > count)
    if high == 1:  # Between none and the fewest: what an emptied sublayer takes has no part in it.
        low, high = (1, 2) if len(counts) > 2 else (0, 1)
    else:
        low = high - 1
    share = (count - counts[low]) / (counts[high] - counts[low])
    weights = [0.0] * len(counts)
    weights[low], weights[high] = 1 - share, share
    return weights
