"""Which heads, neurons and layers stay under a latency budget, by dynamic programming.

As ZipLM chooses (arXiv 2302.04089, section 3.2): every sublayer has levels with an error and a
time, times and errors add up, and the least error within the budget is found by going through the
layers once. Whole layers are among the choices. From the topmost layer with heads on, layers have
times of their own: a file in the first-token form computes one token of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import LatencyError, UsageError

CELLS = 1500
"""Steps that the largest budget is divided into. Within a step the smaller error wins, whatever its
time, so this limits how close to the optimum a choice is, and never whether it keeps the budget."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Levels:
    """How much of one sublayer may stay; equally many entries in all of them.

    Attributes:
        counts: heads or neurons that stay, ascending from 0 to all.
        errors: what is lost.
        milliseconds: what it takes below the topmost layer that keeps heads.
        topmost: what it takes in that layer and above it.
    """

    counts: tuple[int, ...]
    errors: tuple[float, ...]
    milliseconds: tuple[float, ...]
    topmost: tuple[float, ...]

    def __post_init__(self) -> None:
        if len({len(self.counts), len(self.errors), len(self.milliseconds), len(self.topmost)}) > 1:
            raise ValueError("a sublayer's levels need as many counts, errors and times")


@dataclass(frozen=True)
class LayerLevels:
    """The choices for one layer.

    Attributes:
        attention: levels of its heads.
        feed_forward: levels of its neurons.
        gone: what is lost when the layer goes with its norms; None where it must stay.
    """

    attention: Levels
    feed_forward: Levels
    gone: float | None


@dataclass(frozen=True)
class SearchSpace:
    """All choices.

    Attributes:
        layers: bottom first.
        base_ms: embeddings and head, in milliseconds.
    """

    layers: tuple[LayerLevels, ...]
    base_ms: float

    @property
    def unpruned_ms(self) -> float:
        """What everything takes."""
        *lower, top = self.layers
        inner = sum(
            layer.attention.milliseconds[-1] + layer.feed_forward.milliseconds[-1]
            for layer in lower
        )
        return self.base_ms + inner + top.attention.topmost[-1] + top.feed_forward.topmost[-1]


@dataclass(frozen=True)
class Selection:
    """What stays.

    Attributes:
        layers: heads and neurons of each layer, None for one that goes whole.
        error: the sum of what is lost.
        milliseconds: what it takes by the latency table.
    """

    layers: tuple[tuple[int, int] | None, ...]
    error: float
    milliseconds: float


def select(
    space: SearchSpace, budgets_ms: Sequence[float], *, cells: int = CELLS
) -> list[Selection]:
    """The least error within each budget, all of them from one pass.

    A layer keeps heads or neurons, or goes whole; at least one keeps heads. Of equal errors the
    shorter time wins, so the result is a function of the arguments alone.

    Args:
        space: the choices.
        budgets_ms: milliseconds, in any order.
        cells: steps that the largest of them is divided into.

    Returns:
        One for each budget.

    Raises:
        LatencyError: a budget is out of reach; the message has the fastest that is not.
        UsageError: there is no budget, or one that is not above 0.
    """
    if not budgets_ms or min(budgets_ms) <= 0:
        raise UsageError("a latency budget must be above 0 ms")
    grid = _Grid(max(budgets_ms) - space.base_ms, cells)
    states = [_State.start()]
    for layer in space.layers:
        states.append(grid.through(states[-1], layer))
    return [_best(space, states, budget) for budget in budgets_ms]


_BELOW, _BELOW_NO_HEADS, _TOP, _ABOVE = range(4)
"""What a layer is to the topmost one with heads; ways below it and ways past it do not compare."""


@dataclass(frozen=True)
class _State:
    """The best ways up to a layer, one for each side of the topmost heads and each cell.

    Attributes:
        errors: of each.
        times: of each, in milliseconds without the base.
        sides: `_BELOW` or `_ABOVE` the topmost layer with heads; within a layer all four.
        parents: places in the state before the layer.
        levels: `(ways, 2)`, places in the levels of attention and feed-forward; −1 for a layer
            that goes.
    """

    errors: Array
    times: Array
    sides: Array
    parents: Array
    levels: Array

    @classmethod
    def start(cls) -> _State:
        """Nothing chosen, nothing lost."""
        none = np.zeros(1, dtype=np.int64)
        return cls(np.zeros(1), np.zeros(1), none, none, np.zeros((1, 2), dtype=np.int64))

    def taken(self, places: Array) -> _State:
        """Some of the ways."""
        return _State(*(getattr(self, field.name)[places] for field in fields(self)))

    @classmethod
    def joined(cls, states: Sequence[_State]) -> _State:
        """All ways of several states."""
        columns = (np.concatenate([getattr(s, f.name) for s in states]) for f in fields(cls))
        return cls(*columns)


