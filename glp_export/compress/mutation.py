"""A choice under a latency budget is improved by varying what the errors of sublayers weigh.

As ZipLM does (arXiv 2302.04089, section 3.2): sums of errors guide, the measured loss decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.selection import LayerLevels, Levels, SearchSpace, Selection, select

Coefficients = Sequence[tuple[float, float, float]]
"""What errors are multiplied by, layer by layer: of attention, feed-forward, whole layer."""


def weighted(space: SearchSpace, coefficients: Coefficients) -> SearchSpace:
    """The space with its errors multiplied."""
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
    start: Coefficients | None = None,
) -> Coefficients:
    """Vary what the errors are multiplied by, and keep what leads to the least measured loss.

    Each round changes some of the best ones so far. A choice that was scored before is not scored
    again.

    Args:
        space: whose errors are multiplied.
        budget_ms: milliseconds.
        loss: of a model that keeps what is chosen, on texts for choosing.
        mutation: how.
        start: the first ones; all 1 where there are none.

    Raises:
        LatencyError: the budget is out of reach.
    """
    generator = np.random.default_rng(mutation.seed)
    best = np.zeros((len(space.layers), 3)) if start is None else np.log(start)
    chosen = select(weighted(space, _factors(best)), [budget_ms])[0]
    scores = {chosen.layers: loss(chosen)}
    for _ in range(mutation.rounds - 1):
        changed = generator.random(best.shape) < mutation.share
        logs = best + changed * generator.normal(0, mutation.spread, best.shape)
        found = select(weighted(space, _factors(logs)), [budget_ms])[0]
        if found.layers in scores:
            continue
        scores[found.layers] = loss(found)
        if scores[found.layers] < scores[chosen.layers]:
            chosen, best = found, logs
    return _factors(best)


def _factors(logs: NDArray[np.float64]) -> Coefficients:
    return [(float(a), float(f), float(w)) for a, f, w in np.exp(logs)]
