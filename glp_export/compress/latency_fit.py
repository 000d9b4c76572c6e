"""Latency tables from measurements: fitted to whole models, then corrected by what was chosen.

The models ran interleaved. Isolated blocks are not measured, for their sum is far off: caches hold
a block but not a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.latency_table import (
    Conditions,
    LatencyTable,
    SublayerTimes,
    WholeModel,
    hat,
    topmost_with_heads,
)
from glp_export.core.shape import ModelShape

Array = NDArray[np.float64]
_REGULAR = 0.02
"""Weight of the wish that neighbouring slopes be alike, beside relative errors of times."""
TOLERANCE = 0.05
"""Relative error up to which a predicted speedup over the unpruned model is good enough."""
_ROUNDS = 3
"""Measurements of what a table leads to, at most."""
_STAY = 0.05
"""Weight of the wish that a correction change nothing, beside relative errors of times."""


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


def corrected(table: LatencyTable, models: Sequence[WholeModel]) -> LatencyTable:
    """A table with its parts scaled so that it predicts these models, measured interleaved.

    Four factors, of base, attention, feed-forward and what no width takes away (a sublayer's
    time with its fewest units), each drawn towards that of the unpruned model.

    Args:
        table: as it was fitted or corrected before.
        models: the unpruned one among them.

    Raises:
        UsageError: it is not.
    """
    unpruned = table.unpruned_ms(models)
    scale = unpruned / table.predict(table.base)
    parts = np.array([_parts(table, model.shape) for model in models]) * scale
    goal = np.array([model.milliseconds for model in models])
    # The unpruned model counts as much as all others: every speedup is over it.
    weight = (
        np.array([len(models) if model.shape == table.base else 1.0 for model in models]) / goal
    )
    left = np.vstack([parts * weight[:, None], _STAY * np.eye(parts.shape[1])])
    right = np.concatenate([goal * weight, _STAY * np.ones(parts.shape[1])])
    factors = scale * _non_negative(left, right)
    fitted = _scaled(table, factors)
    return fitted.model_copy(
        update={
            "measured": (*table.measured, *(m for m in models if m not in table.measured)),
            "worst_error": max(fitted.errors(models)),
        }
    )


def corrected_by_choices(
    table: LatencyTable,
    choose: Callable[[LatencyTable], Sequence[ModelShape]],
    measure: Callable[[Sequence[ModelShape]], Sequence[WholeModel]],
    *,
    enough: Callable[[Sequence[WholeModel]], bool] = lambda models: True,
) -> LatencyTable:
    """Correct a table by what is chosen with it, until its speedups are as predicted and enough.

    Every correction is by the models of all rounds, each round scaled to the first one's unpruned
    model. `worst_error` of the result tells whether the last round's speedups were within the
    tolerance.

    Args:
        table: as it was fitted.
        choose: the shapes that a table leads to; the same for the same table.
        measure: runs models of some shapes interleaved.
        enough: whether those, the unpruned one first, are as fast as was asked for; an error
            within the tolerance may be larger than the margin.
    """
    seen: list[WholeModel] = []
    for _ in range(_ROUNDS):
        models = list(measure([table.base, *choose(table)]))
        worst = max(table.errors(models))
        scale = seen[0].milliseconds / models[0].milliseconds if seen else 1.0
        seen += [m.model_copy(update={"milliseconds": m.milliseconds * scale}) for m in models]
        if worst <= TOLERANCE and enough(models):
            known = (*table.measured, *models)
            return table.model_copy(update={"measured": known, "worst_error": worst})
        table = corrected(table, seen)
    return table


def _features(shape: ModelShape, grids: Sequence[tuple[int, ...]]) -> list[float]:
    """1 for the base, then how often each count of each grid occurs in a model."""
    sums = [np.zeros(len(grid)) for grid in grids]
    topmost = topmost_with_heads(shape)
    for number, layer in enumerate(shape.layers):
        first = len(grids) - 2 if number >= topmost else 0
        for place, count in ((first, layer.heads), (first + 1, layer.neurons)):
            sums[place] += hat(grids[place], count)
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
        times = table.times(top=number >= topmost)
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
