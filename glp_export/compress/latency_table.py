"""What heads, neurons and layers cost on the target machine: the record that a choice is made by.

A model's time is taken for the sum of its embeddings and head, and of a time for each sublayer that
depends on its heads or neurons, affine between the counts that were measured. From the topmost
layer with heads on, times are others: a file in the first-token form computes one token of them.
The numbers are fitted to whole models that ran interleaved, not to isolated
blocks, whose sum is far off: caches hold a block but not a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from glp_export.core.errors import DataError, UsageError
from glp_export.core.records import Record
from glp_export.core.shape import ModelShape

Array = NDArray[np.float64]
_Time = Annotated[float, Field(ge=0)]
_REGULAR = 0.02
"""Weight of the wish that neighbouring slopes be alike, beside relative errors of times."""
TOLERANCE = 0.05
"""Relative error up to which a predicted speedup over the unpruned model is good enough."""
_STAY = 0.05
"""Weight of the wish that a correction change nothing, beside relative errors of times."""


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
            sum(w * t for w, t in zip(_hat(self.counts, count), self.milliseconds, strict=True))
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
            attention, feed_forward = self._times(top=number >= topmost)
            total += attention.at(layer.heads) + feed_forward.at(layer.neurons)
        return total

    def _times(self, *, top: bool) -> tuple[SublayerTimes, SublayerTimes]:
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
        unpruned = self._unpruned(models)
        return [
            abs(self.speedup(model.shape) * model.milliseconds / unpruned - 1) for model in models
        ]

    def _unpruned(self, models: Sequence[WholeModel]) -> float:
        found = [model.milliseconds for model in models if model.shape == self.base]
        if not found:
            raise UsageError("the unpruned model must be among those that correct a latency table")
        return float(np.median(found))

    def corrected(self, models: Sequence[WholeModel]) -> LatencyTable:
        """The table with its parts scaled so that it predicts these models, measured interleaved.

        Four factors, of base, attention, feed-forward and what no width takes away (a sublayer's
        time with its fewest units), each drawn towards that of the unpruned model.

        Args:
            models: the unpruned one among them.

        Raises:
            UsageError: it is not.
        """
        unpruned = self._unpruned(models)
        scale = unpruned / self.predict(self.base)
        parts = np.array([_parts(self, model.shape) for model in models]) * scale
        goal = np.array([model.milliseconds for model in models])
        # The unpruned model counts as much as all others: every speedup is over it.
        weight = (
            np.array([len(models) if model.shape == self.base else 1.0 for model in models]) / goal
        )
        left = np.vstack([parts * weight[:, None], _STAY * np.eye(parts.shape[1])])
        right = np.concatenate([goal * weight, _STAY * np.ones(parts.shape[1])])
        factors = scale * _non_negative(left, right)
        table = _scaled(self, factors)
        return table.model_copy(
            update={
                "measured": (*self.measured, *(m for m in models if m not in self.measured)),
                "worst_error": max(table.errors(models)),
            }
        )

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
        if not self._is_of(base):
            differ.append(f"a model of {self.base.label()}, not {base.label()}")
        if differ:
            raise _for_something_else("; ".join(differ))

    def require_base(self, base: ModelShape) -> None:
        """Check that the table is for a model, whatever it is to be deployed as.

        Raises:
            DataError: it is for another one.
        """
        if not self._is_of(base):
            raise _for_something_else(f"a model of {self.base.label()}, not {base.label()}")

    def _is_of(self, base: ModelShape) -> bool:
        return (self.base.layers, self.base.hidden_size) == (base.layers, base.hidden_size)


def _for_something_else(what: str) -> DataError:
    return DataError(
        f"The latency table is for {what}.",
        fix="Measure one for this model with glp-export latency-table.",
    )


def fit_table(
    conditions: Conditions,
    base: ModelShape,
    models: Sequence[WholeModel],
    *,
    heads: Sequence[int],
    neurons: Sequence[int],
    separate_top: bool,
) -> LatencyTable:
    """The table that predicts whole models best, by their relative errors.

    Times rise with the count, and slopes change no more than the measurements ask for.

    Args:
        conditions: of the measurement.
        base: the unpruned model.
        models: measured interleaved, the unpruned one among them.
        heads: counts of the table, ascending from 0 to all.
        neurons: counts of the table, ascending from 0 to all.
        separate_top: the topmost layer has times of its own.

    Raises:
        UsageError: the unpruned model is not among them.
    """
    grids = [tuple(heads), tuple(neurons)] * (2 if separate_top else 1)
    sizes = [len(grid) for grid in grids]
    rows = np.array([_features(model.shape, grids) for model in models])
    goal = np.array([model.milliseconds for model in models])
    weight = np.array([3.0 if model.shape == base else 1.0 for model in models]) / goal
    # Of increments, so that none is negative and times rise.
    steps = _block_cumulative(sizes)
    smooth = _second_differences(grids) @ steps * (_REGULAR / float(np.median(goal)))
    left = np.vstack([rows @ steps * weight[:, None], smooth])
    right = np.concatenate([goal * weight, np.zeros(len(smooth))])
    found = steps @ _non_negative(left, right)
    times = np.split(found[1:], np.cumsum(sizes)[:-1])
    curves = [
        SublayerTimes(counts=grid, milliseconds=tuple(values.tolist()))
        for grid, values in zip(grids, times, strict=True)
    ]
    table = LatencyTable(
        conditions=conditions,
        base=base,
        base_ms=float(found[0]),
        attention=curves[0],
        feed_forward=curves[1],
        topmost_attention=curves[-2],
        topmost_feed_forward=curves[-1],
        measured=tuple(models),
        worst_error=0.0,
    )
    return table.model_copy(update={"worst_error": max(table.errors(models))})


def kept_table(work: Path, table_id: str | None) -> LatencyTable | None:
    """The table of this id that a run has kept; None where there is none.

    Raises:
        DataError: it cannot be read.
    """
    path = _kept_path(work, table_id or "")
    return LatencyTable.load(path) if path.is_file() else None


def _kept_path(work: Path, table_id: str) -> Path:
    return work / "latency" / "chosen" / f"{table_id[:16]}.json"


def corrected_by_choices(
    table: LatencyTable,
    choose: Callable[[LatencyTable], Sequence[ModelShape]],
    measure: Callable[[Sequence[ModelShape]], Sequence[WholeModel]],
    *,
    tolerance: float = TOLERANCE,
    rounds: int = 3,
) -> LatencyTable:
    """Correct a table by what is chosen with it, until those speedups are as predicted.

    Every correction is by the models of all rounds, each round scaled to the first one's unpruned
    model. `worst_error` of the result tells whether the last round's speedups were within the
    tolerance.

    Args:
        table: as it was fitted.
        choose: the shapes that a table leads to; the same for the same table.
        measure: runs models of some shapes interleaved.
        tolerance: largest relative error of a speedup over the unpruned model.
        rounds: measurements at most.
    """
    seen: list[WholeModel] = []
    for _ in range(rounds):
        models = list(measure([table.base, *choose(table)]))
        worst = max(table.errors(models))
        scale = seen[0].milliseconds / models[0].milliseconds if seen else 1.0
        seen += [m.model_copy(update={"milliseconds": m.milliseconds * scale}) for m in models]
        if worst <= tolerance:
            known = (*table.measured, *models)
            return table.model_copy(update={"measured": known, "worst_error": worst})
        table = table.corrected(seen)
    return table


def topmost_with_heads(shape: ModelShape) -> int:
    """The number of the topmost layer that has heads; 0 where none has."""
    return max((number for number, layer in enumerate(shape.layers) if layer.heads), default=0)


def _hat(counts: Sequence[int], count: int) -> list[float]:
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


def _features(shape: ModelShape, grids: Sequence[tuple[int, ...]]) -> list[float]:
    """1 for the base, then how often each count of each grid occurs in a model."""
    sums = [np.zeros(len(grid)) for grid in grids]
    topmost = topmost_with_heads(shape)
    for number, layer in enumerate(shape.layers):
        first = len(grids) - 2 if number >= topmost else 0
        for place, count in ((first, layer.heads), (first + 1, layer.neurons)):
            sums[place] += _hat(grids[place], count)
    return [1.0, *np.concatenate(sums).tolist()]


def _block_cumulative(sizes: Sequence[int]) -> Array:
    """From the base and increments to the base and times."""
    total = 1 + sum(sizes)
    matrix = np.zeros((total, total))
    matrix[0, 0] = 1
    start = 1
    for size in sizes:
        matrix[start : start + size, start : start + size] = np.tril(np.ones((size, size)))
        start += size
    return matrix


def _second_differences(grids: Sequence[tuple[int, ...]]) -> Array:
    """Changes of slope at the inner counts, for the full width; 0 stands alone."""
    rows = []
    total = 1 + sum(len(grid) for grid in grids)
    start = 1
    for grid in grids:
        for place in range(2, len(grid) - 1):
            low, mid, high = grid[place - 1 : place + 2]
            row = np.zeros(total)
            row[start + place - 1] += grid[-1] / (mid - low)
            row[start + place] -= grid[-1] / (mid - low) + grid[-1] / (high - mid)
            row[start + place + 1] += grid[-1] / (high - mid)
            rows.append(row)
        start += len(grid)
    return np.array(rows).reshape(-1, total)


def _parts(table: LatencyTable, shape: ModelShape) -> list[float]:
    """Base, width of attention, width of feed-forward, and what does not depend on width."""
    widths, fixed, topmost = [0.0, 0.0], 0.0, topmost_with_heads(shape)
    for number, layer in enumerate(shape.layers):
        times = table._times(top=number >= topmost)
        for kind, count in enumerate((layer.heads, layer.neurons)):
            least = times[kind].milliseconds[min(1, count)]
            fixed += least
            widths[kind] += times[kind].at(count) - least
    return [table.base_ms, *widths, fixed]


def _scaled(table: LatencyTable, factors: Array) -> LatencyTable:
    base, attention, feed_forward, fixed = (float(factor) for factor in factors)
    return table.model_copy(
        update={
            "base_ms": table.base_ms * base,
            "attention": _stretched(table.attention, attention, fixed),
            "feed_forward": _stretched(table.feed_forward, feed_forward, fixed),
            "topmost_attention": _stretched(table.topmost_attention, attention, fixed),
            "topmost_feed_forward": _stretched(table.topmost_feed_forward, feed_forward, fixed),
        }
    )


def _stretched(times: SublayerTimes, width: float, fixed: float) -> SublayerTimes:
    none, least, *_ = times.milliseconds
    return times.model_copy(
        update={
            "milliseconds": (
                none * fixed,
                *(least * fixed + (own - least) * width for own in times.milliseconds[1:]),
            )
        }
    )


def _non_negative(left: Array, right: Array) -> Array:
    from scipy.optimize import nnls

    return np.asarray(nnls(left, right)[0])
