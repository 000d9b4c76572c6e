"""What stays inside the layers, and what the latency table predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.html.picture import (
    Canvas,
    Mark,
    Plot,
    box,
    dot,
    x_label,
    y_label,
)
from glp_export.report.html.theme import placeholder
from glp_export.report.measurements import shape_title
from glp_export.report.structure import (
    LayerLeft,
    Predicted,
    condition_facts,
    layers_left,
    layers_table,
    prediction_words,
    probe_predictions,
    shipped_prediction,
    table_shape,
)
from glp_export.report.tables import Table, known

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
    return Plot(
        name=f"structure-{number}",
        title=f"What is left: {plan.label}",
        description="Heads and neurons of every layer that stay. " + " ".join(map(_said, layers)),
        caption="One row a layer, numbered as in the base model from the input. Filled is what "
        "stays: a square a head at the left, the share of the feed-forward neurons at the right.",
        table=layers_table(plan),
        legend=(Mark("■", "accent", "stays"), Mark("□", "muted", "removed")),
        draw=lambda canvas: _draw(canvas, layers),
        heights=(_TOP + _BOTTOM + _ROW * len(layers),) * 2,
    )


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
    probes = probe_predictions(table)
    return Plot(
        name=f"predictions-{number}",
        title=f"Speedup at {shape_title(table_shape(table))}, as predicted and as measured",
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
        draw=lambda canvas: _scatter(canvas, shipped, probes),
        heights=(360, 320),
    )


def _draw(canvas: Canvas, layers: Sequence[LayerLeft]) -> None:
    middle = 0.42 * canvas.width
    heads = canvas.axes(left=_LEFT, top=_TOP, right=canvas.width - middle, bottom=_BOTTOM)
    counts = 4 if canvas.narrow else 96
    neurons = canvas.axes(left=middle + 20, top=_TOP, right=counts, bottom=_BOTTOM)
    most = max((layer.of_heads for layer in layers), default=1)
    widest = max((layer.of_neurons for layer in layers), default=1)
    for axes, ends in ((heads, (-0.5, most - 0.5)), (neurons, (0, float(widest)))):
        axes.set(ylim=(len(layers) - 0.5, -0.5), xlim=ends)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    heads.set_yticks(range(len(layers)), [str(layer.number) for layer in layers])
    heads.set_xticks([])
    neurons.locator_params(axis="x", nbins=3)
    accent, muted = placeholder("accent"), placeholder("muted")

    def bar(axes: Axes, left: float, row: int, width: float, kept: bool) -> None:
        face, edge = (accent, accent) if kept else ("none", muted)
        box(axes, (left, row - 0.34), (width, 0.68), face, edge, 0.8)

    def write(axes: Axes, left: float, row: int, text: str) -> None:
        axes.text(left, row, text, color=muted, fontsize=12, clip_on=False, ha="left", va="center")

    for row, layer in enumerate(layers):
        if layer.removed:
            write(heads, -0.4, row, "layer removed")
            continue
        for head in range(layer.of_heads):
            bar(heads, head - 0.4, row, 0.8, head in layer.heads)
        bar(neurons, 0, row, layer.of_neurons, False)
        if layer.neurons:
            bar(neurons, 0, row, layer.neurons, True)
        if not canvas.narrow:
            write(neurons, 1.02 * widest, row, f"{layer.neurons} of {layer.of_neurons}")
    y_label(heads, "layer (number)")
    x_label(heads, "heads (one a square)")
    x_label(neurons, "neurons (count)")


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
    muted = placeholder("muted")
    axes.plot([low, high], [low, high], color=muted, linewidth=1, linestyle="-", zorder=1)
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.locator_params(nbins=5 if canvas.narrow else 8)
    x_label(axes, "predicted speedup over the unpruned model (×)")
    y_label(axes, "measured (×)")


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "−")


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
                "measured (×)": known(one.measured, numbers.ratio),
                "95 % interval": numbers.ratio_span(*one.span) if one.span else None,
                "error": known(one.error, _percent),
            }
            for one in models
        ),
        strong=(0,),
    )
