"""From error curves and a latency table to the space of choices, and from a choice to units."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from glp_export.compress.criteria.base import ErrorCurve, Ranking, Sublayer
from glp_export.compress.latency_table import LatencyTable, SublayerTimes
from glp_export.compress.selection import LayerLevels, Levels, SearchSpace, Selection
from glp_export.core.errors import UsageError
from glp_export.core.shape import Kept, KeptLayer, LayerShape, ModelShape

NEURON_STEP = 32
"""Neurons between two levels."""


def make_space(
    ranking: Ranking,
    table: LatencyTable,
    *,
    neuron_step: int = NEURON_STEP,
    sensitivity: Mapping[Sublayer, float] | None = None,
    whole_layers: Mapping[int, float] | None = None,
    pinned: Collection[int] = (),
) -> SearchSpace:
    """The space of a model all of whose sublayers were ranked.

    A sublayer's error is its share of the one of keeping none, times its sensitivity.

    Args:
        ranking: of the unpruned model's units.
        table: of its times.
        neuron_step: neurons between two levels; the last level has all.
        sensitivity: what the model loses when a sublayer alone keeps none; 1 for each by default.
        whole_layers: what it loses when a layer alone goes with its norms; by default both
            sublayers' sensitivities.
        pinned: layers that must stay.

    Raises:
        UsageError: the table is for another number of layers.
    """
    curves = {curve.sublayer: curve for curve in ranking.curves}
    depth = 1 + max(sublayer.layer for sublayer in curves)
    if depth != table.base.depth:
        raise UsageError(f"the latency table is for {table.base.depth} layers, not {depth}")
    layers = []
    for number in range(depth):
        attention, feed_forward = Sublayer(number, "attention"), Sublayer(number, "feed-forward")
        weights = [(sensitivity or {}).get(own, 1.0) for own in (attention, feed_forward)]
        gone = sum(weights) if whole_layers is None else whole_layers[number]
        layers.append(
            LayerLevels(
                _levels(curves[attention], 1, weights[0], table.attention, table.topmost_attention),
                _levels(
                    curves[feed_forward],
                    neuron_step,
                    weights[1],
                    table.feed_forward,
                    table.topmost_feed_forward,
                ),
                None if number in pinned else gone,
            )
        )
    return SearchSpace(tuple(layers), table.base_ms)


def _levels(
    curve: ErrorCurve, step: int, weight: float, inner: SublayerTimes, topmost: SublayerTimes
) -> Levels:
    counts = tuple(sorted({*range(0, curve.units, step), curve.units}))
    relative = curve.relative()
    return Levels(
        counts,
        tuple(weight * relative[count] for count in counts),
        tuple(inner.at(count) for count in counts),
        tuple(topmost.at(count) for count in counts),
    )


def removed_layers(selection: Selection) -> tuple[int, ...]:
    """The layers that go whole."""
    return tuple(number for number, layer in enumerate(selection.layers) if layer is None)


def kept_units(selection: Selection, ranking: Ranking) -> Kept:
    """The heads and neurons that stay, of the layers that stay."""
    layers = []
    for number, counts in enumerate(selection.layers):
        if counts is not None:
            heads = ranking.curve(Sublayer(number, "attention")).kept(counts[0])
            neurons = ranking.curve(Sublayer(number, "feed-forward")).kept(counts[1])
            layers.append(KeptLayer(heads=heads, neurons=neurons))
    return Kept(layers=tuple(layers))


def selected_shape(selection: Selection, base: ModelShape) -> ModelShape:
    """The shape of the pruned model."""
    layers = tuple(
        LayerShape(heads=counts[0], head_size=layer.head_size, neurons=counts[1])
        for counts, layer in zip(selection.layers, base.layers, strict=True)
        if counts is not None
    )
    return base.model_copy(update={"layers": layers})
