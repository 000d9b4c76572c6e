"""What stays inside the layers, and what the latency table predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Mark, Plot, Words, dot, drawn, x_label, y_label
from glp_export.report.html.theme import placeholder
from glp_export.report.structure import (
    LayerLeft,
    Predicted,
    condition_facts,
    layers_left,
    layers_table,
    prediction_title,
    prediction_words,
    probe_predictions,
    shipped_prediction,
)
from glp_export.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.plan import Plan
    from glp_export.report.html.report_data import SweepVariant

_ROW, _TOP, _BOTTOM, _LEFT = 24, 34, 48, 34


def structure(plan: Plan, number: int) -> Plot:
    """Layers by heads and neurons: filled is what stays.

    Args:
        plan: that changes more than whole layers.
        number: of the plot in its page.
    """
    layers = layers_left(plan)
    words = Words(
        name=f"structure-{number}",
        title=f"What is left: {plan.label}",
        description="Heads and neurons of every layer that stay. " + " ".join(map(_said, layers)),
        caption="One row a layer, numbered as in the base model from the input. Filled is what "
        "stays: a square a head at the left, the share of the feed-forward neurons at the right.",
        table=layers_table(plan),
        legend=(Mark("■", "accent", "stays"), Mark("□", "muted", "removed")),
    )
    tall = _TOP + _BOTTOM + _ROW * len(layers)
    return drawn(lambda canvas: _draw(canvas, layers), (tall, tall), words)


def predictions(benchmark: BenchmarkFile, variant: SweepVariant, number: int) -> Plot | None:
    """Predicted against measured speedup; None where no table was kept.

    Args:
        benchmark: that the model was measured in.
        variant: the model, its plan and its table.
        number: of the plot in its page.
    """
    plan, table = variant.plan, variant.latency_table
    shipped = shipped_prediction(plan, benchmark, table)
    if table is None or shipped is None:
        return None
    probes = [one for one in probe_predictions(table) if one.measured is not None]
    words = Words(
        name=f"predictions-{number}",
        title=f"Speedup at {prediction_title(table)}, as predicted and as measured",
        description=f"{shipped.name}: {prediction_words(shipped)}. {len(probes)} whole models that "
        "the latency table was fitted to.",
        caption="The latency table that the model was chosen by: "
        + "; ".join(f"{name} {value}" for name, value in condition_facts(table).items())
        + ". On the line a prediction is right. The bar is the 95 % interval of the model that "
        "ships, measured in the benchmark.",
        table=_table([shipped, *probes]),
        legend=(
            Mark("●", "accent", "the model that ships"),
            Mark("○", "muted", "whole models of the table"),
        ),
    )
    return drawn(lambda canvas: _scatter(canvas, shipped, probes), (360, 320), words)


def _draw(canvas: Canvas, layers: Sequence[LayerLeft]) -> None:
    middle = 0.42 * canvas.width
    heads = canvas.axes(left=_LEFT, top=_TOP, right=canvas.width - middle, bottom=_BOTTOM)
    counts = 4 if canvas.narrow else 96
    neurons = canvas.axes(left=middle + 20, top=_TOP, right=counts, bottom=_BOTTOM)
    most = max((layer.of_heads for layer in layers), default=1)
    widest = max((layer.of_neurons for layer in layers), default=1)
    for axes, right in ((heads, most - 0.5), (neurons, float(widest))):
        axes.set(ylim=(len(layers) - 0.5, -0.5), xlim=(-0.5 if axes is heads else 0, right))
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    heads.set_yticks(range(len(layers)), [str(layer.number) for layer in layers])
    heads.set_xticks([])
    neurons.locator_params(axis="x", nbins=3)
    for row, layer in enumerate(layers):
        if layer.removed:
            _text(heads, -0.4, row, "layer removed")
            continue
        for head in range(layer.of_heads):
            _box(heads, head - 0.4, row, 0.8, kept=head in layer.heads)
        _box(neurons, 0, row, layer.of_neurons, kept=False)
        if layer.neurons:
            _box(neurons, 0, row, layer.neurons, kept=True)
        if not canvas.narrow:
            _text(neurons, 1.02 * widest, row, f"{layer.neurons} of {layer.of_neurons}")
    y_label(heads, "layer (number)")
    x_label(heads, "heads (one a square)")
    x_label(neurons, "neurons (count)")


def _box(axes: Axes, left: float, row: int, width: float, *, kept: bool) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (left, row - 0.34),
            width,
            0.68,
            facecolor=placeholder("accent") if kept else "none",
            edgecolor=placeholder("accent" if kept else "muted"),
            linewidth=0.8,
            clip_on=False,
        )
    )


def _text(axes: Axes, left: float, row: int, text: str) -> None:
    axes.text(
        left, row, text, color=placeholder("muted"), fontsize=12, ha="left", va="center",
        clip_on=False,
    )  # fmt: skip


def _scatter(canvas: Canvas, shipped: Predicted, probes: Sequence[Predicted]) -> None:
    axes = canvas.axes(left=46, top=34, right=30, bottom=48)
    axes.grid(visible=True)
    seen = [shipped.predicted, *(shipped.span or ())]
    for one in probes:
        measured = one.measured or one.predicted
        seen += [one.predicted, measured]
        place = one.predicted, measured
        dot(axes, place, "o", "muted", hollow=True, size=8, edge=1.6, zorder=2)
    if shipped.measured is not None:
        seen.append(shipped.measured)
        ends = shipped.span or (shipped.measured,) * 2
        axes.vlines(shipped.predicted, *ends, color=placeholder("accent"))
        dot(axes, (shipped.predicted, shipped.measured), "o", "accent", edge=1, zorder=3)
    low, high = min(0.9, 0.95 * min(seen)), 1.05 * max(seen)
    axes.plot(
        [low, high], [low, high], color=placeholder("muted"), linewidth=1, linestyle="-", zorder=1
    )
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.locator_params(nbins=5 if canvas.narrow else 8)
    x_label(axes, "predicted speedup over the unpruned model (×)")
    y_label(axes, "measured (×)")


def _said(layer: LayerLeft) -> str:
    if layer.removed:
        return f"Layer {layer.number}: removed."
    return (
        f"Layer {layer.number}: {len(layer.heads)} of {layer.of_heads} heads, {layer.neurons} of "
        f"{layer.of_neurons} neurons."
    )


def _table(models: Sequence[Predicted]) -> Table:
    return Table.of(
        "Speedup over the unpruned model; the first row is the model that ships, the "
        "others are those that the latency table was fitted to.",
        (
            {
                "model": one.name,
                "predicted (×)": numbers.ratio(one.predicted),
                "measured (×)": one.measured and numbers.ratio(one.measured),
                "95 % interval": one.span and numbers.ratio_span(*one.span),
                "error": None
                if one.error is None
                else f"{100 * one.error:+.1f} %".replace("-", "−"),
            }
            for one in models
        ),
        strong=(0,),
    )