class _Grid:
    """The cells of time."""

    def __init__(self, largest_ms: float, cells: int) -> None:
        self._largest, self._step = largest_ms, max(largest_ms, 1e-12) / cells

    def through(self, state: _State, layer: LayerLevels) -> _State:
        """The ways on through one layer."""
        entering = replace(state, parents=np.arange(len(state.errors)))
        below = entering.taken(np.flatnonzero(state.sides == _BELOW))
        above = entering.taken(np.flatnonzero(state.sides == _ABOVE))
        heads, neurons = layer.attention, layer.feed_forward
        some = np.flatnonzero(np.array(heads.counts) > 0)
        none = np.flatnonzero(np.array(heads.counts) == 0)
        middle = self._thinned(
            _State.joined(
                [
                    _on(below, heads, some, _BELOW),
                    _on(below, heads, none, _BELOW_NO_HEADS),
                    _on(below, heads, some, _TOP),
                    _on(above, heads, none, _ABOVE),
                ]
            )
        )
        found = []
        for side in (_BELOW, _BELOW_NO_HEADS, _TOP, _ABOVE):
            # A layer without heads keeps neurons; one that loses both goes whole.
            least = 1 if side in (_BELOW_NO_HEADS, _ABOVE) else 0
            places = np.flatnonzero(np.array(neurons.counts) >= least)
            ways = middle.taken(np.flatnonzero(middle.sides == side))
            after = _on(ways, neurons, places, side)
            past = _ABOVE if side in (_TOP, _ABOVE) else _BELOW
            found.append(replace(after, sides=np.full(len(after.sides), past)))
        if layer.gone is not None:
            goes = replace(entering, levels=np.full((len(state.errors), 2), -1))
            found.append(replace(goes, errors=goes.errors + layer.gone))
        return self._thinned(_State.joined(found))

    def _thinned(self, state: _State) -> _State:
        """The way of least error in each cell, of those the fastest; no way past the budget."""
        sides = [self._thin_side(state, np.flatnonzero(state.sides == side)) for side in range(4)]
        return state.taken(np.concatenate(sides))

    def _thin_side(self, state: _State, places: Array) -> Array:
        places = places[state.times[places] <= self._largest * (1 + 1e-12)]
        if not len(places):
            return places
        times, errors = state.times[places], state.errors[places]
        cell = np.floor(times / self._step).astype(np.int64)
        least = np.full(cell.max() + 1, np.inf)
        np.minimum.at(least, cell, errors)
        best_of_cell = np.flatnonzero(errors == least[cell])
        order = best_of_cell[np.lexsort((times[best_of_cell], cell[best_of_cell]))]
        first = np.ones(len(order), dtype=bool)
        first[1:] = cell[order][1:] != cell[order][:-1]
        cells = places[order[first]]
        # A way that is slower and no better than one in an earlier cell leads nowhere.
        best = np.minimum.accumulate(np.append(np.inf, state.errors[cells]))[:-1]
        cells = cells[state.errors[cells] < best]
        # The fastest way of all stays whatever it loses, so that a budget that it keeps is reached.
        quickest = places[times == times.min()]
        fastest = quickest[np.argsort(state.errors[quickest], kind="stable")[:1]]
        return np.concatenate([fastest[~np.isin(fastest, cells)], cells])


def _on(ways: _State, sublayer: Levels, places: Array, side: int) -> _State:
    """Every way with some levels of a sublayer: of attention, or of feed-forward after it."""
    times = np.array(sublayer.topmost if side in (_TOP, _ABOVE) else sublayer.milliseconds)
    count, options = len(ways.errors), len(places)
    chosen = np.tile(places, count)
    before = np.repeat(ways.levels, options, axis=0)
    return _State(
        (ways.errors[:, None] + np.array(sublayer.errors)[places]).ravel(),
        (ways.times[:, None] + times[places]).ravel(),
        np.full(count * options, side),
        np.repeat(ways.parents, options),
        # Attention's place moves to the front when that of feed-forward comes.
        np.stack([before[:, 1], chosen], 1),
    )


def _best(space: SearchSpace, states: Sequence[_State], budget: float) -> Selection:
    end = states[-1]
    allowed = np.flatnonzero(
        (end.sides == _ABOVE) & (end.times + space.base_ms <= budget * (1 + 1e-12))
    )
    if not len(allowed):
        fastest = fastest_ms(space)
        raise LatencyError(
            f"No choice of layers, heads and neurons takes {budget:.4g} ms: the least is "
            f"{fastest:.4g} ms, {space.unpruned_ms / fastest:.2f} times as fast as unpruned.",
            fix=f"Ask for at least {fastest:.4g} ms, or at most that speedup.",
        )
    place = int(allowed[np.lexsort((end.times[allowed], end.errors[allowed]))[0]])
    error, milliseconds = float(end.errors[place]), float(end.times[place])
    layers: list[tuple[int, int] | None] = []
    for state, layer in zip(states[:0:-1], space.layers[::-1], strict=True):
        attention, feed_forward = (int(level) for level in state.levels[place])
        gone = attention < 0
        counts = (layer.attention.counts[attention], layer.feed_forward.counts[feed_forward])
        layers.append(None if gone else counts)
        place = int(state.parents[place])
    return Selection(tuple(reversed(layers)), error, milliseconds + space.base_ms)


def fastest_ms(space: SearchSpace) -> float:
    """The least time that any choice takes, in milliseconds."""
    below, past = 0.0, np.inf
    for layer in space.layers:
        heads, neurons = layer.attention, layer.feed_forward
        top = min(t for t, c in zip(heads.topmost, heads.counts, strict=True) if c)
        headless = heads.topmost[0] + min(neurons.topmost[1:])
        stay = min(
            heads.milliseconds[h] + neurons.milliseconds[n]
            for h in range(len(heads.counts))
            for n in range(len(neurons.counts))
            if heads.counts[h] or neurons.counts[n]
        )
        free = layer.gone is not None
        past = min(past + (0.0 if free else headless), below + top + min(neurons.topmost))
        below += 0.0 if free else stay
    return float(past + space.base_ms)


def selection_ms(space: SearchSpace, layers: Sequence[tuple[int, int] | None]) -> float:
    """What a choice takes, in milliseconds."""
    total, below = space.base_ms, False
    for levels, kept in reversed(list(zip(space.layers, layers, strict=True))):
        if kept is None:
            continue
        for sublayer, count in zip((levels.attention, levels.feed_forward), kept, strict=True):
            times = sublayer.milliseconds if below else sublayer.topmost
            total += times[sublayer.counts.index(count)]
        below = below or kept[0] > 0
    return total
