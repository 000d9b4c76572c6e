"""How far each file's logits are from PyTorch's, beside what is tolerated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Mark, Plot, drawn, x_label
from glp_export.report.html.plots.rows import half_row, heights, row_axes
from glp_export.report.html.tables import Table, columns
from glp_export.report.html.theme import placeholder
from glp_export.report.parity_table import agreement, worst_shape

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import FileParity
    from glp_export.report.html.report_data import ReportData

_NAME = "parity"


@dataclass(frozen=True)
class _Line:
    name: str
    file: FileParity


def parity(report_data: ReportData) -> Plot | None:
    """One row a file: mean and largest difference, the worst probe, and the tolerance."""
    lines = [
        _Line(
            f"{sweep_variant.label}, {file.variant}" if report_data.is_sweep else file.variant,
            file,
        )
        for sweep_variant in report_data.sweep_variants
        for file in sweep_variant.parity.files
    ]
    if not lines:
        return None
    title = "Differences from the PyTorch model"
    description = "Largest difference of a logit, by file. " + "; ".join(map(_said, lines)) + "."

    def draw(canvas: Canvas) -> None:
        _draw(canvas, lines)

    return drawn(
        draw,
        heights(len(lines)),
        name=_NAME,
        title=title,
        description=description,
        caption="Differences of logits between each ONNX file and the PyTorch model, on test "
        "examples in padded batches and on shapes that break careless exports. The upright line "
        "is what is tolerated at a logit of 0; larger logits may differ by more. int8 has none: "
        "rounding moves logits, and the metric judges it.",
        table=_table(lines),
        legend=(
            Mark("○", "accent", "mean"),
            Mark("●", "accent", "largest"),
            Mark("▲", "distilled", "worst odd shape"),
            Mark("|", "ink", "tolerance"),
        ),
    )


def _draw(canvas: Canvas, lines: Sequence[_Line]) -> None:
    names = [(line.name, "ink" if line.file.passed else "bad") for line in lines]
    axes = row_axes(canvas, names)
    axes.set_xscale("log")
    seen = [value for line in lines for value in _values(line.file) if value]
    low, high = (min(seen), max(seen)) if seen else (1e-7, 1e-3)
    floor = 10.0 ** np.floor(np.log10(low) - 0.3)
    axes.set_xlim(floor, 10.0 ** np.ceil(np.log10(high) + 0.3))
    accent, card = placeholder("accent"), placeholder("card")
    for number, line in enumerate(lines):
        mean, largest, probe, tolerance = _values(line.file)
        if mean is not None and largest is not None:
            ends = max(mean, floor), max(largest, floor)
            axes.hlines(number, *ends, color=accent, linewidth=1.3)
        for value, mark, face, edge in (
            (mean, "o", card, accent),
            (probe, "^", placeholder("distilled"), placeholder("distilled")),
            (largest, "o", accent, accent),
        ):
            if value is not None:
                axes.plot(
                    [max(value, floor)], [number], marker=mark, markersize=8, markeredgewidth=1.6,
                    markerfacecolor=face, markeredgecolor=edge, clip_on=False,
                )  # fmt: skip
        if tolerance is not None:
            tall = half_row(canvas)
            axes.vlines(
                tolerance, number - tall, number + tall, color=placeholder("ink"), linewidth=2
            )
    axes.xaxis.set_major_formatter(lambda value, _: _power(value))
    axes.minorticks_off()
    x_label(axes, "difference of a logit (logits, logarithmic)")


def _values(file: FileParity) -> tuple[float | None, float | None, float | None, float | None]:
    """Mean, largest, worst probe and tolerance; None where there is none."""
    probes = [probe.max_abs for probe in file.probes if probe.max_abs is not None]
    return file.mean_abs, file.max_abs, max(probes, default=None), file.atol


def _power(value: float) -> str:
    """A power of ten in letters that every font has: 1e-6."""
    return f"{value:.0e}".replace("e-0", "e−").replace("e+0", "e").replace("e-", "e−")


def _table(lines: Sequence[_Line]) -> Table:
    return Table(
        caption="Differences of logits from the PyTorch model; tolerance is absolute plus a share "
        "of the logit.",
        columns=columns(
            *("file", "examples", "largest |Δ|", "mean |Δ|", "worst shape", "tolerance"),
            *("same label", "labels that flip", "verdict"),
            words=("verdict",),
        ),
        rows=tuple(
            (
                line.name,
                str(line.file.samples),
                numbers.tiny(line.file.max_abs),
                numbers.tiny(line.file.mean_abs),
                worst_shape(line.file),
                _tolerance(line.file),
                agreement(line.file),
                str(len(line.file.disagreements)),
                "passed" if line.file.passed else "failed: " + "; ".join(line.file.failures),
            )
            for line in lines
        ),
    )


def _tolerance(file: FileParity) -> str:
    if file.atol is None:
        return "by the metric"
    return f"{file.atol:g} + {file.rtol or 0:g} · |logit|"


def _said(line: _Line) -> str:
    bound = "no tolerance" if line.file.atol is None else f"{line.file.atol:g} tolerated"
    verdict = "passed" if line.file.passed else "failed"
    return f"{line.name}: {numbers.tiny(line.file.max_abs)}, {bound}, {verdict}"
