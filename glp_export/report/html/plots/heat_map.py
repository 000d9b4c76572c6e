"""The candidates of every step as a heat map: what was removed, and how near the others came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.report.html.picture import (
    NARROW,
    WIDE,
    Canvas,
    Mark,
    Plot,
    Words,
    drawn,
    x_label,
    y_label,
)
from glp_export.report.html.theme import placeholder
from glp_export.report.pruning import (
    Compared,
    candidates_table,
    chosen_by_loss,
    compared,
)
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.compress.plan import Plan

_BY_LOSS = (
    (0.0, "the best"),
    (0.05, "to 5 %"),
    (0.15, "to 15 %"),
    (0.5, "to 50 %"),
    (1.5, "to 150 %"),
)
_BY_SCORE = (
    (0.0, "the best"),
    (0.005, "to 0.005"),
    (0.01, "to 0.01"),
    (0.02, "to 0.02"),
    (0.05, "to 0.05"),
)
_ROW, _LEFT, _TOP, _BOTTOM = 34, 34, 34, 56
_READABLE = 36
"""Pixels that a cell needs for a score of three digits."""


def heat_map(plan: Plan) -> Plot | None:
    """Every single layer that a step tried, None where none was compared with another."""
    steps = compared(plan)
    table = candidates_table(plan)
    if not any(step.tried for step in steps):
        return None
    words = Words(
        name="candidates",
        title="How near the other candidates came",
        description=f"{len(steps)} steps, {plan.num_layers} layers. " + " ".join(map(_said, steps)),
        caption=_caption(plan, metric_name(plan.metric)),
        table=table,
        legend=_legend(plan),
    )
    wide, narrow = (_TOP + _BOTTOM + _ROW * count for count in (len(steps), plan.num_layers))
    return drawn(lambda canvas: _draw(canvas, plan, steps), (wide, narrow), words)


def _draw(canvas: Canvas, plan: Plan, steps: Sequence[Compared]) -> None:
    """Layers lie side by side where there is room, and below one another on a phone."""
    axes = canvas.axes(left=_LEFT, top=_TOP, right=4, bottom=_BOTTOM)
    across, down = plan.num_layers, len(steps)
    width = (WIDE if not canvas.narrow else NARROW) - _LEFT - 4
    names = [str(step.number) for step in steps]
    layers = [str(layer) for layer in range(plan.num_layers)]
    x_name, y_name = "layer of the base model (number)", "step (number)"
    if canvas.narrow:
        across, down, names, layers = down, across, layers, names
        x_name, y_name = y_name, x_name
    readable = width / across >= _READABLE
    edges = _BY_LOSS if chosen_by_loss(plan) else _BY_SCORE
    for row, step in enumerate(steps):
        for layer in range(plan.num_layers):
            place = (row, layer) if canvas.narrow else (layer, row)
            _cell(axes, place, step, layer, edges, readable)
    axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5, -0.5))
    axes.set_xticks(range(across), layers)
    axes.set_yticks(range(down), names)
    axes.spines[:].set_visible(False)
    x_label(axes, x_name)
    y_label(axes, y_name)


def _cell(
    axes: Axes,
    place: tuple[float, float],
    step: Compared,
    layer: int,
    edges: Sequence[tuple[float, str]],
    readable: bool,
) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    tried, went = step.tried.get(layer), layer in step.removed
    shade = _shade(tried.behind, edges) if tried else None
    if shade is not None or went:
        axes.add_patch(
            Rectangle(
                (x - 0.46, y - 0.44),
                0.92,
                0.88,
                facecolor="none" if shade is None else placeholder(f"heat-{shade}"),
                edgecolor=placeholder("ink") if went else "none",
                linewidth=2.2 if went else 0,
                clip_on=False,
                zorder=2 if went else 1,
            )
        )
    if tried and readable:
        text, ink = (
            f"{tried.score:.3f}".replace("0.", ".", 1).replace("-", "−"),
            f"heat-ink-{shade}",
        )
    elif went:
        text, ink = "×", "ink" if shade is None else f"heat-ink-{shade}"
    elif layer in step.earlier:
        text, ink = "·", "muted"
    else:
        return
    weight = "bold" if went else "normal"
    axes.text(
        x, y, text, color=placeholder(ink), fontsize=11, ha="center", va="center", zorder=3,
        fontweight=weight,
    )  # fmt: skip


def _shade(behind: float, edges: Sequence[tuple[float, str]]) -> int:
    """The class of a distance, 0 for the best."""
    return next((n for n, (edge, _) in enumerate(edges) if behind <= edge), len(edges))


def _legend(plan: Plan) -> tuple[Mark, ...]:
    edges = _BY_LOSS if chosen_by_loss(plan) else _BY_SCORE
    texts = [*(text for _, text in edges), "more"]
    return (
        *(Mark("■", f"heat-{number}", text) for number, text in enumerate(texts)),
        Mark("□", "ink", "removed in this step"),
        Mark("·", "muted", "removed before"),
    )


def _caption(plan: Plan, metric: str) -> str:
    behind = (
        "by what share the loss on dev is above that of the step's best candidate"
        if chosen_by_loss(plan)
        else f"by how much {metric} on dev is below that of the step's best candidate"
    )
    return (
        f"One row a step, one cell a layer that could have been removed in it (a phone shows them "
        f"turned). The number is {metric} without that layer, the shade {behind}: dark or bright "
        "cells were as good. The framed one was removed."
    )


def _said(step: Compared) -> str:
    went = " and ".join(map(str, step.removed))
    if not step.tried:
        return f"Step {step.number}: layer {went} removed, no single layers were compared."
    near = sorted(step.tried, key=lambda layer: step.tried[layer].behind)
    ranking = ", ".join(map(str, near[:3]))
    return f"Step {step.number}: layer {went} removed; the best candidates were {ranking}."
