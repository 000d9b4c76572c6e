"""The candidates of every step as a heat map: what was removed, and how near the others came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.report.html.picture import Canvas, Mark, Plot, box, x_label, y_label
from glp_export.report.html.theme import placeholder
from glp_export.report.pruning import Compared, candidates_table, compared
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glp_export.compress.plan import Plan

_BY_LOSS = 0.0, 0.05, 0.15, 0.5, 1.5
_BY_SCORE = 0.0, 0.005, 0.01, 0.02, 0.05
"""How far behind the best a shade reaches at most; what is further behind has one more."""
_ROW, _LEFT, _TOP, _BOTTOM = 34, 34, 34, 56
_READABLE = 36
"""Pixels that a cell needs for a score of three digits."""


def heat_map(plan: Plan) -> Plot | None:
    """Every single layer that a step tried, None where none was compared with another."""
    steps = compared(plan)
    if not any(step.tried for step in steps):
        return None
    metric, by_loss = metric_name(plan.metric), any(step.by_loss for step in steps)
    edges = _BY_LOSS if by_loss else _BY_SCORE
    behind = (
        "by what share the loss on dev is above that of the step's best candidate"
        if by_loss
        else f"by how much {metric} on dev is below that of the step's best candidate"
    )
    shades = [f"to {100 * edge:g} %" if by_loss else f"to {edge:g}" for edge in edges[1:]]
    return Plot(
        name="candidates",
        title="How near the other candidates came",
        description=f"{len(steps)} steps, {plan.num_layers} layers. " + " ".join(map(_said, steps)),
        caption="One row a step, one cell a layer that could have been removed in it (a phone "
        f"shows them turned). The number is {metric} without that layer, the shade {behind}: dark "
        "or bright cells were as good. The framed one was removed.",
        table=candidates_table(plan),
        legend=(
            *(Mark("■", f"heat-{n}", text) for n, text in enumerate(("the best", *shades, "more"))),
            Mark("□", "ink", "removed in this step"),
            Mark("·", "muted", "removed before"),
        ),
        draw=lambda canvas: _draw(canvas, plan.num_layers, steps, edges),
        heights=(_TOP + _BOTTOM + _ROW * len(steps), _TOP + _BOTTOM + _ROW * plan.num_layers),
    )


def _draw(canvas: Canvas, count: int, steps: Sequence[Compared], edges: Sequence[float]) -> None:
    """Layers lie side by side where there is room, and below one another on a phone."""
    axes = canvas.axes(left=_LEFT, top=_TOP, right=4, bottom=_BOTTOM)
    names = [str(step.number) for step in steps], [str(layer) for layer in range(count)]
    titles = "step (number)", "layer of the base model (number)"
    down, across = reversed(names) if canvas.narrow else names
    readable = (canvas.width - _LEFT - 4) / len(across) >= _READABLE
    for row, step in enumerate(steps):
        for layer in range(count):
            place = (row, layer) if canvas.narrow else (layer, row)
            _cell(axes, place, step, layer, edges, readable)
    axes.set(xlim=(-0.5, len(across) - 0.5), ylim=(len(down) - 0.5, -0.5))
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.spines[:].set_visible(False)
    x_label(axes, titles[not canvas.narrow])
    y_label(axes, titles[canvas.narrow])


def _cell(
    axes: Axes,
    place: tuple[float, float],
    step: Compared,
    layer: int,
    edges: Sequence[float],
    readable: bool,
) -> None:
    x, y = place
    tried, went = step.tried.get(layer), layer in step.removed
    shade, ink = None, "ink" if went else "muted"
    if tried:
        shade = next((n for n, edge in enumerate(edges) if tried.behind <= edge), len(edges))
        ink = f"heat-ink-{shade}"
    if tried or went:
        face = "none" if shade is None else placeholder(f"heat-{shade}")
        edge, line = (placeholder("ink"), 2.2) if went else ("none", 0)
        box(axes, (x - 0.46, y - 0.44), (0.92, 0.88), face, edge, line, zorder=2 if went else 1)
    text = "×" if went else "·" if layer in step.earlier else ""
    if tried and readable:
        text = f"{tried.score:.3f}".replace("0.", ".", 1).replace("-", "−")
    elif tried and not went:
        return
    if text:
        axes.text(
            x, y, text, color=placeholder(ink), fontsize=11, ha="center", va="center", zorder=3,
            fontweight="bold" if went else "normal",
        )  # fmt: skip


def _said(step: Compared) -> str:
    went = " and ".join(map(str, step.removed))
    if not step.tried:
        return f"Step {step.number}: layer {went} removed, no single layers were compared."
    near = sorted(step.tried, key=lambda layer: step.tried[layer].behind)
    ranking = ", ".join(map(str, near[:3]))
    return f"Step {step.number}: layer {went} removed; the best candidates were {ranking}."
