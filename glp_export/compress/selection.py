"""Which heads, neurons and layers stay under a latency budget: dynamic programming, pure and exact.

As ZipLM chooses (arXiv 2302.04089, section 3.2): every sublayer has levels with an error and a
time, times and errors add up, and the least error within the budget is found by going through the
layers once. Whole layers are among the choices, and the topmost layer that stays has times of its
own, since files in the first-token form compute most of it for one token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.errors import LatencyError, UsageError

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
        milliseconds: what it takes below the topmost layer that stays.
        topmost: what it takes in that layer.
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

    A layer keeps heads or neurons, or goes whole; at least one stays. Of equal errors the
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
    largest = max(budgets_ms)
    grid = _Grid(largest - space.base_ms, cells)
    # Before each layer, and what is lost by the layers above the topmost one.
    states = [_State.start()]
    for layer in space.layers[:-1]:
        states.append(grid.below(states[-1], layer))
    ends = []
    for number, layer in enumerate(space.layers):
        above = [above.gone for above in space.layers[number + 1 :]]
        if None not in above:
            end = grid.whole(states[number], layer, topmost=True)
            ends.append((number, end.plus(sum(gone for gone in above if gone is not None))))
    return [_best(space, ends, budget) for budget in budgets_ms]


@dataclass(frozen=True)
class _State:
    """The best ways so far, one for each cell that is reached.

    Attributes:
        errors: of each.
        times: of each, in milliseconds without the base.
        parents: places in the state before.
        levels: `(ways, 2)`, places in the levels of attention and feed-forward; −1 for a layer
            that goes.
        before: the state before.
    """

    errors: Array
    times: Array
    parents: Array
    levels: Array
    before: _State | None

    @classmethod
    def start(cls) -> _State:
        """Nothing chosen, nothing lost."""
        none = np.zeros(1, dtype=np.int64)
        return cls(np.zeros(1), np.zeros(1), none, np.zeros((1, 2), dtype=np.int64), None)

    def plus(self, error: float) -> _State:
        """The same with more lost."""
        return replace(self, errors=self.errors + error)


class _Grid:
    """The cells of time."""

    def __init__(self, largest_ms: float, cells: int) -> None:
        self._largest, self._step = largest_ms, max(largest_ms, 1e-12) / cells

    def below(self, state: _State, layer: LayerLevels) -> _State:
        """The ways on through a layer that is not the topmost of those that stay."""
        stays = self.whole(state, layer, topmost=False)
        if layer.gone is None:
            return stays
        count = len(state.errors)
        goes = _State(
            state.errors + layer.gone,
            state.times,
            np.arange(count),
            np.full((count, 2), -1),
            state,
        )
        return self._thinned(_joined(stays, goes))

    def whole(self, state: _State, layer: LayerLevels, *, topmost: bool) -> _State:
        """The ways on through a layer that keeps heads, neurons or both."""
        heads, neurons = layer.attention, layer.feed_forward
        some_heads = self._on(state, heads, [n for n, c in enumerate(heads.counts) if c], topmost)
        no_heads = self._on(state, heads, [n for n, c in enumerate(heads.counts) if not c], topmost)
        every = list(range(len(neurons.counts)))
        some = [number for number, count in enumerate(neurons.counts) if count]
        found = [
            self._second(middle, neurons, levels, topmost)
            for middle, levels in ((some_heads, every), (no_heads, some))
        ]
        return self._thinned(_joined(*found))

    def _on(self, state: _State, sublayer: Levels, places: list[int], topmost: bool) -> _State:
        """Every way with every level of a sublayer."""
        own = np.array(places, dtype=np.int64)
        times = np.array(sublayer.topmost if topmost else sublayer.milliseconds)[own]
        errors = np.array(sublayer.errors)[own]
        parents = np.repeat(np.arange(len(state.errors)), len(own))
        return self._thinned(
            _State(
                (state.errors[:, None] + errors).ravel(),
                (state.times[:, None] + times).ravel(),
                parents,
                np.stack([np.tile(own, len(state.errors)), np.zeros(len(parents), int)], 1),
                state,
            )
        )

    def _second(self, middle: _State, sublayer: Levels, places: list[int], topmost: bool) -> _State:
        """On through the feed-forward block; both sublayers of a layer become one step."""
        after = self._on(middle, sublayer, places, topmost)
        return replace(
            after,
            parents=middle.parents[after.parents],
            levels=np.stack([middle.levels[after.parents, 0], after.levels[:, 0]], 1),
            before=middle.before,
        )

    def _thinned(self, state: _State) -> _State:
        """The way of least error in each cell, of those the fastest; no way past the budget."""
        allowed = np.flatnonzero(state.times <= self._largest * (1 + 1e-12))
        cell = np.floor(state.times / self._step).astype(np.int64)
        least = np.full(cell[allowed].max(initial=0) + 1, np.inf)
        np.minimum.at(least, cell[allowed], state.errors[allowed])
        order = allowed[state.errors[allowed] == least[cell[allowed]]]
        order = order[np.lexsort((state.times[order], cell[order]))]
        first = np.ones(len(order), dtype=bool)
        first[1:] = cell[order][1:] != cell[order][:-1]
        cells = order[first]
        # A way that is slower and no better than one in an earlier cell leads nowhere.
        best = np.minimum.accumulate(np.append(np.inf, state.errors[cells]))[:-1]
        cells = cells[state.errors[cells] < best]
        # The fastest way of all stays whatever it loses, so that a budget that it keeps is reached.
        quickest = allowed[state.times[allowed] == state.times[allowed].min(initial=np.inf)]
        fastest = quickest[np.argsort(state.errors[quickest], kind="stable")[:1]]
        order = np.concatenate([fastest[~np.isin(fastest, cells)], cells])
        return replace(
            state,
            errors=state.errors[order],
            times=state.times[order],
            parents=state.parents[order],
            levels=state.levels[order],
        )


def _joined(first: _State, second: _State) -> _State:
    """Ways that come from the same state before."""
    return _State(
        np.concatenate([first.errors, second.errors]),
        np.concatenate([first.times, second.times]),
        np.concatenate([first.parents, second.parents]),
        np.concatenate([first.levels, second.levels]),
        first.before,
    )


def _best(space: SearchSpace, ends: list[tuple[int, _State]], budget: float) -> Selection:
    found = []
    for number, state in ends:
        allowed = np.flatnonzero(state.times + space.base_ms <= budget * (1 + 1e-12))
        if len(allowed):
            place = allowed[np.lexsort((state.times[allowed], state.errors[allowed]))[0]]
            found.append((float(state.errors[place]), float(state.times[place]), number, place))
    if not found:
        fastest = fastest_ms(space)
        raise LatencyError(
            f"No choice of layers, heads and neurons takes {budget:.4g} ms: the least is "
            f"{fastest:.4g} ms, {space.unpruned_ms / fastest:.2f} times as fast as unpruned.",
            fix=f"Ask for at least {fastest:.4g} ms, or at most that speedup.",
        )
    error, milliseconds, number, place = min(found)
    state = dict(ends)[number]
    layers: list[tuple[int, int] | None] = [None] * len(space.layers)
    current: _State = state
    while current.before is not None:
        attention, feed_forward = (int(level) for level in current.levels[place])
        if attention >= 0:
            layer = space.layers[number]
            layers[number] = (
                layer.attention.counts[attention],
                layer.feed_forward.counts[feed_forward],
            )
        place, current, number = int(current.parents[place]), current.before, number - 1
    return Selection(tuple(layers), error, milliseconds + space.base_ms)


def fastest_ms(space: SearchSpace) -> float:
    """The least time that any choice takes, in milliseconds."""
    best = np.inf
    below = 0.0
    for number, layer in enumerate(space.layers):
        if all(above.gone is not None for above in space.layers[number + 1 :]):
            best = min(best, below + _least(layer, topmost=True))
        below += 0.0 if layer.gone is not None else _least(layer, topmost=False)
    return float(best + space.base_ms)


def _least(layer: LayerLevels, *, topmost: bool) -> float:
    """The least time of a layer that keeps something."""
    heads, neurons = layer.attention, layer.feed_forward
    pairs = [
        (h, n)
        for h in range(len(heads.counts))
        for n in range(len(neurons.counts))
        if heads.counts[h] or neurons.counts[n]
    ]
    one = heads.topmost if topmost else heads.milliseconds
    two = neurons.topmost if topmost else neurons.milliseconds
    return min(one[h] + two[n] for h, n in pairs)


def selection_ms(space: SearchSpace, layers: Sequence[tuple[int, int] | None]) -> float:
    """What a choice takes, in milliseconds."""
    total, top = space.base_ms, True
    for levels, kept in reversed(list(zip(space.layers, layers, strict=True))):
        if kept is not None:
            for sublayer, count in zip((levels.attention, levels.feed_forward), kept, strict=True):
                times = sublayer.topmost if top else sublayer.milliseconds
                total += times[sublayer.counts.index(count)]
            top = False
    return total


def weighted(space: SearchSpace, coefficients: Sequence[tuple[float, float, float]]) -> SearchSpace:
    """The space with errors multiplied, layer by layer: of attention, feed-forward, whole layer."""
    return replace(
        space,
        layers=tuple(
            LayerLevels(
                _times(layer.attention, attention),
                _times(layer.feed_forward, feed_forward),
                None if layer.gone is None else layer.gone * whole,
            )
            for layer, (attention, feed_forward, whole) in zip(
                space.layers, coefficients, strict=True
            )
        ),
    )


def _times(levels: Levels, factor: float) -> Levels:
    return replace(levels, errors=tuple(error * factor for error in levels.errors))


@dataclass(frozen=True)
class Mutation:
    """How coefficients are varied, as ZipLM does it.

    Attributes:
        rounds: choices that are scored, the first one included.
        share: of the coefficients that change in a round.
        spread: standard deviation of a change, in natural logarithms.
        seed: of the changes.
    """

    rounds: int = 20
    share: float = 0.3
    spread: float = 0.7
    seed: int = 0


def improve(
    space: SearchSpace,
    budget_ms: float,
    loss: Callable[[Selection], float],
    mutation: Mutation = Mutation(),
    *,
    cells: int = CELLS,
) -> tuple[Selection, float]:
    """Vary the coefficients of the errors and keep the choice whose measured loss is least.

    Each round changes some coefficients of the best ones so far. A choice that was scored before
    is not scored again. The errors in the result are those of the varied coefficients.

    Args:
        space: with the coefficients to begin with.
        budget_ms: milliseconds.
        loss: of a model that keeps what is chosen, on texts for choosing.
        mutation: how.
        cells: as in `select`.

    Returns:
        The choice and its loss.

    Raises:
        LatencyError: the budget is out of reach.
    """
    generator = np.random.default_rng(mutation.seed)
    best = np.zeros((len(space.layers), 3))
    chosen = select(space, [budget_ms], cells=cells)[0]
    scores = {chosen.layers: loss(chosen)}
    for _ in range(mutation.rounds - 1):
        changed = generator.random(best.shape) < mutation.share
        logs = best + changed * generator.normal(0, mutation.spread, best.shape)
        factors = [(float(a), float(f), float(w)) for a, f, w in np.exp(logs)]
        found = select(weighted(space, factors), [budget_ms], cells=cells)[0]
        if found.layers in scores:
            continue
        scores[found.layers] = loss(found)
        if scores[found.layers] < scores[chosen.layers]:
            chosen, best = found, logs
    return chosen, scores[chosen.layers]
